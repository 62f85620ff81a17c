-- People who come under another id, and values that a person has pinned.
--
-- Somebody who was added by hand comes with the SIS (a link), or the SIS gives people new sourcedIds (a new key). Either
-- way the row of the old id ends, the row of the new id is the person from then on, and what hangs on the person moves:
-- users.person, first_seen, access, ids in use, pins, enrollments made by hand. What moved is written down, so that it
-- can be moved back.

alter table roster.change_log drop constraint change_log_action_check;
alter table roster.change_log add constraint change_log_action_check check (action in (
  'create', 'update', 'reactivate', 'tobedeleted', 'vanished', 'outOfScope', 'undone', 'concluded', 'schoolClosed',
  'manualCreate', 'manualUpdate', 'manualEnd', 'link', 'newKey', 'followed', 'unlink', 'unpin'));

do $$
declare
  t text;
begin
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    execute format('alter table roster.%I drop constraint %I, add constraint %2$I '
                   'check (inactive_cause in (''tobedeleted'', ''vanished'', ''outOfScope'', ''undone'', ''concluded'', '
                   '''schoolClosed'', ''link'', ''newKey''))',
                   t, t || '_inactive_cause_check');
  end loop;
end
$$;
create index users_person on roster.users (tenant, person) where person is not null;

-- A value that a person has set on a row of the SIS, and that syncs leave alone until then.
create table roster.pin (
  tenant text collate "C" not null,
  entity text not null,
  sourced_id text collate "C" not null,
  field text not null, -- the column's name
  value jsonb not null, -- as to_jsonb gives it
  until timestamptz, -- exclusive
  pinned_by text not null,
  reason text,
  pinned_at timestamptz not null default now(),
  released_at timestamptz, -- kept until a sync has shown the record again
  released_by text,
  primary key (tenant, entity, sourced_id, field)
);

-- What a waiting run would do to ids: computed with its plan, and anew in the merge's transaction.
create table roster.proposed_succession (
  tenant text collate "C" not null,
  run uuid not null,
  entity text not null,
  old_sourced_id text collate "C" not null,
  new_sourced_id text collate "C" not null,
  kind text not null check (kind in ('link', 'newKey', 'unlink')),
  basis text not null, -- what is equal on both sides
  arrival text check (arrival in ('create', 'reactivate')), -- what becomes of the new id's row; null: it is there
  primary key (tenant, run, entity, old_sourced_id),
  unique (tenant, run, entity, new_sourced_id)
);

-- Ids that were succeeded by others, and what moved with them.
create table roster.succession (
  tenant text collate "C" not null,
  run uuid not null, -- of the merge, or of the change by hand
  entity text not null,
  old_sourced_id text collate "C" not null,
  new_sourced_id text collate "C" not null,
  kind text not null,
  basis text not null,
  arrival text,
  data_version bigint not null,
  since timestamptz not null default now(),
  old_person text collate "C", -- users: who the old id's row was
  person text collate "C", -- users: who the new id's row is from then on
  person_before text collate "C", -- users: what users.person of the new id's row was
  first_seen_before timestamptz, -- of the new id's row
  access_moved boolean not null default false,
  uses_moved text[] not null default '{}', -- purposes
  pins_moved text[] not null default '{}', -- fields
  undone_at timestamptz,
  undone_by text,
  primary key (tenant, run, entity, old_sourced_id)
);
create index succession_old on roster.succession (tenant, entity, old_sourced_id);

-- What a person has said of somebody who was added by hand and somebody of the SIS.
create table roster.match_decision (
  tenant text collate "C" not null,
  manual_sourced_id text collate "C" not null,
  sourced_id text collate "C" not null,
  decision text not null check (decision in ('accepted', 'rejected')),
  decided_by text not null,
  reason text,
  decided_at timestamptz not null default now(),
  primary key (tenant, manual_sourced_id, sourced_id)
);

do $$
declare
  t text;
begin
  foreach t in array array['pin', 'proposed_succession', 'succession', 'match_decision']
  loop
    execute format('alter table roster.%I enable row level security', t);
    execute format('create policy own_tenant on roster.%I for select to roster_stager, roster_merger '
                   'using (tenant = (select roster.session_tenant()))', t);
    execute format('create policy console_reads on roster.%I for select to roster_console '
                   'using (tenant = (select roster.session_tenant()))', t);
    execute format('grant select on roster.%I to roster_stager, roster_merger, roster_console', t);
  end loop;
end
$$;
-- A proposal is no decision: the merge makes its own, and compares digests.
create policy proposing on roster.proposed_succession to roster_stager, roster_merger
  using (tenant = (select roster.session_tenant())) with check (tenant = (select roster.session_tenant()));
grant insert, delete on roster.proposed_succession to roster_stager, roster_merger;
-- A merge clears away pins that no longer hold.
create policy spent on roster.pin for delete to roster_merger
  using (tenant = (select roster.session_tenant()) and (released_at is not null or until <= now()));
grant delete on roster.pin to roster_merger;

-- Does what is written in succession under a run: the rows of the old ids end, and what hangs on them moves. The rows of
-- the new ids stand already.
create function roster.succeed(p_tenant text, p_run uuid, p_version bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity text;
  v_pairs text;
begin
  foreach v_entity in array array['users', 'enrollments', 'demographics']
  loop
    continue when not exists (
      select from roster.succession where tenant = p_tenant and run = p_run and entity = v_entity);
    v_pairs := format('roster.succession x join roster.%I o on o.tenant = x.tenant and o.sourced_id = x.old_sourced_id '
                      'join roster.%1$I n on n.tenant = x.tenant and n.sourced_id = x.new_sourced_id '
                      'where x.tenant = $1 and x.run = $2 and x.entity = %L', v_entity, v_entity);
    execute 'insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old) '
            'select $1, $3, $2, x.entity, x.kind, o.sourced_id, to_jsonb(o) from ' || v_pairs
      using p_tenant, p_run, p_version;
    execute format('update roster.succession y set first_seen_before = n.first_seen%s from %s '
                   'and y.tenant = x.tenant and y.run = x.run and y.entity = x.entity and y.old_sourced_id = x.old_sourced_id',
                   case v_entity when 'users' then
                     ', person_before = n.person, old_person = coalesce(o.person, o.sourced_id), person = '
                     'case when x.arrival is null then coalesce(n.person, n.sourced_id) else coalesce(o.person, o.sourced_id) end'
                   else '' end, v_pairs)
      using p_tenant, p_run;
    -- Who was there already stays who they were, and from when on.
    execute format('update roster.%I y set first_seen = '
                   'case when x.arrival is null then n.first_seen else least(n.first_seen, o.first_seen) end%s from %s '
                   'and y.tenant = n.tenant and y.sourced_id = n.sourced_id', v_entity,
                   case v_entity when 'users' then ', person = nullif(x.person, n.sourced_id)' else '' end, v_pairs)
      using p_tenant, p_run;
    execute format('update roster.%I o set status = ''inactive'', inactive_cause = x.kind, inactive_since = now(), '
                   'last_changed = now() from roster.succession x where x.tenant = $1 and x.run = $2 and x.entity = %L '
                   'and o.tenant = x.tenant and o.sourced_id = x.old_sourced_id', v_entity, v_entity)
      using p_tenant, p_run;
  end loop;

  update roster.succession x set
         access_moved = x.entity = 'users'
           and exists (select from roster.app_access a where a.tenant = x.tenant and a.user_sourced_id = x.old_sourced_id)
           and not exists (select from roster.app_access a where a.tenant = x.tenant and a.user_sourced_id = x.new_sourced_id),
         uses_moved = array(
           select r.purpose from roster.reference_use r
            where r.tenant = x.tenant and r.entity = x.entity and r.sourced_id = x.old_sourced_id
              and not exists (select from roster.reference_use k where k.tenant = r.tenant and k.entity = r.entity
                                 and k.sourced_id = x.new_sourced_id and k.purpose = r.purpose)),
         pins_moved = array(
           select p.field from roster.pin p
            where p.tenant = x.tenant and p.entity = x.entity and p.sourced_id = x.old_sourced_id
              and not exists (select from roster.pin k where k.tenant = p.tenant and k.entity = p.entity
                                 and k.sourced_id = x.new_sourced_id and k.field = p.field))
   where x.tenant = p_tenant and x.run = p_run;
  update roster.app_access a set user_sourced_id = x.new_sourced_id from roster.succession x
   where x.tenant = p_tenant and x.run = p_run and x.access_moved
     and a.tenant = x.tenant and a.user_sourced_id = x.old_sourced_id;
  update roster.reference_use r set sourced_id = x.new_sourced_id from roster.succession x
   where x.tenant = p_tenant and x.run = p_run and r.tenant = x.tenant and r.entity = x.entity
     and r.sourced_id = x.old_sourced_id and r.purpose = any (x.uses_moved);
  update roster.pin p set sourced_id = x.new_sourced_id from roster.succession x
   where x.tenant = p_tenant and x.run = p_run and p.tenant = x.tenant and p.entity = x.entity
     and p.sourced_id = x.old_sourced_id and p.field = any (x.pins_moved);

  -- Enrollments that still name the old id: those made by hand, and those that this pull could not renew. One that the
  -- person has under the new id as well ends.
  insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)
  select e.tenant, p_version, p_run, 'enrollments', 'followed', e.sourced_id, to_jsonb(e)
    from roster.succession x join roster.enrollments e on e.tenant = x.tenant and e.user_sourced_id = x.old_sourced_id
   where x.tenant = p_tenant and x.run = p_run and x.entity = 'users' and e.status = 'active';
  update roster.enrollments e
     set status = 'inactive', inactive_cause = x.kind, inactive_since = now(), last_changed = now()
    from roster.succession x
   where x.tenant = p_tenant and x.run = p_run and x.entity = 'users' and e.tenant = x.tenant
     and e.user_sourced_id = x.old_sourced_id and e.status = 'active'
     and exists (select from roster.enrollments k where k.tenant = e.tenant and k.user_sourced_id = x.new_sourced_id
                    and k.class_sourced_id = e.class_sourced_id and k.role = e.role and k.status = 'active');
  -- One of the source is another row from then on: an undo of what came before must not turn it back to the old id.
  update roster.enrollments e
     set user_sourced_id = x.new_sourced_id, last_changed = now(),
         row_hash = case e.source when 'SIS' then sha256(e.row_hash || convert_to(x.new_sourced_id, 'UTF8'))
                                  else e.row_hash end
    from roster.succession x
   where x.tenant = p_tenant and x.run = p_run and x.entity = 'users' and e.tenant = x.tenant
     and e.user_sourced_id = x.old_sourced_id and e.status = 'active';
end
$$;

-- Two people again: the row of who was added by hand stands up, and what moved from it moves back, also where the other
-- person has had yet another id since.
create function roster.unlink(
  p_tenant text, p_linked_in uuid, p_manual text, p_run uuid, p_version bigint, p_by text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  x roster.succession;
  v_ids text[]; -- of the other person, from the link on
  v_now text; -- the last of them
  v_person text; -- who the other person is without the link
begin
  select * into strict x from roster.succession
   where tenant = p_tenant and run = p_linked_in and entity = 'users' and old_sourced_id = p_manual and undone_at is null;
  with recursive had(id, version) as (
    select x.new_sourced_id, x.data_version
    union all
    select s.new_sourced_id, s.data_version
      from had h cross join lateral (
        select n.new_sourced_id, n.data_version from roster.succession n
         where n.tenant = p_tenant and n.entity = 'users' and n.kind = 'newKey' and n.old_sourced_id = h.id
           and n.data_version > h.version
         order by n.data_version limit 1) s)
  select array_agg(id order by version), (array_agg(id order by version desc))[1] into v_ids, v_now from had;
  v_person := coalesce(x.person_before, x.new_sourced_id);

  insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)
  select o.tenant, p_version, p_run, 'users', 'unlink', o.sourced_id, to_jsonb(o)
    from roster.users o where o.tenant = p_tenant and o.sourced_id = p_manual;
  update roster.users set status = 'active', inactive_cause = null, inactive_since = null, last_changed = now()
   where tenant = p_tenant and sourced_id = p_manual;
  -- Their enrollments: those that went over with them, and those that ended because they had them twice.
  with theirs as (
    select e.sourced_id from roster.change_log l
      join roster.enrollments e on e.tenant = l.tenant and e.sourced_id = l.sourced_id
     where l.tenant = p_tenant and l.run = p_linked_in and l.action = 'followed' and l.old ->> 'user_sourced_id' = p_manual
       and (e.user_sourced_id = v_now and e.status = 'active'
            or e.user_sourced_id = any (p_manual || v_ids) and e.inactive_cause in ('link', 'newKey'))),
  told as (
    insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)
    select e.tenant, p_version, p_run, 'enrollments', 'unlink', e.sourced_id, to_jsonb(e)
      from theirs t join roster.enrollments e on e.tenant = p_tenant and e.sourced_id = t.sourced_id)
  update roster.enrollments e
     set user_sourced_id = p_manual, status = 'active', inactive_cause = null, inactive_since = null, last_changed = now()
    from theirs t where e.tenant = p_tenant and e.sourced_id = t.sourced_id;

  update roster.app_access a set user_sourced_id = p_manual
   where x.access_moved and a.tenant = p_tenant and a.user_sourced_id = v_now
     and not exists (select from roster.app_access k where k.tenant = a.tenant and k.user_sourced_id = p_manual);
  update roster.reference_use r set sourced_id = p_manual
   where r.tenant = p_tenant and r.entity = 'users' and r.sourced_id = v_now and r.purpose = any (x.uses_moved)
     and not exists (select from roster.reference_use k where k.tenant = r.tenant and k.entity = r.entity
                        and k.sourced_id = p_manual and k.purpose = r.purpose);
  update roster.pin p set sourced_id = p_manual
   where p.tenant = p_tenant and p.entity = 'users' and p.sourced_id = v_now and p.field = any (x.pins_moved)
     and not exists (select from roster.pin k where k.tenant = p.tenant and k.entity = p.entity
                        and k.sourced_id = p_manual and k.field = p.field);
  -- Who the other one is by themselves. Of a person who was somebody of their own before, nothing was taken over; an id
  -- that has come again is somebody else's.
  with alone as (
    select n.sourced_id, to_jsonb(n) as old, nullif(v_person, n.sourced_id) as person,
           case when n.sourced_id = x.new_sourced_id or n.first_seen = m.first_seen
                then x.first_seen_before else n.first_seen end as first_seen
      from roster.users n join roster.users m on m.tenant = n.tenant and m.sourced_id = p_manual
     where n.tenant = p_tenant and n.sourced_id = any (v_ids) and coalesce(n.person, n.sourced_id) = x.person
       and x.arrival is not null),
  told as (
    insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)
    select p_tenant, p_version, p_run, 'users', 'unlink', a.sourced_id, a.old from alone a)
  update roster.users n set person = a.person, first_seen = a.first_seen
    from alone a where n.tenant = p_tenant and n.sourced_id = a.sourced_id;
  update roster.succession s
     set old_person = case s.old_person when x.person then v_person else s.old_person end,
         person = case s.person when x.person then v_person else s.person end
   where s.tenant = p_tenant and s.entity = 'users' and s.kind = 'newKey' and s.data_version > x.data_version
     and s.old_sourced_id = any (v_ids) and s.new_sourced_id = any (v_ids);
  update roster.succession set undone_at = now(), undone_by = p_by
   where tenant = p_tenant and run = p_linked_in and entity = 'users' and undone_at is null and old_sourced_id = p_manual;
end
$$;

-- The merge's part: what its plan proposed becomes so.
create function roster.apply_successions(p_run uuid, p_version bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
begin
  perform from roster.sync_run where tenant = v_tenant and run = p_run and state = 'Staged';
  if not found then
    raise exception 'NotStaged' using errcode = 'RO007';
  end if;
  insert into roster.succession (tenant, run, entity, old_sourced_id, new_sourced_id, kind, basis, arrival, data_version)
  select x.tenant, x.run, x.entity, x.old_sourced_id, x.new_sourced_id, x.kind, x.basis, x.arrival, p_version
    from roster.proposed_succession x where x.tenant = v_tenant and x.run = p_run and x.kind <> 'unlink';
  perform roster.succeed(v_tenant, p_run, p_version);
  -- An undo of the merge that linked them.
  perform roster.unlink(v_tenant, s.run, s.old_sourced_id, p_run, p_version, 'undo')
     from roster.proposed_succession x
     join roster.succession s on s.tenant = x.tenant and s.entity = x.entity and s.old_sourced_id = x.new_sourced_id
      and s.new_sourced_id = x.old_sourced_id and s.kind = 'link' and s.undone_at is null
    where x.tenant = v_tenant and x.run = p_run and x.kind = 'unlink';
end
$$;

-- An id that was succeeded comes again by itself: it is somebody else from now on.
create function roster.tell_apart(p_run uuid, p_version bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
begin
  update roster.users u set person = 'again-' || gen_random_uuid()
    from roster.change_log l
   where l.tenant = v_tenant and l.data_version = p_version and l.run = p_run and l.entity = 'users'
     and l.action in ('create', 'reactivate') and u.tenant = v_tenant and u.sourced_id = l.sourced_id
     and exists (select from roster.succession x where x.tenant = v_tenant and x.entity = 'users'
                    and x.old_sourced_id = u.sourced_id and x.undone_at is null)
     -- The person may be under the first of their ids again, where person is empty. Two questions, as each has an index.
     and (exists (select from roster.users o where o.tenant = v_tenant and o.status = 'active'
                     and o.sourced_id <> u.sourced_id and o.person = coalesce(u.person, u.sourced_id))
          or exists (select from roster.users o where o.tenant = v_tenant and o.status = 'active'
                        and o.sourced_id = u.person and o.person is null));
end
$$;

-- Where a person who had another id is now.
create view roster_app.former_ids with (security_barrier) as
select x.tenant, x.old_sourced_id as former_sourced_id, x.old_person as former_person, u.sourced_id,
       coalesce(u.person, u.sourced_id) as person, x.kind, x.since
  from roster.succession x
  join roster.users u on u.tenant = x.tenant and u.status = 'active'
   and (u.person = x.person or u.person is null and u.sourced_id = x.person)
 where x.entity = 'users' and x.undone_at is null and x.tenant in (select roster_app.visible_tenants());
grant select on roster_app.former_ids to roster_reader;

revoke execute on function
  roster.succeed, roster.apply_successions, roster.tell_apart, roster.unlink from public;
grant execute on function roster.apply_successions, roster.tell_apart to roster_merger;
