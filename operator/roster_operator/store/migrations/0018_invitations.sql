-- Invitations: a link that is used once, with which a person who has access comes into the application.
--
-- Access is granted by a person (app_access); an invitation only leads to it. What stands here of the link is the hash
-- of its token, so neither the database nor a backup of it opens anything. A new invitation takes the place of the one
-- before. It stands in the row of the access itself: so it follows a person to a new sourcedId, and goes with them.

alter table roster.app_access
  add column invitation bytea check (length(invitation) = 32), -- SHA-256 of the token; null: withdrawn, or never any
  add column invited_by text,
  add column invited_at timestamptz,
  add column invited_to bytea, -- hash of the address: the link counts while that is still the person's
  add column invitation_expires timestamptz,
  add column invitation_sent timestamptz, -- when the mail server took it
  add column invitation_trouble text check (length(invitation_trouble) <= 64), -- the reason why it did not
  add column redeemed_at timestamptz,
  add constraint app_access_invited check (invitation is null or (invited_by is not null and invited_at is not null
    and invited_to is not null and invitation_expires is not null));
create index app_access_invitation on roster.app_access (invitation) where invitation is not null;

-- What was done about invitations, for the page Activity, and so that nobody is invited too often. Whom it was about
-- stands here as a hash, as in roster.reading.
create table roster.access_act (
  tenant text collate "C" not null,
  id uuid not null default gen_random_uuid(),
  at timestamptz not null default clock_timestamp(),
  act text not null check (act in ('invited', 'notSent', 'withdrawn', 'redeemed')),
  who text not null check (length(who) between 1 and 256),
  subject bytea not null,
  detail text check (length(detail) <= 64),
  primary key (tenant, id)
);
create index access_act_at on roster.access_act (tenant, at);
alter table roster.access_act enable row level security;
create policy console_reads on roster.access_act for select to roster_console
  using (tenant = (select roster.session_tenant()));
create policy console_adds on roster.access_act for insert to roster_console
  with check (act <> 'redeemed' and tenant = (select roster.session_tenant()));
grant select, insert on roster.access_act to roster_console;

-- A hash that says whether two are the same, within this district and this database alone. Of an address, capital
-- letters of ASCII do not count.
create function roster.hash_of(p_tenant text, p_what text, p_value text) returns bytea
language sql stable security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select sha256(convert_to(
    m.database_id || '/' || p_tenant || '/' || p_what || '/' || lower(p_value collate "C"), 'UTF8')) from roster.meta m;
end;
revoke execute on function roster.hash_of from public;
grant execute on function roster.hash_of to roster_console;

-- What the application does with the token that came with a link: it uses the invitation up, and learns who it is for.
-- p_look: only says how the invitation stands, for the page that a link leads to; programs that look at people's mail
-- follow links, too.
--
-- outcome: Redeemed (or Valid, where it was only looked at), and then everything else. Otherwise one of
--   Unknown         no such invitation, or it was withdrawn, or a newer one took its place
--   Used            it was redeemed before
--   Expired
--   NoAccess        the person has no access now: it ended, or they are not active in the roster
--   AddressChanged  the address that it was sent to is not the person's any more
-- and nothing else.
create function roster_app.redeem_invitation(p_token text, p_look boolean default false)
returns table (outcome text, tenant text, user_sourced_id text, person text, permissions text[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  a roster.app_access;
  u roster.users;
  v_outcome text;
begin
  select x.* into a from roster.app_access x
   where x.invitation = sha256(convert_to(p_token, 'UTF8')) and x.tenant in (select roster_app.visible_tenants())
     for update;
  if not found then
    return query select 'Unknown', null::text, null::text, null::text, null::text[];
    return;
  end if;
  select m.* into u from roster.users m where m.tenant = a.tenant and m.sourced_id = a.user_sourced_id;
  v_outcome := case
    when a.redeemed_at is not null then 'Used'
    when a.invitation_expires <= now() then 'Expired'
    when a.revoked_at is not null or u.status is distinct from 'active' or u.enabled_user is not distinct from false
      then 'NoAccess'
    when a.invited_to is distinct from roster.hash_of(a.tenant, 'address', u.email) then 'AddressChanged'
    when p_look then 'Valid'
    else 'Redeemed' end;
  if v_outcome not in ('Valid', 'Redeemed') then
    return query select v_outcome, null::text, null::text, null::text, null::text[];
    return;
  end if;
  if v_outcome = 'Redeemed' then
    update roster.app_access x set redeemed_at = now()
     where x.tenant = a.tenant and x.user_sourced_id = a.user_sourced_id;
    insert into roster.access_act (tenant, act, who, subject)
    values (a.tenant, 'redeemed', session_user, roster.hash_of(a.tenant, 'user', a.user_sourced_id));
  end if;
  return query select v_outcome, a.tenant, a.user_sourced_id, coalesce(u.person, u.sourced_id), a.permissions;
end
$$;
revoke execute on function roster_app.redeem_invitation from public;
grant execute on function roster_app.redeem_invitation to roster_reader;
