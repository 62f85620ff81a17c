"""The tenant is in every key and every join: the tables can be partitioned or distributed by it, and no statement finds
another tenant's row by an id that both have.

What the programs say to the database is judged as PostgreSQL itself took it down. Here that is a small story; when the
tests of a process end, it is every statement that any of them caused on PostgreSQL 18 (tests/support/statements.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from pglast import parse_plpgsql
from tests.store.fixtures import Roster
from tests.store.ground import FUTURE, Ground, class_, enrollment, person, school, session, without
from tests.store.tenancy import Table, judge
from tests.support.postgres import said
from tests.support.statements import SCHEMAS, Kept, judged, loose, remembered, tenant_tables

from roster_operator.cli.embedded import EmbeddedPostgres

pytestmark = pytest.mark.store

ROOT = Path(__file__).resolve().parents[2]
# Of the whole database, not of a tenant.
WITHOUT_TENANT = {"meta", "schema_migration", "reader", "console", "console_session"}
# Unique over all tenants on purpose.
UNIQUE_BEYOND_TENANTS = {
    "tenant_stage_login_key": "a login leads to one tenant: roles belong to the whole server",
    "tenant_merge_login_key": "as above",
}


def tables_of(roster: Roster) -> set[Table]:
    with roster.owner() as conn:
        return tenant_tables(conn)


def test_every_table_has_a_tenant_or_is_the_whole_databases(roster: Roster) -> None:
    all_tables = roster.ask(
        "select relname::text from pg_class where relnamespace = 'roster'::regnamespace and relkind in ('r', 'p')"
    )
    with_tenant = {name for schema, name in tables_of(roster) if schema == "roster"}
    assert {name for (name,) in all_tables} - with_tenant == WITHOUT_TENANT
    types = roster.ask(
        "select distinct format_type(a.atttypid, null), a.attcollation = 'pg_catalog.\"C\"'::regcollation"
        " from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r' and a.attname = 'tenant'"
    )
    assert types == [("text", True)], "tables are colocated by one type and collation"


_UNIQUE = """
select i.indexrelid::regclass::text, c.relname::text, exists (
         select from pg_attribute a where a.attrelid = i.indrelid and a.attname = 'tenant'
            and a.attnum = any (i.indkey[:i.indnkeyatts - 1]))
  from pg_index i join pg_class c on c.oid = i.indrelid
 where c.relnamespace = 'roster'::regnamespace and (i.indisunique or i.indisexclusion)
   and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant')
"""
# Of a foreign key between tables of tenants: the tenant points to the tenant, at the same place of both lists.
_FOREIGN = """
select k.conname::text, coalesce(bool_or(mine.attname = 'tenant' and theirs.attname = 'tenant'), false)
  from pg_constraint k cross join lateral unnest(k.conkey, k.confkey) as pair(mine, theirs)
  join pg_attribute mine on mine.attrelid = k.conrelid and mine.attnum = pair.mine
  join pg_attribute theirs on theirs.attrelid = k.confrelid and theirs.attnum = pair.theirs
 where k.contype = 'f' and k.connamespace = 'roster'::regnamespace
   and exists (select from pg_attribute a where a.attrelid = k.confrelid and a.attname = 'tenant')
 group by 1
"""


def keys_without_tenant(conn: psycopg.Connection) -> set[str]:
    unique = conn.execute(_UNIQUE.encode()).fetchall()
    foreign = conn.execute(_FOREIGN.encode()).fetchall()
    assert len({table for _, table, has in unique if has}) > 15
    assert foreign, "there is one at least"
    missing = {name.removeprefix("roster.") for name, _, has in unique if not has}
    return missing | {name for name, has in foreign if not has}


def test_every_primary_key_unique_index_and_foreign_key_has_the_tenant(own_roster: Roster) -> None:
    with own_roster.owner() as conn:
        assert keys_without_tenant(conn) == set(UNIQUE_BEYOND_TENANTS)
        tables = conn.execute(
            "select c.relname::text from pg_class c where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r'"
            " and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)"
        ).fetchall()
        assert {name for (name,) in tables} == {"change_log", "reading"}, "a log has no key"

        # The control: one of each kind left out is found.
        conn.execute("create unique index lonely on roster.users (sourced_id)")
        conn.execute("create table roster.careless (tenant text, sourced_id text primary key)")
        conn.execute(
            "alter table roster.enrollments add constraint stray foreign key (user_sourced_id) references roster.users"
            " (sourced_id) not valid"
        )
        found = keys_without_tenant(conn) - set(UNIQUE_BEYOND_TENANTS)
        assert found == {"lonely", "careless_pkey", "stray"}


def defined(roster: Roster) -> dict[str, str]:
    """What is said in views and functions: name → statement. Of PL/pgSQL each expression by itself."""
    found = dict(
        roster.ask(
            "select c.oid::regclass::text, pg_get_viewdef(c.oid) from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace where n.nspname = any (%s) and c.relkind = 'v'",
            list(SCHEMAS),
        )
    )
    functions = roster.ask(
        "select p.oid::regprocedure::text, l.lanname::text, pg_get_functiondef(p.oid) from pg_proc p"
        " join pg_language l on l.oid = p.prolang join pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = any (%s) and p.prokind = 'f'",
        list(SCHEMAS),
    )
    for name, language, source in functions:
        if language == "sql":
            found[name] = source
        else:
            # The parser knows no types of ours; what a variable's type is says nothing about joins.
            head, begin, body = source.partition("\nbegin\n")
            text = re.sub(r" roster\.\w+;", " record;", head) + begin + body
            for at, said in enumerate(expressions(parse_plpgsql(text))):
                found[f"{name} {at}"] = said
    return found


def expressions(tree: object) -> list[str]:
    if isinstance(tree, dict):
        if "PLpgSQL_expr" in tree:
            return [tree["PLpgSQL_expr"]["query"]]
        return [each for value in tree.values() for each in expressions(value)]
    if isinstance(tree, list):
        return [each for value in tree for each in expressions(value)]
    return []


def test_views_and_functions_join_by_the_tenant(roster: Roster) -> None:
    tables = tables_of(roster)
    said = defined(roster)
    assert len(said) > 100
    wrongly: dict[str, list[str]] = {}
    used: set[Table] = set()
    for name, text in said.items():
        wrong, seen = judged(text, tables)
        used |= seen
        if wrong:
            wrongly[name] = wrong
    assert wrongly == {}
    assert ("roster", "users") in used


def story(roster: Roster) -> None:
    """Something of everything that a plan and a merge do, where this file is run by itself."""
    ground = Ground(roster)
    world = {
        "orgs": {"s1": school("North"), "s2": school("South")},
        "academicSessions": {"t1": session(FUTURE)},
        "classes": {"c1": class_("s1", "t1")},
        "users": {f"u{n}": person("s1", identifier=f"n{n}") for n in range(4)},
        "enrollments": {f"e{n}": enrollment(f"u{n}", "c1", "s1") for n in range(4)},
    }
    ground.sync(world)
    ground.sync(without(world, ("users", "u0"), ("enrollments", "e0")), marked=(("users", "u1"),))
    ground.sync(world)


# One server's memory is enough: the statements are the same.
@pytest.mark.parametrize("pg", [18], indirect=True, ids=["pg18"])
def test_every_statement_of_a_sync_joins_by_the_tenant(pg: EmbeddedPostgres, roster: Roster) -> None:
    story(roster)
    found, joining = loose(remembered(pg), tables_of(roster))
    assert found == {}, "\n\n".join(f"{wrong}: {text}" for text, wrong in found.items())
    assert joining >= 15, "too little was run to say anything"

    # The control: one that a login ran is found, also after the server forgot it. It is no program's, so it is not kept
    # for the end of all tests.
    said[pg].take()
    careless = "select count(*) from roster.users u join roster.enrollments e on e.user_sourced_id = u.sourced_id"
    with roster.stager() as conn:
        conn.execute(careless.encode())
    assert careless in loose(remembered(pg), tables_of(roster))[0]
    kept = Kept(pg)
    kept.take()
    assert careless not in remembered(pg)
    with pytest.raises(AssertionError, match="users"):
        kept.judge()


# Asked by login, before it is known whose rows are meant.
ASKED_BY_LOGIN = {"tenant", "reader_tenant"}
_STATEMENT = re.compile(r"^select create_(reference|distributed)_table\('roster\.(\w+)'(?:, '(\w+)')?(.*)\);$", re.M)


def distribution(page: str) -> tuple[list[str], list[str]]:
    """(reference tables, distributed ones) in the order in which a page makes them so."""
    found = _STATEMENT.findall(page)
    assert len(found) == page.count("select create_"), "a statement that this test cannot read"
    distributed = [name for kind, name, by, _ in found if kind == "distributed" and by == "tenant"]
    first = distributed[0]
    assert [more for kind, _, _, more in found if kind == "distributed"][1:] == [
        f", colocate_with => 'roster.{first}'"
    ] * (len(distributed) - 1)
    return [name for kind, name, _, _ in found if kind == "reference"], distributed


def test_the_page_on_citus_distributes_the_tables_that_there_are(roster: Roster) -> None:
    reference, distributed = distribution((ROOT / "docs/how-to/citus.md").read_text())
    with_tenant = {name for schema, name in tables_of(roster) if schema == "roster"}
    assert sorted(reference) == sorted(WITHOUT_TENANT | ASKED_BY_LOGIN)
    assert sorted(distributed) == sorted(with_tenant - ASKED_BY_LOGIN)
    # What points to another table comes after it, and never from a reference table to a distributed one.
    order = {name: at for at, name in enumerate(reference + distributed)}
    keys = roster.ask(
        "select k.conrelid::regclass::text, k.confrelid::regclass::text from pg_constraint k"
        " where k.contype = 'f' and k.connamespace = 'roster'::regnamespace"
    )
    assert keys
    for table, target in keys:
        assert order[target.removeprefix("roster.")] < order[table.removeprefix("roster.")]
    unique = roster.ask(_UNIQUE)
    assert {table for _, table, has in unique if not has} <= set(reference), "Citus refuses such an index"


@pytest.mark.parametrize(
    "text",
    [
        "select from roster.users u join roster.enrollments e on e.user_sourced_id = u.sourced_id",
        "select from roster.users u, roster.orgs o where u.tenant = $1 or o.tenant = $1",
        "select from roster.users u where u.tenant = $1 and exists (select from roster.orgs where sourced_id = u.role)",
        "update roster.users u set role = '' from roster.orgs o where u.sourced_id = o.sourced_id and o.tenant = $1",
        "copy (select from roster.users u left join roster.orgs o using (sourced_id) where u.tenant = $1) to stdout",
        "with t as (select sourced_id from roster.users) select from t join roster.orgs o using (sourced_id)",
        "insert into roster.users (sourced_id) select '1'",
    ],
)
def test_a_join_without_the_tenant_is_found(text: str) -> None:
    tables = {("roster", "users"), ("roster", "orgs"), ("roster", "enrollments")}
    assert judge(text, tables)[0]
