-- How long a tenant's data is kept, and the receipts of what was erased.

alter table roster.tenant
  add column remove_after_days integer not null default 120 check (remove_after_days between 1 and 36500),
  add column history_days integer not null default 400 check (history_days between 1 and 36500);

-- What was erased on somebody's demand: counts, and a hash that shows whom it was about to those who know already.
create table roster.erasure (
  receipt uuid not null default gen_random_uuid(),
  tenant text collate "C" not null,
  kind text not null check (kind in ('person', 'tenant')),
  subject bytea not null,
  rows jsonb not null,
  erased_by text not null,
  reason text,
  erased_at timestamptz not null default now(),
  primary key (tenant, receipt)
);
alter table roster.erasure enable row level security;

-- Each stage tells the retention of its connection's spec; `roster reap` goes by it.
create function roster.set_retention(p_remove_after_days integer, p_history_days integer) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
  update roster.tenant
     set remove_after_days = p_remove_after_days, history_days = p_history_days
   where tenant = roster.require_tenant()
     and (remove_after_days, history_days) <> (p_remove_after_days, p_history_days);
end;
revoke execute on function roster.set_retention from public;
grant execute on function roster.set_retention to roster_stager;
