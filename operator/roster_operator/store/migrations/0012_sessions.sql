-- Who is signed in at the console, so that a restart signs nobody out and several replicas know the same people.
--
-- What stands in `sealed` was closed with a key that is made of two halves: one that is mounted into the console, one
-- that only the person's browser holds. The database, a backup of it and the console's login open nothing. There is no
-- policy on the table: a session is reached by its id, by the login that began it, through these functions alone.

create table roster.console_session (
  login name not null default session_user,
  id bytea not null check (length(id) = 32), -- hash of what the person's cookie holds
  owner bytea not null check (length(owner) = 32), -- keyed hash of who it is: their sessions are counted together
  sealed bytea not null check (length(sealed) <= 65536),
  began timestamptz not null default now(),
  used timestamptz not null default now(),
  primary key (login, id)
);
create index console_session_owner on roster.console_session (login, owner, used);
create index console_session_began on roster.console_session (began);
alter table roster.console_session enable row level security;

-- Makes room first: what has ended goes, then the least used of this person, then the least used of all.
create function roster.begin_session(
  p_id bytea, p_owner bytea, p_sealed bytea, p_lifetime interval, p_idle interval, p_most_each integer, p_most integer
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from roster.console c where c.login = session_user) then
    raise exception 'NotTheConsole' using errcode = 'RO010';
  end if;
  delete from roster.console_session s
    where s.login = session_user and (s.began < now() - p_lifetime or s.used < now() - p_idle);
  delete from roster.console_session s
    where s.login = session_user and s.id in (
      select o.id from roster.console_session o where o.login = session_user and o.owner = p_owner
      order by o.used desc, o.id offset p_most_each - 1);
  delete from roster.console_session s
    where s.login = session_user and s.id in (
      select o.id from roster.console_session o where o.login = session_user order by o.used desc, o.id offset p_most - 1);
  insert into roster.console_session (id, owner, sealed) values (p_id, p_owner, p_sealed);
end
$$;

-- A page is no reason to write: that a session is used is noted once a minute.
create function roster.find_session(p_id bytea, p_lifetime interval, p_idle interval) returns bytea
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  s roster.console_session;
begin
  select * into s from roster.console_session o
    where o.login = session_user and o.id = p_id and o.began >= now() - p_lifetime and o.used >= now() - p_idle;
  if s.used < now() - interval '1 minute' then
    update roster.console_session o set used = now() where o.login = session_user and o.id = p_id;
  end if;
  return s.sealed;
end
$$;

create function roster.end_session(p_id bytea) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
  delete from roster.console_session s where s.login = session_user and s.id = p_id;
end;

revoke execute on function roster.begin_session, roster.find_session, roster.end_session from public;
grant execute on function roster.begin_session, roster.find_session, roster.end_session to roster_console;
