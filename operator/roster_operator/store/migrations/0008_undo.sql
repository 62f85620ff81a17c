-- Undo: a run that takes back what a merged one did. It is staged from the history, and planned and merged like any other.

alter table roster.sync_run add column undoes uuid; -- the run that this one takes back

alter table roster.change_log drop constraint change_log_action_check;
alter table roster.change_log add constraint change_log_action_check check (action in (
  'create', 'update', 'reactivate', 'tobedeleted', 'vanished', 'outOfScope', 'undone', 'manualCreate', 'manualUpdate',
  'manualEnd'));

do $$
declare
  t text;
begin
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    execute format('alter table roster.%I drop constraint %I, add constraint %2$I '
                   'check (inactive_cause in (''tobedeleted'', ''vanished'', ''outOfScope'', ''undone''))',
                   t, t || '_inactive_cause_check');
  end loop;
end
$$;

-- How the undone sync had left a record. One that is not so any more was changed since: that is a conflict.
create table roster_stage.template_undo (
  entity text not null,
  sourced_id text collate "C" not null,
  left_hash bytea,
  left_status text,
  overwrite boolean not null, -- a conflict is only told; otherwise the record is left as it is
  inactive_cause text, -- of a record that goes back to being inactive
  inactive_since timestamptz
);

-- Which run a run takes back; told while it is being staged.
create function roster.record_undo(p_run uuid, p_token integer, p_undoes uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
begin
  perform from roster.sync_run where tenant = v_tenant and run = p_undoes and state = 'Merged';
  if not found then
    raise exception 'UndoUnknown' using errcode = 'RO030';
  end if;
  update roster.sync_run set undoes = p_undoes
   where tenant = v_tenant and run = p_run and token = p_token and state = 'Staging' and mode = 'Undo';
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
end
$$;

-- Access follows in the merge of an undo, after its records: people whom the undone sync had brought lose it for good,
-- and where an undo is undone, those who had lost it so have it back. Everybody else's access was never taken: it counts
-- while the person is active.
alter table roster.app_access add column revoked_run uuid;

create function roster.undo_access(p_run uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  u roster.sync_run; -- the undone one
  v_version bigint;
begin
  select o.* into u from roster.sync_run r join roster.sync_run o on o.tenant = r.tenant and o.run = r.undoes
   where r.tenant = v_tenant and r.run = p_run and r.state = 'Staged';
  if not found then
    raise exception 'NotStaged' using errcode = 'RO007';
  end if;
  select data_version + 1 into v_version from roster.tenant where tenant = v_tenant;
  update roster.app_access a
     set revoked_by = 'undo of ' || u.name, revoked_at = now(), revoked_run = p_run
   where a.tenant = v_tenant and a.revoked_at is null
     and exists (select from roster.change_log l where l.tenant = v_tenant and l.data_version = v_version
                  and l.run = p_run and l.entity = 'users' and l.action = 'undone' and l.sourced_id = a.user_sourced_id)
     and exists (select from roster.change_log l where l.tenant = v_tenant and l.data_version = u.data_version
                  and l.run = u.run and l.entity = 'users' and l.action = 'create' and l.sourced_id = a.user_sourced_id);
  update roster.app_access a
     set revoked_by = null, revoked_at = null, revoked_run = null
   where a.tenant = v_tenant and a.revoked_run = u.run
     and exists (select from roster.users m
                  where m.tenant = v_tenant and m.sourced_id = a.user_sourced_id and m.status = 'active');
end
$$;

revoke execute on function roster.record_undo, roster.undo_access from public;
grant execute on function roster.record_undo to roster_stager;
grant execute on function roster.undo_access to roster_merger;
