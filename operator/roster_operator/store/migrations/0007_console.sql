-- The console's login: it sees one tenant at a time, and none before it has said for whom it reads, and what.
--
-- A transaction of the console begins with open_reading. That writes who reads which kind of record into roster.reading,
-- and only this row, of this very transaction, makes session_tenant answer: the policies of every table go by it, so a
-- read that was not recorded shows nothing, and a transaction that is rolled back has shown nothing that it could keep.
-- Of a person whose record was opened only the hash is kept, as in roster.erasure.

create table roster.console (
  login name primary key,
  created_at timestamptz not null default now()
);
alter table roster.console enable row level security;

create table roster.reading (
  tenant text collate "C" not null,
  at timestamptz not null default now(),
  transaction xid8 not null default pg_current_xact_id(),
  login name not null default session_user,
  namespace text not null, -- of the connection that it was read through
  connection text not null,
  person text not null check (length(person) between 1 and 256),
  kind text not null check (length(kind) between 1 and 64),
  subject bytea
);
create index reading_transaction on roster.reading (transaction);
create index reading_tenant on roster.reading (tenant, at);
alter table roster.reading enable row level security;

-- As before for a tenant's own logins. The console's has the tenant of the reading that this transaction began with:
-- the time beside the number, as a restored database counts its transactions from the beginning again.
create or replace function roster.session_tenant() returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  (select t.tenant from roster.tenant t where session_user in (t.stage_login, t.merge_login))
  union all
  (select r.tenant from roster.reading r
    where r.transaction = pg_current_xact_id_if_assigned() and r.at = now() and r.login = session_user)
  limit 1;
end;

-- Records a reading and opens its tenant to the console until the transaction ends. Only through the connection that
-- has claimed the tenant: a connection of somebody else that names it opens nothing.
create function roster.open_reading(
  p_tenant text, p_cluster text, p_namespace text, p_connection text, p_person text, p_kind text, p_subject text
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  t roster.tenant;
begin
  if not exists (select from roster.console c where c.login = session_user) then
    raise exception 'NotTheConsole' using errcode = 'RO010';
  end if;
  select * into t from roster.tenant where tenant = p_tenant;
  if t.claimed_at is null or (t.claimed_by_namespace, t.claimed_by_name) <> (p_namespace, p_connection)
     or t.claimed_by_cluster <> coalesce(p_cluster, t.claimed_by_cluster)
     or roster.session_tenant() <> p_tenant then
    raise exception 'TenantNotOpen' using errcode = 'RO011';
  end if;
  insert into roster.reading (tenant, namespace, connection, person, kind, subject)
  values (p_tenant, p_namespace, p_connection, p_person, p_kind,
          sha256(convert_to((select m.database_id from roster.meta m) || '/' || p_tenant || '/' || p_subject, 'UTF8')));
end
$$;
revoke execute on function roster.open_reading from public;

do $$
declare
  t text;
begin
  if not exists (select from pg_roles where rolname = 'roster_console') then
    create role roster_console nologin;
  end if;
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics',
                           'tenant', 'sync_run', 'change_log', 'manual_change', 'app_access', 'reference_use', 'upload',
                           'reading']
  loop
    execute format('create policy console_reads on roster.%I for select to roster_console '
                   'using (tenant = (select roster.session_tenant()))', t);
    execute format('grant select on roster.%I to roster_console', t);
  end loop;
  -- Rows that came from a source are not the console's to change.
  foreach t in array array['users', 'enrollments']
  loop
    execute format('create policy console_adds on roster.%I for insert to roster_console '
                   'with check (source = ''Manual'' and tenant = (select roster.session_tenant()))', t);
    execute format('create policy console_changes on roster.%I for update to roster_console '
                   'using (source = ''Manual'' and tenant = (select roster.session_tenant())) '
                   'with check (source = ''Manual'' and tenant = (select roster.session_tenant()))', t);
    execute format('grant insert, update on roster.%I to roster_console', t);
  end loop;
  foreach t in array array['app_access', 'manual_change']
  loop
    execute format('create policy console_adds on roster.%I for insert to roster_console '
                   'with check (tenant = (select roster.session_tenant()))', t);
    execute format('grant insert on roster.%I to roster_console', t);
  end loop;
end
$$;
create policy console_adds on roster.change_log for insert to roster_console
  with check (action like 'manual%' and tenant = (select roster.session_tenant()));
grant insert on roster.change_log to roster_console;
create policy console_changes on roster.app_access for update to roster_console
  using (tenant = (select roster.session_tenant())) with check (tenant = (select roster.session_tenant()));
grant update on roster.app_access to roster_console;
create policy console_counts on roster.tenant for update to roster_console
  using (tenant = (select roster.session_tenant())) with check (tenant = (select roster.session_tenant()));
grant update (data_version) on roster.tenant to roster_console;

grant usage on schema roster, roster_stage to roster_console;
grant select on roster.meta to roster_console;
-- What is staged: its tables have names of their own for each tenant and run, which sync_run alone tells.
alter default privileges in schema roster_stage grant select on tables to roster_console;
grant execute on function
  roster.open_reading, roster.session_tenant, roster.require_tenant, roster.schema_version, roster.lock_tenant,
  roster.begin_upload, roster.put_upload_chunk, roster.end_upload to roster_console;
