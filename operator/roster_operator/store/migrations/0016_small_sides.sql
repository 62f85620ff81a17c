-- What a plan asks of every tenant, and what nearly none has: answered without reading the tables through.

do $$
declare
  t text;
begin
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    -- Rows whose bytes nobody knows: those with a secret in them, and those that an undo brought back.
    execute format('create index %I on roster.%I (tenant) where raw_hash is null', t || '_unhashed', t);
  end loop;
end
$$;
create index users_by_hand on roster.users (tenant) where source = 'Manual';
