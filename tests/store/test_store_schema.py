"""The schema is what the programs believe it is, and only `migrate` changes it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest
from tests.store.fixtures import OWNER, Roster

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.store import migrate as migrations
from roster_operator.store.database import connect, secured
from roster_operator.store.errors import StoreError
from roster_operator.store.tables import STAGE_COLUMNS, TABLES, Kind

pytestmark = pytest.mark.store

_TYPES = {Kind.TIMESTAMP: "timestamp with time zone"}


def columns(roster: Roster, schema: str, table: str) -> list[tuple[str, str]]:
    return roster.ask(
        "select attname::text, format_type(atttypid, null) from pg_attribute"
        " where attrelid = format('%%I.%%I', %s::text, %s::text)::regclass and attnum > 0 and not attisdropped"
        " order by attnum",
        schema,
        table,
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_tables_and_templates_have_the_columns_that_the_code_names(roster: Roster, table) -> None:
    source = [(c.name, _TYPES.get(c.kind, c.kind.value)) for c in table.columns]
    merged = columns(roster, "roster", table.name)
    staged = columns(roster, "roster_stage", f"template_{table.name}")
    assert merged[-len(source) :] == source
    assert staged[-len(source) :] == source
    assert [name for name, _ in staged[: len(STAGE_COLUMNS)]] == list(STAGE_COLUMNS)
    assert len(staged) == len(STAGE_COLUMNS) + len(source)


def test_ids_are_compared_bytewise_everywhere(roster: Roster) -> None:
    rows = roster.ask(
        "select c.relname::text, a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " where c.relnamespace in ('roster'::regnamespace, 'roster_stage'::regnamespace) and c.relkind = 'r'"
        " and a.attname like '%%sourced_id%%' and a.attcollation <> 'pg_catalog.\"C\"'::regcollation"
    )
    assert rows == []


def test_a_large_question_may_have_more_than_one_core(roster: Roster) -> None:
    forbidding = roster.ask(
        "select distinct p.proname::text from pg_depend d join pg_proc p on p.oid = d.refobjid"
        " where d.refclassid = 'pg_proc'::regclass and d.classid in ('pg_policy'::regclass, 'pg_rewrite'::regclass)"
        " and p.pronamespace in ('roster'::regnamespace, 'roster_app'::regnamespace) and p.proparallel = 'u'"
    )
    assert forbidding == []
    with roster.stager() as conn:
        # As if the table were so large that workers are worth their start.
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            conn.execute(f"set {setting} = 0".encode())
        for scan in ("indexscan", "indexonlyscan", "bitmapscan"):
            conn.execute(f"set enable_{scan} = off".encode())
        plan = conn.execute("explain select count(*) from roster.users").fetchall()
    assert any("Parallel" in line for (line,) in plan), plan


def test_migrating_twice_changes_nothing(pg: EmbeddedPostgres) -> None:
    made = pg.create_database("migrate_twice", OWNER)
    try:
        assert [m.version for m in migrations.migrate(made.owner_url)] == [m.version for m in migrations.migrations()]
        assert migrations.migrate(made.owner_url) == []
    finally:
        pg.drop_database(made.name)


def test_a_changed_migration_is_refused(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = migrations.migrations()
    monkeypatch.setattr(migrations, "migrations", lambda: [replace(first, sql=first.sql + " "), *others])
    with pytest.raises(StoreError) as refused:
        migrations.migrate(roster.database.owner_url)
    assert refused.value.reason == "MigrationChanged"


def test_a_failing_migration_leaves_nothing_behind(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    known = migrations.migrations()
    newest = known[-1].version
    bad = migrations.Migration(newest + 1, "9999_bad.sql", "create table roster.half (a int); select 1 / 0;")
    monkeypatch.setattr(migrations, "migrations", lambda: [*known, bad])
    with pytest.raises(StoreError):
        migrations.migrate(roster.database.owner_url)
    assert roster.one("select to_regclass('roster.half')") is None
    assert roster.one("select roster.schema_version()") == newest


def test_a_newer_schema_is_refused_by_migrate_and_by_every_program(own_roster: Roster) -> None:
    roster = own_roster
    with roster.owner() as conn:
        conn.execute("insert into roster.schema_migration (version, name, sha256) values (9999, 'x', 'x')")
    with pytest.raises(StoreError) as refused:
        migrations.migrate(roster.database.owner_url)
    assert refused.value.reason == "SchemaVersionUnknown"
    with pytest.raises(StoreError) as refused, connect(roster.database.owner_url):
        pass
    assert refused.value.reason == "SchemaVersionUnknown"
    assert refused.value.next_step


def test_a_database_without_the_schema_says_so(pg: EmbeddedPostgres) -> None:
    made = pg.create_database("no_schema", OWNER)
    try:
        with pytest.raises(StoreError) as refused, connect(made.owner_url):
            pass
        assert refused.value.reason == "SchemaMissing"
        assert "roster migrate" in refused.value.next_step
    finally:
        pg.drop_database(made.name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace("postgresql://", "postgresql://x"), "DatabaseLoginRefused"),
        (lambda url: url.partition("?")[0].rpartition("/")[0] + "/nowhere?sslmode=disable", "DatabaseMissing"),
        (lambda _: "postgresql://u:p@127.0.0.1:1/db", "DatabaseUnreachable"),
        (lambda _: "postgresql://u:canary-password@[::1", "DatabaseURLMalformed"),
    ],
    ids=["login", "database", "port", "malformed"],
)
def test_each_way_of_not_reaching_the_database_has_a_reason(roster: Roster, change, reason: str) -> None:
    with pytest.raises(StoreError) as refused, connect(change(roster.database.owner_url)):
        pass
    error = refused.value
    assert error.reason == reason
    assert error.next_step
    assert "canary-password" not in f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"


def test_connections_off_this_machine_verify_the_server() -> None:
    assert "sslmode=verify-full" in secured("postgresql://u:p@db.example.org/x")
    assert "sslmode=require" in secured("postgresql://u:p@db.example.org/x?sslmode=require")
    assert "sslmode" not in secured("postgresql://u:p@127.0.0.1/x")
    assert "sslmode" not in secured("postgresql:///x?host=/run/postgresql")


def test_every_function_of_the_owner_fixes_its_search_path_with_pg_temp_last(roster: Roster) -> None:
    """Without pg_temp at the end a caller's own types would be found first, and run with the owner's rights."""
    rows = roster.ask(
        "select p.oid::regprocedure::text, proconfig::text from pg_proc p where pronamespace = 'roster'::regnamespace"
        " and not coalesce(proconfig @> array['search_path=pg_catalog, pg_temp'], false)"
    )
    assert rows == []


def test_a_login_cannot_run_code_as_the_owner_by_a_type_of_its_own(roster: Roster) -> None:
    with roster.stager() as conn:
        conn.execute("create table pg_temp.caught (who name)")
        conn.execute("grant all on pg_temp.caught to public")
        conn.execute(
            "create function pg_temp.evil(pg_catalog.text) returns boolean language plpgsql as"
            " $$ begin insert into caught values (current_user); return true; end $$"
        )
        conn.execute("create domain pg_temp.text as pg_catalog.text check (pg_temp.evil(value))")
        conn.execute("grant usage on type pg_temp.text to public")
        for call in (
            "select roster.claim_tenant(null, 'c', 'n', 'x')",
            "select roster.open_stage(gen_random_uuid(), 1, 'c', 'n', 'x', 'Full')",
            "select roster.discard(gen_random_uuid(), 'c', 'n', 'x', 'Full', 'r')",
        ):
            with suppress(psycopg.Error):
                conn.execute(call)
        assert conn.execute("select count(*) from pg_temp.caught where who <> session_user").fetchone() == (0,)
