-- The console pins values and decides on matches.
--
-- Both touch rows that came from a source, which the console's login may not change. What it may write is who said what:
-- rows of pin and match_decision. The functions here carry out what stands there, and nothing else.

-- Columns that a person may set against the source. What a record refers to is not: it may go. A role decides what
-- somebody may see. (A test holds this and pins.fields together.)
create function roster.pinnable(p_entity text, p_field text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select p_entity in ('orgs', 'academicSessions', 'courses', 'classes', 'users', 'enrollments', 'demographics')
     and exists (
       select from pg_attribute a
        where a.attrelid = to_regclass(
                'roster.' || case p_entity when 'academicSessions' then 'academic_sessions' else p_entity end)
          and a.attname = p_field and a.attnum > 0 and not a.attisdropped and a.atttypid <> 'jsonb'::regtype
          and a.attname not like '%sourced\_id%'
          and a.attname <> all (array['tenant', 'status', 'source', 'inactive_cause', 'inactive_since', 'first_seen',
                                      'last_changed', 'raw_hash', 'row_hash', 'person', 'date_last_modified', 'role']))
$$;

-- A console's login acts for the tenant of its recorded reading alone.
create function roster.require_open(p_tenant text) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from roster.console c where c.login = session_user)
     and roster.session_tenant() is distinct from p_tenant then
    raise exception 'TenantNotOpen' using errcode = 'RO011';
  end if;
end
$$;

-- Puts a pin's value on its record, and gives the pin the value as the column then has it.
create function roster.apply_pin(p_tenant text, p_entity text, p_sourced_id text, p_field text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_value jsonb;
begin
  perform roster.require_open(p_tenant);
  if not roster.pinnable(p_entity, p_field) then
    raise exception 'FieldNotPinnable' using errcode = 'RO040';
  end if;
  execute format(
    'update roster.%1$I m set %2$I = r.%2$I, last_changed = now(),'
    ' row_hash = sha256(m.row_hash || convert_to(jsonb_build_object(p.field, to_jsonb(r) -> p.field)::text, ''UTF8''))'
    ' from roster.pin p'
    ' cross join lateral jsonb_populate_record(null::roster.%1$I, jsonb_build_object(p.field, p.value)) r'
    ' where p.tenant = $1 and p.entity = $2 and p.sourced_id = $3 and p.field = $4 and p.released_at is null'
    ' and m.tenant = p.tenant and m.sourced_id = p.sourced_id and m.status = ''active'' and m.source = ''SIS'''
    ' returning to_jsonb(m) -> p.field',
    case p_entity when 'academicSessions' then 'academic_sessions' else p_entity end, p_field
  ) into v_value using p_tenant, p_entity, p_sourced_id, p_field;
  if v_value is null then -- an emptied field is a JSON null
    raise exception 'RecordUnknown' using errcode = 'RO041';
  end if;
  update roster.pin set value = v_value
   where tenant = p_tenant and entity = p_entity and sourced_id = p_sourced_id and field = p_field;
end
$$;

-- Links two people whom somebody has said to be one, in a change by hand that is recorded already.
create function roster.link_by_hand(p_tenant text, p_manual text, p_sis text, p_run uuid, p_version bigint)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform roster.require_open(p_tenant);
  if not exists (select from roster.manual_change
                  where tenant = p_tenant and run = p_run and data_version = p_version)
     or not exists (select from roster.match_decision where tenant = p_tenant and manual_sourced_id = p_manual
                       and sourced_id = p_sis and decision = 'accepted')
     or 2 <> (select count(*) from roster.users where tenant = p_tenant and status = 'active'
                 and (sourced_id = p_manual and source = 'Manual' or sourced_id = p_sis and source = 'SIS')) then
    raise exception 'RecordUnknown' using errcode = 'RO041';
  end if;
  insert into roster.succession (tenant, run, entity, old_sourced_id, new_sourced_id, kind, basis, data_version)
  values (p_tenant, p_run, 'users', p_manual, p_sis, 'link', 'person', p_version);
  perform roster.succeed(p_tenant, p_run, p_version);
end
$$;

-- Parts two who were linked. False: they were not.
create function roster.unlink_by_hand(
  p_tenant text, p_manual text, p_sis text, p_run uuid, p_version bigint, p_by text
) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_linked_in uuid;
begin
  perform roster.require_open(p_tenant);
  if not exists (select from roster.manual_change
                  where tenant = p_tenant and run = p_run and data_version = p_version) then
    raise exception 'RecordUnknown' using errcode = 'RO041';
  end if;
  select run into v_linked_in from roster.succession
   where tenant = p_tenant and entity = 'users' and old_sourced_id = p_manual and new_sourced_id = p_sis
     and kind = 'link' and undone_at is null
     -- What retention has taken does not stand up again.
     and exists (select from roster.users u where u.tenant = p_tenant and u.sourced_id = p_manual and u.status = 'inactive')
     for update;
  if not found then
    return false;
  end if;
  perform roster.unlink(p_tenant, v_linked_in, p_manual, p_run, p_version, p_by);
  return true;
end
$$;
revoke execute on function
  roster.pinnable, roster.require_open, roster.apply_pin, roster.link_by_hand, roster.unlink_by_hand from public;
grant execute on function
  roster.pinnable, roster.apply_pin, roster.link_by_hand, roster.unlink_by_hand to roster_console;

create policy console_adds on roster.pin for insert to roster_console
  with check (tenant = (select roster.session_tenant()) and roster.pinnable(entity, field));
create policy console_changes on roster.pin for update to roster_console
  using (tenant = (select roster.session_tenant())) with check (tenant = (select roster.session_tenant()));
grant insert, update on roster.pin to roster_console;
create policy console_writes on roster.match_decision to roster_console
  using (tenant = (select roster.session_tenant())) with check (tenant = (select roster.session_tenant()));
grant insert, update, delete on roster.match_decision to roster_console;
alter policy console_adds on roster.change_log
  with check ((action like 'manual%' or action = 'unpin') and tenant = (select roster.session_tenant()));
