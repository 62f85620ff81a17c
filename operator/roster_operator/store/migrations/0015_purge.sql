-- A district's rows go with its connection, where that says so (deletionPolicy: Purge). Called with the merge login, by
-- the connection that has claimed the tenant. The tenant itself stays, free to be claimed again, and so do its logins:
-- only the owner drops those.

alter table roster.erasure drop constraint erasure_kind_check;
alter table roster.erasure add constraint erasure_kind_check check (kind in ('person', 'tenant', 'purge'));

-- Answers with the receipt: what went, by table. Asked again for the same connection (its uid), it says the same again.
create function roster.purge(p_cluster text, p_namespace text, p_name text, p_uid text, p_by text)
returns table (receipt uuid, rows jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tenant text := roster.require_tenant();
  v_reason text := 'connection ' || p_uid;
  v_subject bytea;
  v_rows jsonb := '{}';
  v_count bigint;
  r roster.tenant;
  t text;
begin
  perform roster.lock_tenant(v_tenant); -- a merge under way ends first, and none begins
  select * into r from roster.tenant x where x.tenant = v_tenant for update;
  return query select e.receipt, e.rows from roster.erasure e
    where e.tenant = v_tenant and e.kind = 'purge' and e.reason = v_reason;
  if found then
    return;
  end if;
  if r.claimed_at is not null
     and (r.claimed_by_cluster, r.claimed_by_namespace, r.claimed_by_name) <> (p_cluster, p_namespace, p_name) then
    raise exception 'TenantTaken' using errcode = 'RO003';
  end if;
  -- A connection that never had the tenant has nothing to purge, whatever stands in it.
  if r.claimed_at is not null then
    perform roster.drop_stage(v_tenant, x.run) from roster.sync_run x where x.tenant = v_tenant;
    for t in
      select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'
       where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r' and c.relname not in ('tenant', 'erasure')
       order by c.relname
    loop
      execute format('delete from roster.%I where tenant = $1', t) using v_tenant;
      get diagnostics v_count = row_count;
      if v_count > 0 then
        v_rows := v_rows || jsonb_build_object(t, v_count);
      end if;
    end loop;
    update roster.tenant x
       set claimed_by_cluster = null, claimed_by_namespace = null, claimed_by_name = null, claimed_at = null
     where x.tenant = v_tenant;
  end if;
  select sha256(convert_to(m.database_id || '/' || v_tenant || '/', 'UTF8')) into v_subject from roster.meta m;
  return query insert into roster.erasure (tenant, kind, subject, rows, erased_by, reason)
    values (v_tenant, 'purge', v_subject, v_rows, p_by, v_reason)
    returning erasure.receipt, erasure.rows;
end
$$;
revoke execute on function roster.purge from public;
grant execute on function roster.purge to roster_merger;
