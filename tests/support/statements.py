"""Every statement that the tests of one process caused, as PostgreSQL itself took it down, also those put together at
run time inside functions; and whether it joins tables of tenants by the tenant."""

from __future__ import annotations

import re

import psycopg
from pglast.parser import ParseError
from tests.store.tenancy import Table, judge

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.store.migrate import migrate

SCHEMAS = ("roster", "roster_app")
# The server keeps every statement, also those inside functions.
REMEMBERED = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "100000",
    "pg_stat_statements.track": "all",
    "pg_stat_statements.save": "off",
}
# How a statement begins that holds its tables together by something else than an equality of tenants → by what.
HELD_OTHERWISE = {
    "update roster.reading set at = at - interval $2 where ctid =": "a test of ours, by the place of one row",
}
_RUN_TABLE = re.compile(r"r[0-9a-f]{32}_\d+_")


def tenant_tables(conn: psycopg.Connection) -> set[Table]:
    """Tables and views that have a tenant."""
    rows = conn.execute(
        "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant' and not a.attisdropped"
        " where n.nspname = any (%s) and c.relkind in ('r', 'v', 'p')",
        (list(SCHEMAS),),
    ).fetchall()
    return {(schema, name) for schema, name in rows}


def judged(text: str, tables: set[Table]) -> tuple[list[str], set[Table]]:
    """As tenancy.judge; also of a bare expression or an assignment of PL/pgSQL, which is no statement by itself."""
    try:
        return judge(text, tables)
    except ParseError:
        return judge("select " + text.partition(":=")[2] if ":=" in text else "select " + text, tables)


def remembered(server: EmbeddedPostgres) -> set[str]:
    """Every statement so far that names a table of ours; which run's tables it was is left out.

    Others are not looked at: a value is shown as $1 also where no parser takes a parameter, as in SET.
    """
    with psycopg.connect(server.superuser_url(), autocommit=True) as conn:
        conn.execute("create extension if not exists pg_stat_statements")
        forgotten = conn.execute("select dealloc from pg_stat_statements_info").fetchone()
        assert forgotten == (0,), "more statements than the server can remember: raise pg_stat_statements.max"
        found = conn.execute(
            "select query from pg_stat_statements where query ~* '\\mroster(_app)?\\M\"?\\.'"
        ).fetchall()
        return {_RUN_TABLE.sub("run_", text) for (text,) in found}


def loose(statements: set[str], tables: set[Table]) -> tuple[dict[str, list[str]], int]:
    """(statement → tables that no equality of tenants holds together, number of statements with several tables)."""
    found: dict[str, list[str]] = {}
    joining = 0
    for text in statements:
        wrong, seen = judged(text, tables)
        joining += len(seen) > 1
        if wrong and not any(text.startswith(begin) for begin in HELD_OTHERWISE):
            found[text] = wrong
    return found, joining


class Kept:
    """What a server was asked since it began. It is taken from its memory now and then, before the memory is full:
    every test has a database of its own, and the same statement in another database is remembered by itself."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._said: set[str] = set()

    def take(self) -> None:
        """Take over what the server remembers, and let it forget."""
        self._said |= remembered(self._server)
        with psycopg.connect(self._server.superuser_url(), autocommit=True) as conn:
            conn.execute("select pg_stat_statements_reset()")

    def judge(self) -> None:
        """Raises AssertionError that tells every statement that does not hold to it."""
        self.take()
        if self._said:
            judge_all(self._server, self._said)


def judge_all(server: EmbeddedPostgres, statements: set[str]) -> None:
    """Raises AssertionError that tells each of the statements that does not hold to it."""
    made = server.create_database("judged", "roster_owner")
    migrate(made.owner_url)
    with psycopg.connect(made.owner_url, autocommit=True) as conn:
        found, _ = loose(statements, tenant_tables(conn))
    told = "\n\n".join(f"{' / '.join(wrong)}: {text}" for text, wrong in found.items())
    assert not found, f"joined without the tenant:\n{told}"
