"""A tenant's logins reach its own rows and nothing else; each login can do its own step only."""

from __future__ import annotations

from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.store.fixtures import CLUSTER, Roster, run_name
from tests.store.staging import ORGS, merge_orgs, org, raw, row_hash, stage_orgs

from roster_operator.store import runs, tenants
from roster_operator.store.database import connect
from roster_operator.store.errors import StoreError, translate
from roster_operator.store.merge import merge
from roster_operator.store.stage import Stage
from roster_operator.store.tables import TABLES

pytestmark = pytest.mark.store

MERGED = [table.name for table in TABLES]
SEEN_BY_TENANT = [*MERGED, "tenant", "sync_run", "change_log"]


@contextmanager
def denied():
    """The statement is refused for want of a right."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        yield


@pytest.fixture
def two(roster: Roster) -> Roster:
    """Two districts with the same ids; each has merged rows and a staged sync that waits."""
    for tenant in ("springfield", "shelbyville"):
        merge_orgs(roster, {"o1": f"North of {tenant}", "o2": "South"}, tenant)
        with roster.stager(tenant) as conn:
            stage_orgs(conn, {"o3": "waits"})
    with roster.owner() as conn:
        for tenant in ("springfield", "shelbyville"):
            for table in TABLES:
                if table is ORGS:
                    continue
                columns = {"tenant": roster.key(tenant), "sourced_id": "x1", "row_hash": b"\0"}
                columns |= {"first_seen": "2026-01-01", "last_changed": "2026-01-01"}
                needed = {
                    "title": "t", "type": "t", "start_date": "2026-01-01", "end_date": "2026-01-02", "role": "r",
                    "user_sourced_id": "u", "class_sourced_id": "c", "school_sourced_id": "s",
                }  # fmt: skip
                columns |= {
                    name: value
                    for name, value in needed.items()
                    if name in table.column_names and (table.name, name) != ("classes", "school_sourced_id")
                }
                conn.execute(
                    sql.SQL("insert into roster.{} ({}) values ({})").format(
                        sql.Identifier(table.name),
                        sql.SQL(", ").join(map(sql.Identifier, columns)),
                        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
                    ),
                    list(columns.values()),
                )
    return roster


def sides(roster: Roster):
    with roster.stager("shelbyville") as conn:
        yield "stage", conn
    with roster.merger("shelbyville") as conn:
        yield "merge", conn


def test_no_login_reads_another_tenants_rows_in_any_table(two: Roster) -> None:
    mine, theirs = two.key("shelbyville"), two.key("springfield")
    for _, conn in sides(two):
        for table in SEEN_BY_TENANT:
            name = sql.Identifier("roster", table)
            assert conn.execute(sql.SQL("select distinct tenant from {}").format(name)).fetchall() == [(mine,)]
            found = conn.execute(sql.SQL("select count(*) from {} where tenant = %s").format(name), (theirs,))
            assert found.fetchone() == (0,)
            with conn.cursor().copy(sql.SQL("copy (select tenant from {}) to stdout").format(name)) as copy:
                assert {bytes(line) for line in copy} == {f"{mine}\n".encode()}
            shown: list[bytes] = []  # COPY of the table itself filters as well
            with conn.cursor().copy(sql.SQL("copy {} to stdout").format(name)) as copy:
                shown.extend(bytes(line) for line in copy)
            assert shown
            assert not any(theirs.encode() in line for line in shown)


def test_no_login_changes_another_tenants_rows_in_any_table(two: Roster) -> None:
    theirs = two.key("springfield")
    before = two.snapshot()
    for side, conn in sides(two):
        for table in MERGED:
            name = sql.Identifier("roster", table)
            update = sql.SQL("update {} set source = 'Manual' where tenant = %s").format(name)
            if side == "merge":
                assert conn.execute(update, (theirs,)).rowcount == 0
                # Without a condition only the login's own rows are hit.
                with conn.transaction(force_rollback=True):
                    conn.execute(sql.SQL("update {} set source = 'Manual'").format(name))
                with denied():  # moving a row of one's own to somebody else
                    conn.execute(sql.SQL("update {} set tenant = %s").format(name), (theirs,))
            else:
                with denied():
                    conn.execute(update, (theirs,))
            with denied():
                conn.execute(sql.SQL("delete from {} where tenant = %s").format(name), (theirs,))
            with denied():
                conn.execute(sql.SQL("truncate {}").format(name))
            with denied():
                conn.execute(
                    sql.SQL(
                        "insert into {} select (jsonb_populate_record(null::{}, to_jsonb(t) || %s::jsonb)).* from {} t"
                    ).format(name, name, name),
                    (f'{{"tenant": "{theirs}", "sourced_id": "forged"}}',),
                )
        for table in ("tenant", "sync_run"):
            with denied():
                conn.execute(sql.SQL("update {} set tenant = tenant").format(sql.Identifier("roster", table)))
            with denied():
                conn.execute(sql.SQL("delete from {}").format(sql.Identifier("roster", table)))
        for verb in ("update roster.change_log set action = 'create'", "delete from roster.change_log"):
            with denied():
                conn.execute(verb.encode())
        for table in ("meta", "schema_migration"):
            with denied():
                conn.execute(sql.SQL("delete from {}").format(sql.Identifier("roster", table)))
    with two.merger("shelbyville") as conn, denied():
        conn.execute(
            "insert into roster.change_log values (%s, 1, gen_random_uuid(), 'orgs', 'create', 'x', null)", (theirs,)
        )
    assert two.snapshot() == before


def test_no_login_touches_another_tenants_staged_rows(two: Roster) -> None:
    with two.owner() as conn:
        theirs = [
            name
            for (name,) in conn.execute(
                "select relname::text from pg_class where relnamespace = 'roster_stage'::regnamespace and relkind = 'r'"
                " and relacl::text like '%%' || (select stage_login from roster.tenant where tenant = %s) || '%%'",
                (two.key("springfield"),),
            )
        ]
    assert len(theirs) == len(TABLES) + len(("issue", "unseen", "scoped_out", "undo"))
    for _, conn in sides(two):
        for table in theirs:
            name = sql.Identifier("roster_stage", table)
            for statement in (
                "select * from {}",
                "insert into {} default values",
                "update {} set sourced_id = null" if not table.endswith("unseen") else "update {} set entity = null",
                "delete from {}",
                "truncate {}",
                "drop table {}",
                "grant select on {} to public",
                "copy {} to stdout",
                "copy {} from stdin",
            ):
                with denied():
                    conn.execute(sql.SQL(statement).format(name))


def test_a_login_does_not_reach_another_tenants_run_by_its_uid(two: Roster) -> None:
    """A uid is no secret: a discard, a stage or a merge with somebody else's must not touch what is staged there."""
    run = two.one("select run from roster.sync_run where tenant = %s and state = 'Staged'", two.key("springfield"))
    tables = two.stage_tables()
    with two.stager("shelbyville") as conn:
        assert runs.find(conn, run) is None
        name = runs.RunName(run, CLUSTER, "other", "x")
        stage = Stage(conn, name, 1)
        assert set(two.stage_tables()) > set(tables)
        stage.fail("Test")
        assert set(two.stage_tables()) == set(tables)
        assert runs.discard(conn, name, "mine") == "Discarded"
    assert two.stage_tables() == tables
    states = two.ask("select tenant, state from roster.sync_run where run = %s order by 1", run)
    assert (two.key("springfield"), "Staged") in states
    with two.merger("shelbyville") as conn, pytest.raises(StoreError) as refused:
        merge(conn, run, "sha256:x", {})
    assert refused.value.reason == "Discarded"


def test_each_login_calls_its_own_functions_only(two: Roster) -> None:
    run = uuid4()
    stage_only = [
        ("select roster.claim_tenant(%s, 'c', 'n', 'x')", ("t",)),
        ("select roster.open_stage(%s, 1, 'c', 'n', 'x', 'Full')", (run,)),
        ("select roster.restart_stage(%s, 1, 'orgs', 'orgs')", (run,)),
        ("select roster.seal_stage(%s, 1, '1.2', '{}', '{}')", (run,)),
        ("select roster.record_plan(%s, 1, 'd', '{}', '[]', 0)", (run,)),
        ("select roster.fail_stage(%s, 1, 'r')", (run,)),
        ("select roster.discard(%s, 'c', 'n', 'x', 'Full', 'r')", (run,)),
    ]
    merge_only = [
        ("select roster.record_new_plan(%s, 'd', '{}', '[]', 0)", (run,)),
        ("select roster.record_merge(%s, 'd', '{}')", (run,)),
        ("select roster.analyze_merged('{users}')", None),
    ]
    owner_only = [("select roster.drop_stage('t', %s)", (run,)), ("select roster.stage_prefix('t', %s)", (run,))]
    with two.merger("shelbyville") as conn:
        for query, parameters in (*stage_only, *owner_only):
            with denied():
                conn.execute(query.encode(), parameters)
    with two.stager("shelbyville") as conn:
        for query, parameters in (*merge_only, *owner_only):
            with denied():
                conn.execute(query.encode(), parameters)


def test_the_owner_is_not_a_tenant(two: Roster) -> None:
    with two.owner() as conn, pytest.raises(psycopg.Error) as refused:
        runs.session_tenant(conn)
    assert translate(refused.value).reason == "NotATenantLogin"


def test_a_stage_login_cannot_write_merged_rows_and_a_merge_login_cannot_write_staged_ones(roster: Roster) -> None:
    merge_orgs(roster, {"o1": "North"})
    with roster.stager() as conn:
        for statement in ("insert into roster.orgs default values", "update roster.orgs set name = 'x'"):
            with denied():
                conn.execute(statement.encode())
        stage = Stage(conn, run_name(), 1)
        table = stage.name("orgs")
        with roster.merger() as merger:
            for statement in ("insert into {} default values", "update {} set name = 'x'", "delete from {}"):
                with denied():
                    merger.execute(sql.SQL(statement).format(table))
            with denied():  # not sealed: nothing for the merge to read yet
                merger.execute(sql.SQL("select * from {}").format(table))


def test_nobody_can_change_what_was_sealed(roster: Roster) -> None:
    with roster.stager() as conn:
        name = run_name()
        stage = Stage(conn, name, 1)
        rows = stage.table(ORGS)
        rows.add("o1", "active", raw("o1"), row_hash("o1"), org())
        rows.flush()
        stage.seal("1.2", {}, ["orgs"])
        rows.add("o2", "active", raw("o2"), row_hash("o2"), org())
        with denied():
            rows.flush()
        for what in ("orgs", "issue", "users"):
            for statement in (
                "insert into {} default values",
                "delete from {}",
                "truncate {}",
                "update {} set sourced_id = null",
            ):
                with denied():
                    conn.execute(sql.SQL(statement).format(stage.name(what)))
        with pytest.raises(psycopg.Error) as refused:
            stage.restart(ORGS)
        assert translate(refused.value).reason == "Fenced"
        with roster.merger() as merger:
            assert merger.execute(sql.SQL("select count(*) from {}").format(stage.name("orgs"))).fetchone() == (1,)


def test_the_first_connection_owns_the_tenant_until_it_is_released(roster: Roster) -> None:
    key = roster.key()
    with connect(roster.logins().stage_url) as conn:
        runs.claim(conn, key, "c1", "k12", "springfield")
        runs.claim(conn, key, "c1", "k12", "springfield")
    for other in (("c2", "k12", "springfield"), ("c1", "k13", "springfield"), ("c1", "k12", "other")):
        with pytest.raises(StoreError) as refused, connect(roster.logins().stage_url) as conn:
            runs.claim(conn, key, *other)
        assert refused.value.reason == "TenantTaken"
        assert "release" in refused.value.next_step
    with pytest.raises(StoreError) as refused, connect(roster.logins().stage_url) as conn:
        runs.claim(conn, "another", "c1", "k12", "springfield")
    assert refused.value.reason == "TenantMismatch"
    owner = roster.database.owner_url
    assert tenants.release(owner, key) is True
    assert tenants.release(owner, key) is False
    with pytest.raises(StoreError) as refused:
        tenants.release(owner, "nobody")
    assert refused.value.reason == "TenantUnknown"
    with connect(roster.logins().stage_url) as conn:
        runs.claim(conn, key, "c2", "k13", "other")
    assert [t.claimed_by for t in tenants.listing(owner) if t.tenant == key] == ["k13/other"]


def test_rotating_gives_new_passwords_and_ends_the_old_ones(roster: Roster) -> None:
    key, owner, old = roster.key(), roster.database.owner_url, roster.logins()
    new = tenants.create(owner, key, rotate=True)
    assert "…" in repr(new)
    assert new.stage_url not in repr(new)
    for url in (new.stage_url, new.merge_url):
        with connect(url) as conn:
            assert runs.session_tenant(conn) == key
    for url in (old.stage_url, old.merge_url):
        with pytest.raises(StoreError) as refused, connect(url):
            pass
        assert refused.value.reason == "DatabaseLoginRefused"
        assert not refused.value.retryable
    with pytest.raises(StoreError) as refused:
        tenants.create(owner, key)
    assert refused.value.reason == "TenantExists"
    with pytest.raises(StoreError) as refused:
        tenants.create(owner, "nobody", rotate=True)
    assert refused.value.reason == "TenantUnknown"


@pytest.mark.parametrize("tenant", ["a" * 128, "k12.springfield", "ünïcode", "x'; drop", "-"])
def test_any_tenant_key_gets_logins_of_its_own(roster: Roster, tenant: str) -> None:
    stage, merger = tenants.login_names("some-database", tenant)
    assert stage != merger
    assert max(len(stage.encode()), len(merger.encode())) <= 63
    assert tenants.login_names("some-database", tenant) != tenants.login_names("another", tenant)
    if len(tenant) < 100:
        logins = tenants.create(roster.database.owner_url, roster.key(tenant))
        with connect(logins.merge_url) as conn:
            assert runs.session_tenant(conn) == roster.key(tenant)
