"""PostgreSQL's own log holds nothing of people, when it is set as docs/how-to/postgresql-log.md says.

Every server here logs all that PostgreSQL can: each statement with its parameters, each plan, each error with its row.
"""

from __future__ import annotations

import ast
import re
import threading
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.store.fixtures import CLUSTER, NAMESPACE, Roster, run_name
from tests.store.pulls import Item, World, plan_of, stage_world
from tests.store.staging import ORGS, merge_orgs, org, row_hash
from tests.store.test_store_application import school_day
from tests.support.postgres import OWNER

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.store import (
    access,
    console_logins,
    database,
    erase,
    held,
    manual,
    merge,
    people,
    pins,
    pool,
    readers,
    readings,
    review,
    runs,
    undo,
)
from roster_operator.store.database import connect
from roster_operator.store.errors import StoreError, translated
from roster_operator.store.manual import Student
from roster_operator.store.migrate import exposures, migrate
from roster_operator.store.plan import Plan
from roster_operator.store.pool import Pool
from roster_operator.store.readings import Kind, Place
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Stage

pytestmark = [pytest.mark.store, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "postgresql-log.md"
CANARY = "Canary-Quimby-4711"
MARK = "quimby"
_numbers = count(1)

LOUD = {
    "log_destination": "stderr,csvlog,jsonlog",
    "logging_collector": "on",
    "log_error_verbosity": "default",
    "log_min_error_statement": "error",
    "log_statement": "all",
    "log_min_duration_statement": "0",
    "log_parameter_max_length_on_error": "-1",
    "log_lock_waits": "on",
    "deadlock_timeout": "50ms",
    "shared_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
}


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)
    assert len(found) == 1
    return found[0]


GRANT = block("sql")
LINES = dict(re.findall(r"^([\w.]+) = '?([^'\n]+)'?$", block("ini"), re.M))
GRANTED = re.findall(r"\blog_\w+|auto_explain\.\w+", GRANT)


@dataclass
class Loud:
    """A server that logs all it can, and a roster in it."""

    server: EmbeddedPostgres
    roster: Roster
    errors: list[StoreError] = field(default_factory=list[StoreError])

    def said(self) -> str:
        """All of its logs."""
        folder = self.server.folder
        files = [folder / "server.log", *sorted((folder / "data" / "log").glob("*"))]
        return "".join(file.read_text(errors="replace") for file in files)

    def leaks(self) -> list[str]:
        return [line for line in self.said().splitlines() if MARK in line.lower()]

    @contextmanager
    def refused(self, *reasons: str) -> Generator[None]:
        with pytest.raises(StoreError) as refused, translated():
            yield
        self.errors.append(refused.value)
        assert refused.value.reason in reasons


@contextmanager
def loud(version: int, grant: str = "", **settings: str) -> Iterator[Loud]:
    with EmbeddedPostgres.temporary(version, tcp=True, settings=LOUD | settings) as server:
        made = server.create_database(f"loud_{next(_numbers)}", OWNER)
        if grant:
            with psycopg.connect(server.superuser_url(), autocommit=True) as conn:
                conn.execute(grant.encode())
        migrate(made.owner_url)
        yield Loud(server, Roster(made, 1))


def world(content: int, *ids: str) -> World:
    return {
        "orgs": {"o1": Item(1)},
        "users": {f"{CANARY}-{one}": Item(content) for one in ids},
        "enrollments": {f"{CANARY}-e{one}": Item(content) for one in ids},
    }


def life(at: Loud) -> None:
    """A district's life, in which nothing fails."""
    roster = at.roster
    owner, key, by = roster.database.owner_url, roster.key(), f"{CANARY}-admin"
    with connect(roster.logins().stage_url) as conn:
        run, plan = stage_world(conn, world(1, "a", "b", "c"), "pull-1")
    merged(at, run, plan, by)
    with connect(roster.logins().stage_url) as conn:
        run, plan = stage_world(conn, world(2, "a", "b"), "pull-2")
    merged(at, run, plan, by)
    with connect(roster.logins().stage_url) as conn:
        back = replace(run_name("undo-1"), mode="Undo")
        stage = Stage(conn, back, 1)
        stage.seal(None, undo.stage(conn, stage, undo.find(conn, NAMESPACE, "pull-2"), overwrite=False), [])
        plan = plan_of(conn, back)
    merged(at, back, plan, by)
    pupil = f"{CANARY}-a"
    school_day(roster)
    noor = Student(f"{CANARY}-Noor", CANARY, "s1", email=f"{CANARY}@k12.example", classes=("c-now",))
    added = manual.add(owner, key, noor, by=by, reason=CANARY)
    manual.edit(owner, key, added, replace(noor, middle_name=CANARY), by=by)
    manual.end(owner, key, added, by=by)
    pins.put(owner, key, "users", pupil, "given_name", CANARY, by=by, reason=CANARY)
    pins.release(owner, key, "users", pupil, "given_name", by=by)
    access.grant(owner, key, pupil, ["sit"], by=by, reason=CANARY)
    console(at, pupil)
    application(at, pupil)
    erase.person(owner, key, f"{CANARY}-b", by=by, reason=CANARY, discard_staged=True)


def merged(at: Loud, run: RunName, plan: Plan, by: str) -> None:
    with connect(at.roster.logins().merge_url) as conn:
        assert isinstance(merge.merge(conn, run.run, plan.digest, {"by": by}), merge.Merged)


def console(at: Loud, pupil: str) -> None:
    roster = at.roster
    url = console_logins.create(roster.database.owner_url, f"console_{uuid4().hex[:8]}")
    with roster.stager() as conn:
        runs.claim(conn, roster.key(), CLUSTER, NAMESPACE, "springfield")
        run, _ = stage_world(conn, world(3, "a"), "pull-3")
    place = Place(roster.key(), NAMESPACE, "springfield", CLUSTER)
    with (
        closing(Pool(url)) as kept,
        readings.opened(kept.connection, place, person=CANARY, kind=Kind.PERSON, subject=pupil) as conn,
    ):
        assert people.search(conn, place.tenant, text=pupil)
        assert people.story(conn, place.tenant, pupil)
        staged = runs.get(conn, run.run)
        asked = review.Wanted(search=CANARY.lower(), after=f"{CANARY}-0", school=None)
        assert review.changes(conn, staged, "users", asked)
        assert review.known(conn, staged, "users", [pupil])
        assert review.by_school(conn, staged)
        for limit in ("deactivate", "perSchool", "create", "update", "emailChange", "inUse"):
            held.records(conn, staged, held.Question(limit, "users", (f"{CANARY}-school",)), limit=50)
        access.candidates(conn, place.tenant, CANARY)


def application(at: Loud, pupil: str) -> None:
    url = readers.create(at.roster.database.owner_url, f"app_{uuid4().hex[:8]}", [at.roster.key()])
    with psycopg.connect(url, autocommit=True) as conn:
        assert conn.execute(
            "select roster_app.register_use(%s, 'users', %s, %s)", (at.roster.key(), [pupil], CANARY)
        ).fetchone()
        conn.execute("select * from roster_app.class_rosters where user_sourced_id = %s", (pupil,)).fetchall()


def troubles(at: Loud) -> None:
    """What fails in a way that our own code lets come about: with values of the right types."""
    roster = at.roster
    stage_url, owner = roster.logins().stage_url, roster.database.owner_url
    merge_orgs(roster, {"s1": CANARY, CANARY: CANARY})
    unavailable = ("DatabaseUnavailable",)
    with at.refused("DatabaseError"), connect(stage_url) as conn:  # a NULL where none may be
        writer = Stage(conn, run_name(), 1).table(ORGS)
        writer.add(f"{CANARY}-null", "active", 1, row_hash("x"), (None, None, None, CANARY, CANARY, None))
        writer.flush()
    with at.refused("DatabaseError"), connect(stage_url) as conn:  # a NUL in a text
        writer = Stage(conn, run_name(), 1).table(ORGS)
        writer.add(f"{CANARY}\0", "active", 1, row_hash("x"), org(CANARY))
        writer.flush()
    long = CANARY + "".join(sha256(bytes([n])).hexdigest() for n in range(200))
    with at.refused("DatabaseError"):  # an index row that is too long
        merge_orgs(roster, {"s1": CANARY, CANARY: CANARY, long: CANARY})
    with at.refused("DatabaseError"), connect(owner) as conn:  # a key that is there already
        conn.execute("insert into roster.orgs select * from roster.orgs where sourced_id = %s", (CANARY,))
    with at.refused("DatabaseError"), connect(owner) as conn:  # a check that fails
        conn.execute("update roster.orgs set source = 'None' where sourced_id = %s", (CANARY,))
    with at.refused(*unavailable), connect(stage_url) as conn:  # the time is up in the middle of a COPY
        stage = Stage(conn, run_name(), 1)
        conn.execute("set statement_timeout = '150ms'")
        query = sql.SQL("copy {} (entity, sourced_id, shown) from stdin").format(stage.name("scoped_out"))
        with conn.cursor() as cursor, cursor.copy(query) as copy:
            for _ in range(30):
                copy.write_row(("users", f"{CANARY}-{'x' * 9000}", True))
                time.sleep(0.02)
    with at.refused(*unavailable), connect(owner) as conn:  # a statement that somebody cancels
        threading.Timer(0.2, conn.cancel).start()
        conn.execute("select pg_sleep(5), %s::text", (CANARY,))
    with at.refused(*unavailable), connect(owner) as conn, connect(owner) as other:  # two that wait for each other
        deadlock(conn, other)
    with at.refused(*unavailable), connect(owner) as conn, connect(owner) as other:  # two that cannot both be first
        change = "update roster.orgs set name = name where tenant = %s and sourced_id = %s"
        conn.execute("begin isolation level repeatable read")
        conn.execute("select from roster.orgs where sourced_id = %s", (CANARY,))
        other.execute(change, (roster.key(), CANARY))
        conn.execute(change, (roster.key(), CANARY))
    for kind, value in (("given_name", f"{CANARY}\0"), ("enabled_user", CANARY), ("grades", CANARY)):
        with at.refused("PinInvalid"):
            pins.put(owner, roster.key(), "users", f"{CANARY}-a", kind, value, by=CANARY)
    with pytest.raises(TypeError) as mistyped, connect(stage_url) as conn:  # never sent
        Stage(conn, run_name(), 1).table(ORGS).add("o1", "active", CANARY, row_hash("x"), org())  # type: ignore[arg-type]
    assert MARK not in "".join(traceback.format_exception(mistyped.value)).lower()


def deadlock(conn: psycopg.Connection, other: psycopg.Connection) -> None:
    change = "update roster.orgs set name = %s where sourced_id = %s"
    conn.execute("begin")
    other.execute("begin")
    conn.execute(change, (CANARY, "s1"))
    other.execute(change, (CANARY, CANARY))

    def wait() -> None:
        with suppress(psycopg.Error):
            other.execute(change, (CANARY, "s1"))
            other.execute("rollback")

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)  # it looks for a deadlock once, after 50 ms, and finds none yet
    try:
        conn.execute(change, (CANARY, CANARY))
    finally:
        conn.execute("rollback")
        waiting.join()


def blunders(at: Loud) -> None:
    """What our code never does: values of a wrong type, which PostgreSQL names in the error's first line."""
    with at.refused("DatabaseError"), at.roster.stager() as conn:
        stage = Stage(conn, run_name(), 1)
        query = sql.SQL("copy {} (sourced_id, school_year) from stdin").format(stage.name("academic_sessions"))
        with conn.cursor() as cursor, cursor.copy(query) as copy:
            copy.write_row(("x", CANARY))
    with at.refused("DatabaseError"), at.roster.owner() as conn:
        conn.execute("select %s::text::date", (CANARY,))


def nothing_in_the_errors(at: Loud) -> None:
    assert at.errors
    for error in at.errors:
        told = f"{error!r} {error} {error.args} {error.next_step}{''.join(traceback.format_exception(error))}"
        assert MARK not in told.lower()
        assert error.__cause__ is None


def open_ways(at: Loud) -> set[str]:
    """The settings that the owner is told of."""
    return {name for each in exposures(at.roster.database.owner_url) for name in each.settings}


@pytest.mark.parametrize("version", [18, 15])
def test_where_the_owner_may_set_it_no_log_of_any_kind_names_anybody(version: int) -> None:
    with loud(version, GRANT) as at:
        life(at)
        troubles(at)
        blunders(at)
        assert at.leaks() == []
        nothing_in_the_errors(at)
        assert exposures(at.roster.database.owner_url) == []
        assert "LOG:  duration: " in at.said(), "what is slow can still be seen"


@pytest.mark.parametrize("version", [18, 15])
def test_as_the_server_s_own_settings_they_do_it_too(version: int) -> None:
    with loud(version, **LINES) as at:
        life(at)
        troubles(at)
        assert at.leaks() == []
        nothing_in_the_errors(at)
        assert exposures(at.roster.database.owner_url) == []
        assert "ERROR:  " in at.said(), "that something failed can still be seen"


@pytest.mark.parametrize("version", [18, 15])
def test_without_them_people_stand_in_the_log_in_every_way(version: int) -> None:
    with loud(version) as at:
        life(at)
        troubles(at)
        leaks = "\n".join(at.leaks())
        for way in (
            "DETAIL:  Failing row contains",
            "DETAIL:  Key ",
            "CONTEXT:  COPY ",
            "arameters: $1 = ",
            "Filter: ",
        ):
            assert way in leaks, way
        nothing_in_the_errors(at)
        assert open_ways(at) == {
            *("log_min_messages", "log_error_verbosity", "log_parameter_max_length", "log_statement"),
            *("log_min_duration_statement", "auto_explain.log_min_duration"),
        }


def test_values_that_were_not_bound_would_stand_there_for_all_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    for opener in (database, pool):
        monkeypatch.setattr(opener, "BoundCursor", psycopg.Cursor)
    with loud(18, GRANT) as at:
        life(at)
        leaks = at.leaks()
        assert leaks
        assert any("'canary-quimby" in line.lower() for line in leaks), "typed for a search"
        assert any(f"'{{{CANARY}-" in line for line in leaks), "ids of records"


# What stands in the text of a statement: names of our own, numbers, times, keys of tenants and runs.
HARMLESS = {
    *("BEYOND", "CONCLUDED", "CONFLICT", "GONE", "HELD", "HELD if self.hold else way", "SCHOOL_CLOSED", "UNDONE"),
    *("WITHHELD", "removals.CONCLUDED", "'DanglingReference'", "list(PRIVILEGED_ROLES)", "list(_WEAK)", "bases or []"),
    *("basis == 'identifier'", "basis in STRONG", "action"),
    *("check.code", "check.entity", "link.entity", "link.target", "table.entity", "columns", "QUIET[name]"),
    *("[cause for _, cause in listed]", "wanted.action"),  # the console takes the actions that there are
    *("days", "limit", "offset", "version", "wanted.limit", "overwrite", "partial", "undone.data_version"),
    *("run.started_at", "self.today", "since", "today"),
    *("gone.run.run", "run.run", "run.undoes", "undone.run"),
    *("gone.tenant", "run.tenant", "self.tenant", "tenant"),
    "verifier",  # of a new login's password
}


def test_a_literal_in_a_statement_is_known_to_be_nothing_of_a_person() -> None:
    found = {
        ast.unparse(node.args[0])
        for file in (ROOT / "operator" / "roster_operator").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "Literal"
    }
    assert found - HARMLESS == set(), "bind it (store/bound.py), or add it above"


@pytest.mark.parametrize("left_out", LINES)
def test_each_line_for_the_server_is_needed(left_out: str) -> None:
    lines = {name: value for name, value in LINES.items() if name != left_out}
    with loud(18, **lines) as at:
        life(at)
        troubles(at)
        assert at.leaks()
        assert left_out in open_ways(at)


@pytest.mark.parametrize("left_out", GRANTED)
def test_each_right_of_the_owner_is_needed(left_out: str) -> None:
    grant = re.sub(rf"{re.escape(left_out)}, |, {re.escape(left_out)}(?= to)", "", GRANT)
    assert left_out not in grant
    with loud(18, grant) as at:
        life(at)
        troubles(at)
        assert at.leaks()
        assert left_out in open_ways(at)


def test_logins_that_were_made_before_the_owner_might_are_set_by_the_next_migration() -> None:
    with loud(18) as at:
        at.roster.logins()
        readers.create(at.roster.database.owner_url, "app", None)
        console_logins.create(at.roster.database.owner_url, "console")
        assert {each.logins for each in exposures(at.roster.database.owner_url)} == {5}
        with psycopg.connect(at.server.superuser_url(), autocommit=True) as conn:
            conn.execute(GRANT.encode())
        migrate(at.roster.database.owner_url)
        assert exposures(at.roster.database.owner_url) == []
        with psycopg.connect(at.server.superuser_url(at.roster.database.name), autocommit=True) as conn:
            assert conn.execute("show log_min_messages").fetchone() == ("warning",), "nobody else's log changes"
