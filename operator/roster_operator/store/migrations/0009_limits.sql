-- Removals told apart more closely: what had ended by itself, and what went with its school.

alter table roster.change_log drop constraint change_log_action_check;
alter table roster.change_log add constraint change_log_action_check check (action in (
  'create', 'update', 'reactivate', 'tobedeleted', 'vanished', 'outOfScope', 'undone', 'concluded', 'schoolClosed',
  'manualCreate', 'manualUpdate', 'manualEnd'));

do $$
declare
  t text;
begin
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    execute format('alter table roster.%I drop constraint %I, add constraint %2$I check (inactive_cause in '
                   '(''tobedeleted'', ''vanished'', ''outOfScope'', ''undone'', ''concluded'', ''schoolClosed''))',
                   t, t || '_inactive_cause_check');
  end loop;
end
$$;
