-- What the application reads, and who of the imported people may use it.
--
-- roster_app  views over merged rows, and two functions: an application's login sees this schema and nothing else.
--
-- A reader is a login of its own (`roster reader create`) that may see some tenants or all of them. Whose rows a view
-- shows follows from the login alone (visible_tenants), never from a setting that a client could choose. The views run
-- with the owner's rights and are security barriers: a condition of the reader's own is never asked about a row that
-- the reader may not see.

create schema roster_app;
revoke all on schema roster_app from public;

-- Nobody is in here until somebody grants access: imported users have none.
create table roster.app_access (
  tenant text collate "C" not null,
  user_sourced_id text collate "C" not null,
  permissions text[] not null check (cardinality(permissions) between 1 and 64),
  granted_by text not null,
  granted_at timestamptz not null default now(),
  reason text,
  revoked_by text,
  revoked_at timestamptz,
  primary key (tenant, user_sourced_id),
  check ((revoked_at is null) = (revoked_by is null))
);

-- Ids that the application uses right now, such as the students of a running test: what a removal would hit.
create table roster.reference_use (
  tenant text collate "C" not null,
  entity text not null check (entity in ('orgs', 'academicSessions', 'courses', 'classes', 'users', 'enrollments')),
  sourced_id text collate "C" not null,
  purpose text not null check (length(purpose) between 1 and 200),
  used_until date,
  registered_by name not null,
  registered_at timestamptz not null default now(),
  primary key (tenant, entity, sourced_id, purpose)
);

create table roster.reader (
  login name primary key,
  all_tenants boolean not null default false,
  created_at timestamptz not null default now()
);

create table roster.reader_tenant (
  login name not null references roster.reader on delete cascade,
  tenant text collate "C" not null,
  primary key (login, tenant)
);

do $$
declare
  t text;
begin
  if not exists (select from pg_roles where rolname = 'roster_reader') then
    create role roster_reader nologin;
  end if;
  foreach t in array array['app_access', 'reference_use']
  loop
    execute format('alter table roster.%I enable row level security', t);
    execute format('create policy own_tenant on roster.%I to roster_stager, roster_merger '
                   'using (tenant = (select roster.session_tenant())) '
                   'with check (tenant = (select roster.session_tenant()))', t);
    execute format('grant select on roster.%I to roster_stager, roster_merger', t);
  end loop;
end
$$;
alter table roster.reader enable row level security;
alter table roster.reader_tenant enable row level security;

-- The tenants that the session's login may read.
create function roster_app.visible_tenants() returns setof text
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select t.tenant from roster.tenant t
   where exists (select from roster.reader r where r.login = session_user and r.all_tenants)
      or exists (select from roster.reader_tenant r where r.login = session_user and r.tenant = t.tenant);
end;

create view roster_app.schools with (security_barrier) as
select o.tenant, o.sourced_id, o.name, o.identifier, o.parent_sourced_id
  from roster.orgs o
 where o.status = 'active' and o.type = 'school' and o.tenant in (select roster_app.visible_tenants());

-- A session is under way from its start date to the day before its end date.
create view roster_app.sessions_today with (security_barrier) as
select s.tenant, s.sourced_id, s.title, s.type, s.start_date, s.end_date, s.school_year, s.parent_sourced_id
  from roster.academic_sessions s
 where s.status = 'active' and s.start_date <= current_date and current_date < s.end_date
   and s.tenant in (select roster_app.visible_tenants());

create view roster_app.active_students with (security_barrier) as
select u.tenant, u.sourced_id, u.given_name, u.middle_name, u.family_name, u.preferred_given_name,
       u.preferred_family_name, u.pronouns, u.username, u.identifier, u.email, u.grades, u.org_sourced_ids,
       u.enabled_user, u.source, coalesce(u.person, u.sourced_id) as person
  from roster.users u
 where u.status = 'active' and u.role = 'student' and u.tenant in (select roster_app.visible_tenants());

-- Enrollments that hold today. Where an enrollment has no dates, the terms of its class decide; a class whose terms are
-- not known counts as under way.
create view roster_app.enrollments_today with (security_barrier) as
select e.tenant, e.sourced_id, e.user_sourced_id, e.class_sourced_id, e.school_sourced_id, e.role, e."primary",
       e.begin_date, e.end_date, coalesce(u.person, u.sourced_id) as person
  from roster.enrollments e
  join roster.users u on u.tenant = e.tenant and u.sourced_id = e.user_sourced_id and u.status = 'active'
  join roster.classes c on c.tenant = e.tenant and c.sourced_id = e.class_sourced_id and c.status = 'active'
 where e.status = 'active' and e.tenant in (select roster_app.visible_tenants())
   and (e.begin_date is null or e.begin_date <= current_date)
   and (e.end_date is null or current_date < e.end_date)
   and (
     e.end_date is not null
     or not exists (
       select from roster.academic_sessions s
        where s.tenant = c.tenant and s.sourced_id = any (c.term_sourced_ids) and s.status = 'active')
     or exists (
       select from roster.academic_sessions s
        where s.tenant = c.tenant and s.sourced_id = any (c.term_sourced_ids) and s.status = 'active'
          and s.start_date <= current_date and current_date < s.end_date)
   );

-- One row for each person in each class that is taught today.
create view roster_app.class_rosters with (security_barrier) as
select e.tenant, e.class_sourced_id, c.title as class_title, c.class_code, c.course_sourced_id,
       k.title as course_title, e.school_sourced_id, o.name as school_name, c.periods, c.term_sourced_ids,
       e.role, e."primary", e.user_sourced_id, u.given_name, u.family_name, u.grades, e.begin_date, e.end_date,
       e.person
  from roster_app.enrollments_today e
  join roster.classes c on c.tenant = e.tenant and c.sourced_id = e.class_sourced_id
  join roster.users u on u.tenant = e.tenant and u.sourced_id = e.user_sourced_id
  left join roster.courses k on k.tenant = c.tenant and k.sourced_id = c.course_sourced_id
  left join roster.orgs o on o.tenant = e.tenant and o.sourced_id = e.school_sourced_id;

-- Students who may be put on a test plan: active, not disabled by their district, and in a class today.
create view roster_app.testable_students with (security_barrier) as
select a.*
  from roster_app.active_students a
 where a.enabled_user is not false
   and exists (
     select from roster_app.enrollments_today e
      where e.tenant = a.tenant and e.user_sourced_id = a.sourced_id and e.role = 'student');

-- Access ends by itself while a person is not active, and comes back with them: it is never copied.
create view roster_app.access with (security_barrier) as
select u.tenant, u.sourced_id as user_sourced_id, u.given_name, u.family_name, u.email, u.username, u.role,
       u.org_sourced_ids, x.permissions, x.granted_at, coalesce(u.person, u.sourced_id) as person
  from roster.app_access x
  join roster.users u on u.tenant = x.tenant and u.sourced_id = x.user_sourced_id
 where x.revoked_at is null and u.status = 'active' and u.enabled_user is not false
   and u.tenant in (select roster_app.visible_tenants());

-- Refuses a tenant that the session may not read. Says nothing about whether there is such a tenant.
create function roster_app.require_visible(p_tenant text) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from roster_app.visible_tenants() v where v = p_tenant) then
    raise exception 'TenantNotVisible' using errcode = 'RO008';
  end if;
end
$$;

-- Names ids that the application uses for a purpose ("test plan 4711") until a day, if one is known. Said again, the
-- day is the new one. Answers how many of them are active records. People may be named by sourced_id or by person.
create function roster_app.register_use(
  p_tenant text, p_entity text, p_sourced_ids text[], p_purpose text, p_until date default null
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found integer;
  v_ids text[];
begin
  perform roster_app.require_visible(p_tenant);
  -- A person may be named by the key that stays theirs: it is the id that they have now that is in use.
  select array_agg(distinct coalesce(
           (select min(u.sourced_id) from roster.users u
             where p_entity = 'users' and u.tenant = p_tenant and u.person = i and u.status = 'active'
               and not exists (select from roster.users o
                                where o.tenant = p_tenant and o.sourced_id = i and o.status = 'active')), i))
    into v_ids from unnest(p_sourced_ids) i where i is not null;
  insert into roster.reference_use (tenant, entity, sourced_id, purpose, used_until, registered_by)
  select p_tenant, p_entity, i, p_purpose, p_until, session_user from unnest(v_ids) i
  on conflict (tenant, entity, sourced_id, purpose)
  do update set used_until = excluded.used_until, registered_by = excluded.registered_by, registered_at = now();
  execute format(
    'select count(*) from roster.%I where tenant = $1 and sourced_id = any ($2) and status = ''active''',
    case p_entity when 'academicSessions' then 'academic_sessions' else p_entity end
  ) into v_found using p_tenant, v_ids;
  return v_found;
end
$$;

-- Ends the uses of a purpose. Answers how many ended.
create function roster_app.release_use(p_tenant text, p_purpose text) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ended integer;
begin
  perform roster_app.require_visible(p_tenant);
  delete from roster.reference_use where tenant = p_tenant and purpose = p_purpose;
  get diagnostics v_ended = row_count;
  return v_ended;
end
$$;

revoke execute on all functions in schema roster_app from public;
grant usage on schema roster_app to roster_reader;
grant select on all tables in schema roster_app to roster_reader;
grant execute on function
  roster_app.visible_tenants, roster_app.register_use, roster_app.release_use to roster_reader;
