-- Problems of single records over the runs: since when each is there, and when it was fixed or came back.
--
-- What was staged goes with its run; this stays. A problem is one (record, code, field). It is open until a pull shows
-- the record without it, or shows that the record is gone.
create table roster.issue (
  tenant text collate "C" not null,
  entity text not null,
  sourced_id text collate "C" not null,
  code text not null,
  field text not null default '',
  severity text not null check (severity in ('error', 'warning')),
  school text collate "C", -- sourcedId of the record's school, where it has one that is known
  first_run uuid not null,
  first_seen timestamptz not null,
  last_run uuid not null, -- the last run that saw it, or skipped the record as unchanged
  last_seen timestamptz not null,
  back_run uuid, -- the run in which it came back, the last time it did
  fixed_run uuid, -- the run that no longer showed it; null: it is open
  fixed_at timestamptz,
  primary key (tenant, entity, sourced_id, code, field)
);
create index issue_open on roster.issue (tenant, code) where fixed_at is null;

alter table roster.issue enable row level security;
create policy own_tenant on roster.issue to roster_stager, roster_merger
  using (tenant = (select roster.session_tenant())) with check (tenant = (select roster.session_tenant()));
grant select on roster.issue to roster_stager, roster_merger;

-- Brings roster.issue up to a run that has just been sealed or staged. Said again for the same run, nothing changes.
-- p_references: "entity field column table" for each column that refers to records of a table, and the name that the
-- run's problems give it: a problem of such a reference may be fixed where it points to, while the record itself stays
-- as it is.
create function roster.note_issues(p_run uuid, p_token integer, p_references text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  v_pull jsonb;
  v_facts jsonb;
  v_entity text;
  v_table text;
  v_stage text;
  v_skipped text;
  v_school text;
  v_refers text[];
  v_reference text;
begin
  select pull into v_pull from roster.sync_run
   where tenant = v_tenant and run = p_run and token = p_token and state in ('Sealed', 'Staged') for update;
  if not found then
    raise exception 'Fenced' using errcode = 'RO006';
  end if;

  execute format(
    'insert into roster.issue as i (tenant, entity, sourced_id, code, field, severity, first_run, first_seen,'
    ' last_run, last_seen, file, line)'
    -- What has a place in a file needs no id; of several such places of one kind it is the first.
    ' select $1, s.entity, coalesce(s.sourced_id, ''''), s.code, coalesce(s.field, ''''), min(s.severity),'
    ' $2, now(), $2, now(), min(s.file), (array_agg(s.line order by s.file, s.line))[1]'
    ' from roster_stage.%I s where s.sourced_id is not null or s.file is not null'
    ' group by s.entity, coalesce(s.sourced_id, ''''), s.code, coalesce(s.field, '''')'
    ' on conflict (tenant, entity, sourced_id, code, field) do update set severity = excluded.severity,'
    ' last_run = excluded.last_run, last_seen = excluded.last_seen, file = excluded.file, line = excluded.line,'
    ' back_run = case when i.fixed_at is null then i.back_run else excluded.last_run end,'
    ' fixed_run = null, fixed_at = null', roster.stage_table(v_tenant, p_run, p_token, 'issue')) using v_tenant, p_run;

  -- A file is looked at anew by each run that reads it.
  update roster.issue i set fixed_run = p_run, fixed_at = now()
   where i.tenant = v_tenant and i.sourced_id = '' and i.fixed_at is null and i.last_run <> p_run
     and (i.entity in ('manifest', 'bundle') or coalesce((v_pull -> case when i.entity in ('roles', 'userProfiles')
       then 'users' else i.entity end ->> 'pulled')::boolean, false));

  for v_entity, v_facts in select * from jsonb_each(v_pull)
  loop
    continue when not coalesce((v_facts ->> 'pulled')::boolean, false)
      or not exists (select from roster.issue where tenant = v_tenant and entity = v_entity and fixed_at is null);
    v_table := case v_entity when 'academicSessions' then 'academic_sessions' else v_entity end;
    v_stage := roster.stage_table(v_tenant, p_run, p_token, v_table);

    -- The record was read anew, and the problem was not there any more.
    execute format(
      'update roster.issue i set fixed_run = $2, fixed_at = now() from roster_stage.%I s'
      ' where i.tenant = $1 and i.entity = $3 and i.fixed_at is null and i.last_run <> $2'
      ' and s.sourced_id = i.sourced_id', v_stage) using v_tenant, p_run, v_entity;
    if not coalesce((v_facts ->> 'delta')::boolean, false) then
      -- It was skipped as unchanged: what is merged is valid, so an error was about other bytes, which are gone.
      v_skipped := format(
        'exists (select from roster.%I m where m.tenant = i.tenant and m.sourced_id = i.sourced_id'
        ' and m.status = ''active'' and m.raw_hash is not null and not exists (select from roster_stage.%I u'
        ' where u.entity = $3 and u.raw_hash = m.raw_hash))',
        v_table, roster.stage_table(v_tenant, p_run, p_token, 'unseen'));
      execute 'update roster.issue i set fixed_run = $2, fixed_at = now()'
        ' where i.tenant = $1 and i.entity = $3 and i.fixed_at is null and i.last_run <> $2'
        ' and i.severity = ''error'' and ' || v_skipped using v_tenant, p_run, v_entity;
      -- The record itself is not there any more, of which only a whole and proved pull is a proof.
      if coalesce((v_facts ->> 'complete')::boolean, false) then
        execute 'update roster.issue i set fixed_run = $2, fixed_at = now()'
          ' where i.tenant = $1 and i.entity = $3 and i.fixed_at is null and i.last_run <> $2'
          ' and not ' || v_skipped using v_tenant, p_run, v_entity;
      end if;
    end if;
    -- What points to something that has come meanwhile is fixed, though its own record is as it was. (With an error the
    -- record was not taken, so the merged row, if there is one, is another; and it is read anew each time.)
    foreach v_reference in array p_references
    loop
      v_refers := string_to_array(v_reference, ' ');
      continue when v_refers[1] <> v_entity;
      execute format(
        'update roster.issue i set fixed_run = $2, fixed_at = now() from ('
        ' select d.sourced_id from roster.issue d'
        ' join roster.%1$I m on m.tenant = d.tenant and m.sourced_id = d.sourced_id'
        ' cross join lateral jsonb_array_elements_text(case jsonb_typeof(to_jsonb(m) -> $5)'
        '   when ''array'' then to_jsonb(m) -> $5 else jsonb_build_array(to_jsonb(m) -> $5) end) r(id)'
        ' left join roster.%2$I t on t.tenant = d.tenant and t.sourced_id = r.id and t.status = ''active'''
        ' left join roster_stage.%3$I s on s.sourced_id = r.id and s.status = ''active'''
        ' where d.tenant = $1 and d.entity = $3 and d.code = ''DanglingReference'' and d.field = $4'
        ' and d.severity = ''warning'' and d.fixed_at is null and d.last_run <> $2'
        ' group by d.sourced_id having bool_and(t.sourced_id is not null or s.sourced_id is not null)) x'
        ' where i.tenant = $1 and i.entity = $3 and i.code = ''DanglingReference'' and i.field = $4'
        ' and i.sourced_id = x.sourced_id',
        v_table, v_refers[4], roster.stage_table(v_tenant, p_run, p_token, v_refers[4])
      ) using v_tenant, p_run, v_entity, v_refers[2], v_refers[3];
    end loop;
    -- What is left was skipped as unchanged, and so is its problem.
    update roster.issue i set last_run = p_run, last_seen = now()
     where i.tenant = v_tenant and i.entity = v_entity and i.fixed_at is null and i.last_run <> p_run;

    v_school := case v_entity
      when 'orgs' then 'sourced_id'
      when 'courses' then 'org_sourced_id'
      when 'classes' then 'school_sourced_id'
      when 'enrollments' then 'school_sourced_id'
      when 'users' then 'coalesce(primary_org_sourced_id, org_sourced_ids[1])'
    end;
    if v_school is not null then
      execute format(
        'update roster.issue i set school = x.school from ('
        ' select o.sourced_id, coalesce(min(s.school), min(m.school)) as school from roster.issue o'
        ' left join (select sourced_id, %1$s as school from roster_stage.%2$I) s on s.sourced_id = o.sourced_id'
        ' left join (select sourced_id, %1$s as school from roster.%3$I where tenant = $1) m'
        '  on m.sourced_id = o.sourced_id'
        ' where o.tenant = $1 and o.entity = $2 and o.fixed_at is null group by o.sourced_id) x'
        ' where i.tenant = $1 and i.entity = $2 and i.fixed_at is null and i.sourced_id = x.sourced_id'
        ' and x.school is not null and i.school is distinct from x.school', v_school, v_stage, v_table
      ) using v_tenant, v_entity;
    elsif v_entity = 'demographics' then
      update roster.issue i set school = coalesce(u.primary_org_sourced_id, u.org_sourced_ids[1]) from roster.users u
       where i.tenant = v_tenant and i.entity = v_entity and i.fixed_at is null and u.tenant = i.tenant
         and u.sourced_id = i.sourced_id
         and i.school is distinct from coalesce(u.primary_org_sourced_id, u.org_sourced_ids[1]);
    end if;
  end loop;
end
$$;
revoke execute on function roster.note_issues from public;
grant execute on function roster.note_issues to roster_stager;

create policy console_reads on roster.issue for select to roster_console
  using (tenant = (select roster.session_tenant()));
grant select on roster.issue to roster_console;
