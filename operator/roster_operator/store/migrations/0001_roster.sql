-- The schema of roster-operator. Owned by the role that runs `roster migrate`; nobody else may change it.
--
-- roster        merged rows, tenants, runs, history: what the application reads
-- roster_stage  what was pulled and waits for a person: tables per run, made and dropped by the functions below
--
-- A tenant has two logins. Whose rows a session may touch follows from the login alone (session_tenant), never from a
-- setting that a client could choose. Functions that need the owner's rights are security definer with a fixed
-- search_path, and take the tenant from the login too. pg_temp stands last in it: unnamed it would be searched first, and
-- a caller's own pg_temp.text would run with the owner's rights.
--
-- The schema roster itself and its table schema_migration are made by the runner (migrate.py).
--
-- Errors of these functions carry SQLSTATE RO0nn; the message is a reason, never a value.

create schema roster_stage;
revoke all on schema roster, roster_stage from public;

create table roster.meta (
  singleton boolean primary key default true check (singleton),
  database_id uuid not null default gen_random_uuid() -- part of every plan's digest
);
insert into roster.meta default values;

create table roster.tenant (
  tenant text collate "C" primary key check (length(tenant) between 1 and 128),
  stage_login name not null unique,
  merge_login name not null unique,
  data_version bigint not null default 0, -- number of merges
  claimed_by_cluster text,
  claimed_by_namespace text,
  claimed_by_name text,
  claimed_at timestamptz,
  created_at timestamptz not null default now()
);

create function roster.session_tenant() returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select t.tenant from roster.tenant t where session_user in (t.stage_login, t.merge_login);
end;

create table roster.sync_run (
  tenant text collate "C" not null,
  run uuid not null, -- uid of the RosterSync
  cluster text not null,
  namespace text not null,
  name text not null,
  mode text not null,
  state text not null check (state in ('Staging', 'Sealed', 'Staged', 'Merged', 'Failed', 'Discarded')),
  attempt integer not null default 0, -- of the Job: an earlier one is refused
  token integer not null default 0, -- of the stage: each opening has its own tables, so a late worker writes nowhere
  source_version text,
  pull jsonb, -- per entity: what was received, and whether it was proved complete
  removable text[] not null default '{}', -- entities that this run may deactivate records of
  plan jsonb,
  issues jsonb,
  digest text,
  base_version bigint, -- data_version that the plan was computed on
  approval jsonb,
  data_version bigint, -- after the merge
  failure text,
  discard_reason text,
  started_at timestamptz not null default now(),
  staged_at timestamptz,
  merged_at timestamptz,
  ended_at timestamptz,
  primary key (tenant, run)
);
create index sync_run_name on roster.sync_run (tenant, namespace, name);

create table roster.change_log (
  tenant text collate "C" not null,
  data_version bigint not null,
  run uuid not null,
  entity text not null,
  action text not null check (action in ('create', 'update', 'reactivate', 'tobedeleted', 'vanished')),
  sourced_id text collate "C" not null,
  old jsonb -- the row before; null for a create
);
create index change_log_version on roster.change_log (tenant, data_version);

create table roster.orgs (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  name text not null,
  type text not null,
  identifier text,
  parent_sourced_id text collate "C",
  primary key (tenant, sourced_id)
);

create table roster_stage.template_orgs (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  name text not null,
  type text not null,
  identifier text,
  parent_sourced_id text collate "C"
);

create table roster.academic_sessions (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  title text not null,
  type text not null,
  start_date date not null,
  end_date date not null,
  school_year integer,
  parent_sourced_id text collate "C",
  primary key (tenant, sourced_id)
);

create table roster_stage.template_academic_sessions (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  title text not null,
  type text not null,
  start_date date not null,
  end_date date not null,
  school_year integer,
  parent_sourced_id text collate "C"
);

create table roster.courses (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  title text not null,
  course_code text,
  school_year_sourced_id text collate "C",
  org_sourced_id text collate "C",
  grades text[],
  subjects text[],
  subject_codes text[],
  primary key (tenant, sourced_id)
);

create table roster_stage.template_courses (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  title text not null,
  course_code text,
  school_year_sourced_id text collate "C",
  org_sourced_id text collate "C",
  grades text[],
  subjects text[],
  subject_codes text[]
);

create table roster.classes (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  title text not null,
  class_code text,
  class_type text,
  location text,
  course_sourced_id text collate "C",
  school_sourced_id text collate "C",
  term_sourced_ids text[] collate "C",
  grades text[],
  subjects text[],
  subject_codes text[],
  periods text[],
  primary key (tenant, sourced_id)
);

create table roster_stage.template_classes (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  title text not null,
  class_code text,
  class_type text,
  location text,
  course_sourced_id text collate "C",
  school_sourced_id text collate "C",
  term_sourced_ids text[] collate "C",
  grades text[],
  subjects text[],
  subject_codes text[],
  periods text[]
);

create table roster.users (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  person text collate "C", -- the sourcedId under which this person first came, where that was another one
  date_last_modified timestamptz,
  metadata jsonb,
  enabled_user boolean,
  username text,
  user_ids jsonb,
  given_name text,
  family_name text,
  middle_name text,
  preferred_given_name text,
  preferred_middle_name text,
  preferred_family_name text,
  pronouns text,
  role text,
  roles jsonb,
  org_sourced_ids text[] collate "C",
  primary_org_sourced_id text collate "C",
  agent_sourced_ids text[] collate "C",
  grades text[],
  identifier text,
  user_master_identifier text,
  email text,
  sms text,
  phone text,
  primary key (tenant, sourced_id)
);

create table roster_stage.template_users (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  enabled_user boolean,
  username text,
  user_ids jsonb,
  given_name text,
  family_name text,
  middle_name text,
  preferred_given_name text,
  preferred_middle_name text,
  preferred_family_name text,
  pronouns text,
  role text,
  roles jsonb,
  org_sourced_ids text[] collate "C",
  primary_org_sourced_id text collate "C",
  agent_sourced_ids text[] collate "C",
  grades text[],
  identifier text,
  user_master_identifier text,
  email text,
  sms text,
  phone text
);

create table roster.enrollments (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  user_sourced_id text collate "C" not null,
  class_sourced_id text collate "C" not null,
  school_sourced_id text collate "C" not null,
  role text not null,
  "primary" boolean,
  begin_date date,
  end_date date,
  primary key (tenant, sourced_id)
);

create table roster_stage.template_enrollments (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  user_sourced_id text collate "C" not null,
  class_sourced_id text collate "C" not null,
  school_sourced_id text collate "C" not null,
  role text not null,
  "primary" boolean,
  begin_date date,
  end_date date
);

create table roster.demographics (
  tenant text collate "C" not null,
  sourced_id text collate "C" not null,
  status text not null default 'active' check (status in ('active', 'inactive')),
  source text not null default 'SIS' check (source in ('SIS', 'Manual')),
  inactive_cause text check (inactive_cause in ('tobedeleted', 'vanished')),
  inactive_since timestamptz,
  first_seen timestamptz not null,
  last_changed timestamptz not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  birth_date date,
  sex text,
  american_indian_or_alaska_native boolean,
  asian boolean,
  black_or_african_american boolean,
  native_hawaiian_or_other_pacific_islander boolean,
  white boolean,
  demographic_race_two_or_more_races boolean,
  hispanic_or_latino_ethnicity boolean,
  country_of_birth_code text,
  state_of_birth_abbreviation text,
  city_of_birth text,
  public_school_residence_status text,
  primary key (tenant, sourced_id)
);

create table roster_stage.template_demographics (
  sourced_id text collate "C" not null,
  status text not null,
  raw_hash bigint,
  row_hash bytea not null,
  date_last_modified timestamptz,
  metadata jsonb,
  birth_date date,
  sex text,
  american_indian_or_alaska_native boolean,
  asian boolean,
  black_or_african_american boolean,
  native_hawaiian_or_other_pacific_islander boolean,
  white boolean,
  demographic_race_two_or_more_races boolean,
  hispanic_or_latino_ethnicity boolean,
  country_of_birth_code text,
  state_of_birth_abbreviation text,
  city_of_birth text,
  public_school_residence_status text
);

-- Problems of single records. The record's id is here, for people who may read records; it never leaves the database.
create table roster_stage.template_issue (
  entity text not null,
  sourced_id text collate "C",
  code text not null,
  severity text not null check (severity in ('error', 'warning')), -- error: the record is skipped
  field text,
  page integer
);

-- Raw hashes of merged rows that the pull did not show again.
create table roster_stage.template_unseen (
  entity text not null,
  raw_hash bigint not null
);

-- Group roles of the two kinds of login. Roles belong to the whole server, so another database may have made them.
do $$
begin
  if not exists (select from pg_roles where rolname = 'roster_stager') then
    create role roster_stager nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'roster_merger') then
    create role roster_merger nologin;
  end if;
end
$$;
grant usage on schema roster, roster_stage to roster_stager, roster_merger;
grant select on roster.meta to roster_stager, roster_merger;

-- A login sees and changes the rows of its own tenant, in every table.
do $$
declare
  t text;
begin
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics',
                           'tenant', 'sync_run', 'change_log']
  loop
    execute format('alter table roster.%I enable row level security', t);
    execute format('create policy own_tenant on roster.%I to roster_stager, roster_merger '
                   'using (tenant = (select roster.session_tenant())) '
                   'with check (tenant = (select roster.session_tenant()))', t);
    execute format('grant select on roster.%I to roster_stager, roster_merger', t);
  end loop;
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    execute format('grant insert, update on roster.%I to roster_merger', t);
  end loop;
end
$$;
grant insert on roster.change_log to roster_merger;

-- Who is calling, as a tenant; refuses a login without one.
create function roster.require_tenant() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  t text := roster.session_tenant();
begin
  if t is null then
    raise exception 'NotATenantLogin' using errcode = 'RO001';
  end if;
  return t;
end
$$;

-- The first connection to come owns the tenant; another one is told so.
create function roster.claim_tenant(p_tenant text, p_cluster text, p_namespace text, p_name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r roster.tenant;
begin
  select * into r from roster.tenant where tenant = roster.require_tenant() for update;
  if r.tenant <> p_tenant then
    raise exception 'TenantMismatch' using errcode = 'RO002';
  end if;
  if r.claimed_at is null then
    update roster.tenant
       set claimed_by_cluster = p_cluster, claimed_by_namespace = p_namespace, claimed_by_name = p_name, claimed_at = now()
     where tenant = r.tenant;
  elsif (r.claimed_by_cluster, r.claimed_by_namespace, r.claimed_by_name) <> (p_cluster, p_namespace, p_name) then
    raise exception 'TenantTaken' using errcode = 'RO003';
  end if;
end
$$;

-- What the names of a run's tables begin with. The tenant is part of it: a run's uid is no secret, and nobody may reach
-- another tenant's tables by naming its run.
create function roster.stage_prefix(p_tenant text, p_run uuid) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
return 'r' || left(encode(sha256(convert_to(p_tenant || '/' || p_run::text, 'UTF8')), 'hex'), 32);

-- The name of one of a run's tables.
create function roster.stage_table(p_tenant text, p_run uuid, p_token integer, p_what text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
return roster.stage_prefix(p_tenant, p_run) || '_' || p_token || '_' || p_what;

-- Drops every table of a run. Only called by the functions below, which take the tenant from the login.
create function roster.drop_stage(p_tenant text, p_run uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  t text;
begin
  for t in
    select c.relname from pg_class c
     where c.relnamespace = 'roster_stage'::regnamespace and c.relkind = 'r'
       and c.relname like roster.stage_prefix(p_tenant, p_run) || '\_%'
  loop
    execute format('drop table roster_stage.%I', t);
  end loop;
  delete from roster.proposed_succession where tenant = p_tenant and run = p_run;
end
$$;
revoke execute on function roster.drop_stage from public;

-- Makes the tables of a new attempt and answers with its token. The login may insert until seal_stage.
create function roster.open_stage(
  p_run uuid, p_attempt integer, p_cluster text, p_namespace text, p_name text, p_mode text
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  r roster.sync_run;
  what text;
  v_table text;
begin
  insert into roster.sync_run (tenant, run, cluster, namespace, name, mode, state)
  values (v_tenant, p_run, p_cluster, p_namespace, p_name, p_mode, 'Staging')
  on conflict do nothing;
  select * into r from roster.sync_run where tenant = v_tenant and run = p_run for update;
  if r.state in ('Staged', 'Merged') then
    raise exception 'AlreadyStaged' using errcode = 'RO004';
  elsif r.state = 'Discarded' then
    raise exception 'Discarded' using errcode = 'RO005';
  elsif p_attempt < r.attempt then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
  -- A worker that is still writing into the tables of an earlier attempt would make the drop wait: leave them, they are
  -- nobody's any more, and a discard or the merge takes them.
  begin
    perform set_config('lock_timeout', '2s', true);
    perform roster.drop_stage(v_tenant, p_run);
  exception when lock_not_available then
    null;
  end;
  update roster.sync_run
     set state = 'Staging', attempt = p_attempt, token = r.token + 1, started_at = now(), failure = null, ended_at = null,
         plan = null, digest = null, issues = null, pull = null, removable = '{}'
   where tenant = v_tenant and run = p_run;
  foreach what in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics',
                              'issue', 'unseen']
  loop
    v_table := roster.stage_table(v_tenant, p_run, r.token + 1, what);
    execute format('create table roster_stage.%I (like roster_stage.%I)', v_table, 'template_' || what);
    execute format('grant select, insert on roster_stage.%I to %I', v_table, session_user);
  end loop;
  return r.token + 1;
end
$$;

-- Empties what was staged of one entity: its listing shifted while it was read, and is read again.
create function roster.restart_stage(p_run uuid, p_token integer, p_what text, p_entity text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
begin
  perform from roster.sync_run where tenant = v_tenant and run = p_run and token = p_token and state = 'Staging' for update;
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
  execute format('truncate roster_stage.%I', roster.stage_table(v_tenant, p_run, p_token, p_what));
  execute format('delete from roster_stage.%I where entity = $1', roster.stage_table(v_tenant, p_run, p_token, 'issue')) using p_entity;
  execute format('delete from roster_stage.%I where entity = $1', roster.stage_table(v_tenant, p_run, p_token, 'unseen')) using p_entity;
end
$$;

-- From here on nobody can change what was staged: the plan is computed on it, and the merge reads it.
create function roster.seal_stage(
  p_run uuid, p_token integer, p_source_version text, p_pull jsonb, p_removable text[]
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  what text;
  v_table text;
  v_merge_login name;
begin
  update roster.sync_run
     set state = 'Sealed', source_version = p_source_version, pull = p_pull, removable = p_removable
   where tenant = v_tenant and run = p_run and token = p_token and state = 'Staging';
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
  select merge_login into v_merge_login from roster.tenant where tenant = v_tenant;
  foreach what in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics',
                              'issue', 'unseen']
  loop
    v_table := roster.stage_table(v_tenant, p_run, p_token, what);
    execute format('revoke insert on roster_stage.%I from %I', v_table, session_user);
    execute format('grant select on roster_stage.%I to %I', v_table, v_merge_login);
    execute format('analyze roster_stage.%I', v_table);
  end loop;
end
$$;

create function roster.record_plan(
  p_run uuid, p_token integer, p_digest text, p_plan jsonb, p_issues jsonb, p_base_version bigint
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update roster.sync_run
     set state = 'Staged', digest = p_digest, plan = p_plan, issues = p_issues, base_version = p_base_version,
         staged_at = now()
   where tenant = roster.require_tenant() and run = p_run and token = p_token and state = 'Sealed';
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
end
$$;

-- Another merge came between: the plan on the same staged rows is another one now. Nothing was merged.
create function roster.record_new_plan(p_run uuid, p_digest text, p_plan jsonb, p_issues jsonb, p_base_version bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update roster.sync_run
     set digest = p_digest, plan = p_plan, issues = p_issues, base_version = p_base_version
   where tenant = roster.require_tenant() and run = p_run and state = 'Staged';
  if not found then
    raise exception 'NotStaged' using errcode = 'RO007';
  end if;
end
$$;

create function roster.fail_stage(p_run uuid, p_token integer, p_reason text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
begin
  update roster.sync_run
     set state = 'Failed', failure = p_reason, ended_at = now()
   where tenant = v_tenant and run = p_run and token = p_token and state in ('Staging', 'Sealed');
  if found then
    perform roster.drop_stage(v_tenant, p_run);
  end if;
end
$$;

-- The last statement of a merge, in its transaction: the ledger, and the end of what was staged.
create function roster.record_merge(p_run uuid, p_digest text, p_approval jsonb) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  v_version bigint;
begin
  update roster.tenant set data_version = data_version + 1 where tenant = v_tenant returning data_version into v_version;
  update roster.sync_run
     set state = 'Merged', data_version = v_version, approval = p_approval, merged_at = now(), ended_at = now()
   where tenant = v_tenant and run = p_run and state = 'Staged' and digest = p_digest;
  if not found then
    raise exception 'NotStaged' using errcode = 'RO007';
  end if;
  perform roster.drop_stage(v_tenant, p_run);
  return v_version;
end
$$;

-- One merge or discard at a time in a tenant. Held to the end of the transaction.
create function roster.lock_tenant(p_tenant text) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  select pg_advisory_xact_lock(hashtextextended('roster/' || p_tenant, 0));
end;

-- Ends a run that was not merged. A run that never began leaves a mark, so that a late worker is refused.
create function roster.discard(
  p_run uuid, p_cluster text, p_namespace text, p_name text, p_mode text, p_reason text
) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  v_state text;
begin
  -- The merge's lock: a discard never waits for a merge that waits for it.
  perform roster.lock_tenant(v_tenant);
  insert into roster.sync_run (tenant, run, cluster, namespace, name, mode, state)
  values (v_tenant, p_run, p_cluster, p_namespace, p_name, p_mode, 'Discarded')
  on conflict do nothing;
  select state into v_state from roster.sync_run where tenant = v_tenant and run = p_run for update;
  if v_state = 'Merged' then
    return 'Merged';
  end if;
  perform roster.drop_stage(v_tenant, p_run);
  update roster.sync_run
     set state = 'Discarded', discard_reason = p_reason, ended_at = now()
   where tenant = v_tenant and run = p_run;
  return 'Discarded';
end
$$;

-- Fresh statistics after a large merge, of what the next pull joins by: the logins do not own the tables. Those of the
-- other columns come from autovacuum, which an ANALYZE of some columns does not hold up.
create function roster.analyze_merged(p_tables text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set default_statistics_target = 10
as $$
declare
  t text;
begin
  perform roster.require_tenant();
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    if t = any (p_tables) then
      execute format('analyze roster.%I (tenant, sourced_id, status, source, raw_hash)', t);
    end if;
  end loop;
end
$$;

-- The newest migration that was applied; a program refuses a version that it does not know.
create function roster.schema_version() returns integer
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select max(m.version) from roster.schema_migration m;
end;

revoke execute on all functions in schema roster from public;
grant execute on function roster.session_tenant, roster.require_tenant, roster.schema_version to roster_stager, roster_merger;
grant execute on function
  roster.claim_tenant, roster.open_stage, roster.restart_stage, roster.seal_stage, roster.record_plan, roster.fail_stage,
  roster.discard to roster_stager;
grant execute on function roster.lock_tenant, roster.record_new_plan, roster.record_merge, roster.analyze_merged to roster_merger;
