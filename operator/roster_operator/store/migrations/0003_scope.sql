-- What the application takes of a source. Records that fall out of its scope are named so, in the plan, in the history
-- and on the rows; they are never called vanished.

alter table roster.change_log
  drop constraint change_log_action_check,
  add constraint change_log_action_check
    check (action in ('create', 'update', 'reactivate', 'tobedeleted', 'vanished', 'outOfScope'));

do $$
declare
  t text;
begin
  foreach t in array array['orgs', 'academic_sessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    execute format('alter table roster.%I drop constraint %I, add constraint %2$I '
                   'check (inactive_cause in (''tobedeleted'', ''vanished'', ''outOfScope''))', t, t || '_inactive_cause_check');
  end loop;
end
$$;

-- Ids that are out of scope in this run: those that the pull saw and left out, and what follows from them.
create table roster_stage.template_scoped_out (
  entity text not null,
  sourced_id text collate "C" not null,
  shown boolean not null -- the source showed the record in this pull
);

-- What the tables of a run are: one for each template. A new template is all that a new table needs.
create function roster.stage_parts() returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select substr(c.relname, length('template_') + 1) from pg_class c
   where c.relnamespace = 'roster_stage'::regnamespace and c.relkind = 'r' and c.relname like 'template\_%'
   order by c.relname;
end;

-- As before, with the run's tables as the templates say.
create or replace function roster.open_stage(
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
  for what in select p from roster.stage_parts() p
  loop
    v_table := roster.stage_table(v_tenant, p_run, r.token + 1, what);
    -- Written once, and analyzed by the seal. An autovacuum that came at the same time would hold it up, or end it: the
    -- seal waits for its lock on the table, and it for what the seal has changed of the table's rights.
    execute format('create table roster_stage.%I (like roster_stage.%I) with (autovacuum_enabled = false)',
                   v_table, 'template_' || what);
    execute format('grant select, insert on roster_stage.%I to %I', v_table, session_user);
  end loop;
  return r.token + 1;
end
$$;

create or replace function roster.restart_stage(p_run uuid, p_token integer, p_what text, p_entity text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  what text;
begin
  perform from roster.sync_run where tenant = v_tenant and run = p_run and token = p_token and state = 'Staging' for update;
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
  execute format('truncate roster_stage.%I', roster.stage_table(v_tenant, p_run, p_token, p_what));
  foreach what in array array['issue', 'unseen', 'scoped_out']
  loop
    execute format('delete from roster_stage.%I where entity = $1', roster.stage_table(v_tenant, p_run, p_token, what))
      using p_entity;
  end loop;
end
$$;

create or replace function roster.seal_stage(
  p_run uuid, p_token integer, p_source_version text, p_pull jsonb, p_removable text[]
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set default_statistics_target = 10 -- enough for the joins of a plan; the usual 100 would cost more than they do
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
  for what in select p from roster.stage_parts() p
  loop
    v_table := roster.stage_table(v_tenant, p_run, p_token, what);
    execute format('analyze roster_stage.%I', v_table);
    execute format('revoke insert on roster_stage.%I from %I', v_table, session_user);
    execute format('grant select on roster_stage.%I to %I', v_table, v_merge_login);
  end loop;
end
$$;

-- Marks records of one entity as out of scope where the condition holds: staged ones, and merged ones that this run
-- left alone. In the condition m is the record, $1 the ids of the schools that are taken. Of p_partial entities the pull
-- did not show every record, so of a row that was left alone nobody knows whether it was shown. Only called by
-- scope_stage.
create function roster.scope_out(
  p_tenant text, p_run uuid, p_token integer, p_entity text, p_what text, p_condition text, p_schools text[], p_partial text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_staged text := roster.stage_table(p_tenant, p_run, p_token, p_what);
  v_out text := roster.stage_table(p_tenant, p_run, p_token, 'scoped_out');
  v_issue text := roster.stage_table(p_tenant, p_run, p_token, 'issue');
  v_unseen text := roster.stage_table(p_tenant, p_run, p_token, 'unseen');
  -- A record with an error is skipped, and its merged row stays as it was.
  v_open text := format(
    'not exists (select from roster_stage.%1$I i where i.entity = %2$L and i.severity = ''error'' and i.sourced_id = m.sourced_id)'
    ' and not exists (select from roster_stage.%3$I o where o.entity = %2$L and o.sourced_id = m.sourced_id)',
    v_issue, p_entity, v_out);
begin
  execute format(
    'insert into roster_stage.%I select %L, m.sourced_id, true from roster_stage.%I m where m.status = ''active'' and %s and (%s)',
    v_out, p_entity, v_staged, v_open, p_condition) using p_schools;
  execute format(
    'insert into roster_stage.%1$I select %2$L, m.sourced_id, $2 and m.raw_hash is not null and not exists ('
    '   select from roster_stage.%3$I u where u.entity = %2$L and u.raw_hash = m.raw_hash)'
    ' from roster.%4$I m where m.tenant = %5$L and m.status = ''active'' and m.source = ''SIS'' and %6$s and (%7$s)'
    ' and not exists (select from roster_stage.%8$I s where s.sourced_id = m.sourced_id)',
    v_out, p_entity, v_unseen, p_what, p_tenant, v_open, p_condition, v_staged)
    using p_schools, p_entity <> all (p_partial);
end
$$;

-- What follows from the records that the pull left out: unchanged records are not decoded, so only here is all of it
-- known. Staged rows that are out of scope are taken away. Comes after the whole pull and before the seal.
create function roster.scope_stage(
  p_run uuid, p_token integer, p_schools text[], p_enrolled_only boolean, p_untaken text[], p_removable text[],
  p_partial text[]
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set default_statistics_target = 10
as $$
declare
  v_tenant text := roster.require_tenant();
  v_out text := roster.stage_table(v_tenant, p_run, p_token, 'scoped_out');
  v_issue text := roster.stage_table(v_tenant, p_run, p_token, 'issue');
  v_is_out text := format('exists (select from roster_stage.%I o where o.entity = %%L and o.sourced_id = %%s)', v_out);
  what text;
  v_entity text;
begin
  perform from roster.sync_run where tenant = v_tenant and run = p_run and token = p_token and state = 'Staging' for update;
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;
  for what in select p from roster.stage_parts() p
  loop
    execute format('analyze roster_stage.%I', roster.stage_table(v_tenant, p_run, p_token, what));
  end loop;
  -- Of a record that cannot be taken nobody knows whether it is out of scope, and nothing follows from it.
  execute format('delete from roster_stage.%I o where exists (select from roster_stage.%I i where i.entity = o.entity '
                 'and i.severity = ''error'' and i.sourced_id = o.sourced_id)',
                 v_out, roster.stage_table(v_tenant, p_run, p_token, 'issue'));
  if cardinality(p_schools) > 0 then
    perform roster.scope_out(v_tenant, p_run, p_token, 'orgs', 'orgs',
      'm.type = ''school'' and m.sourced_id <> all ($1)', p_schools, p_partial);
    perform roster.scope_out(v_tenant, p_run, p_token, 'users', 'users',
      format('not m.org_sourced_ids && $1 and exists (select from unnest(m.org_sourced_ids) as i(id) where %s)',
             format(v_is_out, 'orgs', 'i.id')), p_schools, p_partial);
  end if;
  perform roster.scope_out(v_tenant, p_run, p_token, 'classes', 'classes',
    format('%s or cardinality(m.term_sourced_ids) > 0 and not exists '
           '(select from unnest(m.term_sourced_ids) as i(id) where not %s)',
           format(v_is_out, 'orgs', 'm.school_sourced_id'), format(v_is_out, 'academicSessions', 'i.id')),
    p_schools, p_partial);
  perform roster.scope_out(v_tenant, p_run, p_token, 'enrollments', 'enrollments',
    format('%s or %s or %s', format(v_is_out, 'classes', 'm.class_sourced_id'),
           format(v_is_out, 'users', 'm.user_sourced_id'), format(v_is_out, 'orgs', 'm.school_sourced_id')),
    p_schools, p_partial);
  if p_enrolled_only then
    -- Enrollments as they will be after the merge, so that what an unproved pull did not show still counts.
    perform roster.scope_out(v_tenant, p_run, p_token, 'users', 'users', format(
      'm.role = ''student'' and not exists (select from ('
      ' select s.user_sourced_id as id from roster_stage.%1$I s where s.status = ''active'''
      '  and not exists (select from roster_stage.%2$I i where i.entity = ''enrollments'' and i.severity = ''error'''
      '   and i.sourced_id = s.sourced_id)'
      '  and not exists (select from roster_stage.%3$I o where o.entity = ''enrollments'' and o.sourced_id = s.sourced_id)'
      ' union all select x.user_sourced_id from roster.enrollments x where x.tenant = %5$L and x.status = ''active'''
      '  and not exists (select from roster_stage.%3$I o where o.entity = ''enrollments'' and o.sourced_id = x.sourced_id)'
      '  and (x.source = ''Manual'''
      '   or exists (select from roster_stage.%2$I i where i.entity = ''enrollments'' and i.severity = ''error'''
      '    and i.sourced_id = x.sourced_id)'
      '   or not exists (select from roster_stage.%1$I s where s.sourced_id = x.sourced_id'
      '     and (s.status = ''active'' or %6$L))'
      '    and not (%7$L and (x.raw_hash is null or exists ('
      '     select from roster_stage.%4$I u where u.entity = ''enrollments'' and u.raw_hash = x.raw_hash))))'
      ') e where e.id = m.sourced_id)',
      roster.stage_table(v_tenant, p_run, p_token, 'enrollments'), v_issue, v_out,
      roster.stage_table(v_tenant, p_run, p_token, 'unseen'), v_tenant,
      'enrollments' = any (p_removable), 'enrollments' = any (p_removable) and 'enrollments' <> all (p_partial)),
      p_schools, p_partial);
  end if;
  perform roster.scope_out(v_tenant, p_run, p_token, 'demographics', 'demographics',
    format(v_is_out, 'users', 'm.sourced_id'), p_schools, p_partial);
  foreach v_entity in array array['orgs', 'academicSessions', 'courses', 'classes', 'users', 'enrollments', 'demographics']
  loop
    what := case v_entity when 'academicSessions' then 'academic_sessions' else v_entity end;
    execute format('delete from roster_stage.%I s where exists (select from roster_stage.%I o where o.entity = %L and o.sourced_id = s.sourced_id)',
                   roster.stage_table(v_tenant, p_run, p_token, what), v_out, v_entity);
    -- Last, and for itself: that an entity is not taken says nothing about the others.
    if v_entity = any (p_untaken) then
      execute format('insert into roster_stage.%I select %L, m.sourced_id, false from roster.%I m '
                     'where m.tenant = %L and m.status = ''active'' and m.source = ''SIS''', v_out, v_entity, what, v_tenant);
    end if;
  end loop;
  execute format('delete from roster_stage.%I i where i.severity = ''warning'' and exists (select from roster_stage.%I o '
                 'where o.entity = i.entity and o.sourced_id = i.sourced_id)', v_issue, v_out);
end
$$;
revoke execute on function roster.stage_parts, roster.scope_out, roster.scope_stage from public;
grant execute on function roster.scope_stage to roster_stager;
