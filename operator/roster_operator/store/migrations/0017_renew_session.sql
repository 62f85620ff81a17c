-- A token that an identity provider renews: the session stays, with its beginning, and only what is sealed changes.

create function roster.renew_session(p_id bytea, p_sealed bytea) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
  update roster.console_session s set sealed = p_sealed where s.login = session_user and s.id = p_id;
end;

revoke execute on function roster.renew_session from public;
grant execute on function roster.renew_session to roster_console;
