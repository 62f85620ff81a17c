"""PostgreSQL's own log: what of people it could write there, and how the roster's logins are kept out of it.

An error's DETAIL holds whole rows, and a statement that is logged holds its parameters. Nearly all settings of this are
a superuser's. Where a superuser let the owner set them (`grant set on parameter`, from PostgreSQL 15), the owner sets
them on the roster's logins, in this database alone: nobody else's log changes. What is left is told, not passed over.
docs/how-to/postgresql-log.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

# With `log`, PostgreSQL still writes what it logs as LOG, durations for one, and of a session's errors only the fatal.
# The logins' programs tell an error themselves, by its SQLSTATE.
QUIET = {
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "auto_explain.log_min_duration": "-1",
}
_WITHOUT_ERRORS = frozenset({"log", "fatal", "panic"})
_LOGS_STATEMENTS = (
    "log_min_duration_statement",
    "log_min_duration_sample",
    "log_statement",
    "log_transaction_sample_rate",
)
_READ = (*QUIET, *_LOGS_STATEMENTS, "log_destination")


@dataclass(frozen=True)
class Exposure:
    """A way into the log that is open: which settings open it, and for how many logins."""

    settings: tuple[str, ...]
    what: str
    logins: int


def quieten(conn: psycopg.Connection, logins: Iterable[str]) -> None:
    """Set on these logins, for this database, whatever the one who asks may set. What they may not is left as it is."""
    names = conn.execute(
        "select name from pg_settings where name = any (%s)"
        " and (context = 'user' or (context = 'superuser' and has_parameter_privilege(name, 'SET')))",
        (list(QUIET),),
    ).fetchall()
    may = [str(name) for (name,) in names]
    have = _overrides(conn)
    for login in logins:
        wanted = [name for name in may if have.get((login, True), {}).get(name) != QUIET[name]]
        try:
            with conn.transaction():
                for name in wanted:
                    conn.execute(
                        sql.SQL("alter role {} in database {} set {} = {}").format(
                            sql.Identifier(login),
                            sql.Identifier(conn.info.dbname),
                            sql.Identifier(*name.split(".")),
                            sql.Literal(QUIET[name]),
                        )
                    )
        except psycopg.errors.InsufficientPrivilege:
            continue  # made by another owner: `exposures` counts it


def logins_of(conn: psycopg.Connection) -> list[str]:
    """Every login that reaches the roster, the asking owner's first."""
    found = conn.execute(
        "select login::text from (select stage_login from roster.tenant union select merge_login from roster.tenant"
        " union select login from roster.reader union select login from roster.console) l (login)"
        " where login in (select rolname from pg_roles) and login <> current_user order by 1"
    ).fetchall()
    return [conn.info.user, *(str(login) for (login,) in found)]


def exposures(conn: psycopg.Connection) -> list[Exposure]:
    """What the log would show of people, as the server and the logins are set now."""
    server = {
        str(name): str(value) if foreign else None
        for name, value, foreign in conn.execute(
            "select name, setting, source not in ('user', 'database', 'database user') from pg_settings"
            " where name = any (%s)",
            (list(_READ),),
        ).fetchall()
    }
    have = _overrides(conn)
    counted: dict[tuple[tuple[str, ...], str], int] = {}
    for login in logins_of(conn):
        layers = [have.get(key, {}) for key in ((login, True), (login, False), ("", True), ("", False))]
        effective = {
            name: next((layer[name] for layer in layers if name in layer), value) for name, value in server.items()
        }
        for way in _open_ways(effective):
            counted[way] = counted.get(way, 0) + 1
    return [Exposure(settings, what, number) for (settings, what), number in counted.items()]


def _open_ways(effective: Mapping[str, str | None]) -> list[tuple[tuple[str, ...], str]]:
    """effective: of one login. A value that cannot be seen is taken as the worst."""
    found: list[tuple[tuple[str, ...], str]] = []
    # An error's row and a statement's parameters stand in the same part of a log's entry.
    if effective["log_error_verbosity"] != "terse":
        shown = "log_error_verbosity"
    elif {"csvlog", "jsonlog"} & {each.strip() for each in (effective["log_destination"] or "").split(",")}:
        shown = "log_destination"  # these two leave out nothing, however terse
    else:
        shown = ""
    if shown and effective["log_min_messages"] not in _WITHOUT_ERRORS:
        found.append((("log_min_messages", shown), "an error is logged with the row that it is about"))
    loud = tuple(name for name in _LOGS_STATEMENTS if _logs_statements(name, effective[name]))
    if shown and loud and effective["log_parameter_max_length"] != "0":
        found.append((("log_parameter_max_length", *loud), "a statement is logged with its parameters"))
    if effective.get("auto_explain.log_min_duration", "-1") != "-1":
        found.append((("auto_explain.log_min_duration",), "a plan is logged with the values that it looks for"))
    return found


def _logs_statements(name: str, value: str | None) -> bool:
    quiet = {"log_statement": {"none", "ddl"}, "log_transaction_sample_rate": {"0"}}
    return value not in quiet.get(name, {"-1"})


def _overrides(conn: psycopg.Connection) -> dict[tuple[str, bool], dict[str, str]]:
    """What `alter role` and `alter database` have set: (role, or empty for all, in this database alone) → settings."""
    rows = conn.execute(
        "select coalesce(r.rolname::text, ''), s.setdatabase <> 0, c from pg_db_role_setting s"
        " left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) c"
        " where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))"
    ).fetchall()
    found: dict[tuple[str, bool], dict[str, str]] = {}
    for role, here, setting in rows:
        name, _, value = str(setting).partition("=")
        found.setdefault((str(role), bool(here)), {})[name] = value
    return found
