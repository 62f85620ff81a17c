-- People who are added by hand: no sync ever changes or removes them.

alter table roster.change_log drop constraint change_log_action_check;
alter table roster.change_log add constraint change_log_action_check check (action in (
  'create', 'update', 'reactivate', 'tobedeleted', 'vanished', 'outOfScope', 'manualCreate', 'manualUpdate', 'manualEnd'));

-- Who changed something by hand, and why. `run` is what the entries in change_log carry.
create table roster.manual_change (
  tenant text collate "C" not null,
  run uuid not null default gen_random_uuid(),
  data_version bigint not null,
  changed_by text not null,
  reason text,
  changed_at timestamptz not null default now(),
  primary key (tenant, run)
);
alter table roster.manual_change enable row level security;
