"""The console's login: one tenant at a time, each look recorded, and only what is the console's to write."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from tests.store.fixtures import CLUSTER, NAMESPACE, Roster, run_name
from tests.store.staging import merge_orgs, stage_orgs
from tests.store.test_store_application import school_day

from roster_operator.store import (
    access,
    console_logins,
    issues,
    manual,
    matches,
    pins,
    readings,
    retention,
    review,
    runs,
    uploads,
)
from roster_operator.store.errors import StoreError
from roster_operator.store.readings import Kind, Place
from roster_operator.store.stage import Issue
from roster_operator.store.tables import TABLES

pytestmark = pytest.mark.store


@pytest.fixture
def console(roster: Roster) -> Iterator[str]:
    login = f"console_{uuid4().hex[:12]}"
    yield console_logins.create(roster.database.owner_url, login)
    console_logins.drop(roster.database.owner_url, login)


def claimed(roster: Roster, tenant: str = "springfield", cluster: str = CLUSTER) -> Place:
    with roster.stager(tenant) as conn:
        runs.claim(conn, roster.key(tenant), cluster, NAMESPACE, tenant)
    return Place(roster.key(tenant), NAMESPACE, tenant, cluster)


def test_without_a_recorded_reading_nothing_is_seen(roster: Roster, console: str) -> None:
    school_day(roster)
    merge_orgs(roster, {"a": "North"})
    claimed(roster)
    with psycopg.connect(console, autocommit=True) as conn:
        for table in ("orgs", "users", "tenant", "sync_run", "change_log", "app_access", "upload", "reading"):
            assert conn.execute(f"select count(*) from roster.{table}".encode()).fetchone() == (0,)


def test_a_reading_shows_its_tenant_alone_and_stands_in_the_ledger(roster: Roster, console: str) -> None:
    school_day(roster)
    school_day(roster, "shelby")
    place = claimed(roster)
    claimed(roster, "shelby")
    with readings.opened(console, place, person="ada", kind=Kind.PEOPLE) as conn:
        assert conn.execute("select distinct tenant from roster.users").fetchall() == [(place.tenant,)]
        assert conn.execute("select tenant from roster.tenant").fetchall() == [(place.tenant,)]
    found = roster.ask("select person, kind, subject from roster.reading where tenant = %s", place.tenant)
    assert found == [("ada", "people", None)]
    with readings.opened(console, place, person="ada", kind=Kind.ACTIVITY) as conn:
        assert {(each.person, each.kind) for each in readings.listing(conn)} == {("ada", "people"), ("ada", "activity")}


def test_of_a_person_only_the_hash_is_kept_as_in_a_receipt(roster: Roster, console: str) -> None:
    place = claimed(roster)
    with readings.opened(console, place, person="ada", kind=Kind.PERSON, subject="pupil"):
        pass
    same = "sha256(convert_to((select database_id from roster.meta) || '/' || tenant || '/pupil', 'UTF8'))"
    assert roster.one(f"select subject = {same} from roster.reading where tenant = %s", place.tenant) is True
    assert "pupil" not in str(roster.ask("select * from roster.reading where tenant = %s", place.tenant))


def test_what_is_rolled_back_is_neither_read_on_nor_recorded(roster: Roster, console: str) -> None:
    school_day(roster)
    place = claimed(roster)
    with psycopg.connect(console, autocommit=True) as conn:
        with conn.transaction(force_rollback=True):
            conn.execute(
                "select roster.open_reading(%s, %s, %s, %s, 'ada', 'people', null)",
                (place.tenant, place.cluster, place.namespace, place.connection),
            )
            assert conn.execute("select from roster.users").fetchone() is not None
        assert conn.execute("select from roster.users").fetchone() is None
    assert roster.ask("select from roster.reading where tenant = %s", place.tenant) == []


@pytest.mark.parametrize("wrong", ["namespace", "connection", "cluster", "tenant", "unclaimed"])
def test_only_the_connection_that_claimed_the_tenant_opens_it(roster: Roster, console: str, wrong: str) -> None:
    place = claimed(roster)
    changed = {"namespace": "other", "connection": "other", "cluster": "other", "tenant": roster.key("other")}
    if wrong == "unclaimed":
        with roster.owner() as conn:
            conn.execute("update roster.tenant set claimed_at = null where tenant = %s", (place.tenant,))
    else:
        place = Place(**{**place.__dict__, wrong: changed[wrong]})
    with pytest.raises(StoreError) as refused, readings.opened(console, place, person="ada", kind=Kind.PEOPLE):
        pass
    assert refused.value.reason == "TenantNotOpen"


def test_one_transaction_opens_one_tenant(roster: Roster, console: str) -> None:
    place, other = claimed(roster), claimed(roster, "shelby")
    opening = "select roster.open_reading(%s, %s, %s, %s, 'ada', 'people', null)"
    with readings.opened(console, place, person="ada", kind=Kind.PEOPLE, write=True) as conn:
        with pytest.raises(psycopg.errors.Error) as refused, conn.transaction():
            conn.execute(opening, (other.tenant, other.cluster, other.namespace, other.connection))
        assert conn.execute("select tenant from roster.tenant").fetchall() == [(place.tenant,)]
    assert refused.value.sqlstate == "RO011"


def test_no_other_login_opens_a_reading(roster: Roster) -> None:
    place = claimed(roster)
    with (
        pytest.raises(StoreError) as refused,
        readings.opened(roster.logins().merge_url, place, person="ada", kind=Kind.PEOPLE),
    ):
        pass
    assert refused.value.reason == "DatabasePermissionDenied"


@pytest.mark.parametrize(
    "statement",
    [
        "update roster.users set given_name = 'X' where sourced_id = 'pupil' returning 1",
        "update roster.enrollments set role = 'teacher' returning 1",
        (
            "insert into roster.users (tenant, sourced_id, source, row_hash, first_seen, last_changed)"
            " values (%(tenant)s, 'new', 'SIS', '', now(), now()) returning 1"
        ),
        (
            "insert into roster.users (tenant, sourced_id, source, row_hash, first_seen, last_changed)"
            " values (%(other)s, 'new', 'Manual', '', now(), now()) returning 1"
        ),
        (
            "insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id)"
            " values (%(tenant)s, 1, gen_random_uuid(), 'users', 'create', 'x') returning 1"
        ),
        (
            "insert into roster.app_access (tenant, user_sourced_id, permissions, granted_by)"
            " values (%(other)s, 'x', '{a}', 'x') returning 1"
        ),
        "delete from roster.users returning 1",
        "delete from roster.reading returning 1",
        (
            "insert into roster.reading (tenant, namespace, connection, person, kind)"
            " values (%(other)s, 'x', 'x', 'x', 'x') returning 1"
        ),
        "update roster.reading set person = 'eve' returning 1",
        "update roster.tenant set claimed_at = null returning 1",
        "update roster.orgs set name = 'X' returning 1",
        "update roster.sync_run set state = 'Merged' returning 1",
        # A pin names what a person may set; nothing that decides what somebody may see, and nothing of another tenant.
        (
            "insert into roster.pin (tenant, entity, sourced_id, field, value, pinned_by)"
            " values (%(tenant)s, 'users', 'pupil', 'role', '\"administrator\"', 'x') returning 1"
        ),
        (
            "insert into roster.pin (tenant, entity, sourced_id, field, value, pinned_by)"
            " values (%(other)s, 'users', 'pupil', 'email', '\"x\"', 'x') returning 1"
        ),
        "select roster.apply_pin(%(other)s, 'users', 'pupil', 'email')",
        "select roster.link_by_hand(%(tenant)s, 'pupil', 'teacher', gen_random_uuid(), 1)",
        "select roster.unlink_by_hand(%(other)s, 'pupil', 'teacher', gen_random_uuid(), 1, 'x')",
        "select roster.succeed(%(tenant)s, gen_random_uuid(), 1)",
        "insert into roster.succession select * from roster.succession returning 1",
    ],
)
def test_the_console_changes_nothing_that_is_not_its_own(roster: Roster, console: str, statement: str) -> None:
    school_day(roster)
    school_day(roster, "shelby")
    place = claimed(roster)
    before = roster.snapshot()
    keys = {"tenant": place.tenant, "other": roster.key("shelby")}
    changed: list[object] = []
    try:
        with psycopg.connect(console, autocommit=True) as conn, conn.transaction():
            conn.execute(
                "select roster.open_reading(%s, %s, %s, %s, 'ada', 'people', null)",
                (place.tenant, place.cluster, place.namespace, place.connection),
            )
            changed += conn.execute(statement.encode(), keys).fetchall()
    except psycopg.Error as refused:
        assert refused.sqlstate in {"42501", "RO011", "RO041"}  # noqa: PT017  some statements only find no row
    assert changed == []
    assert roster.snapshot() == before


def test_it_reads_without_the_right_to_write_unless_it_says_so(roster: Roster, console: str) -> None:
    school_day(roster)
    place = claimed(roster)
    with (
        pytest.raises(StoreError) as refused,
        readings.opened(console, place, person="ada", kind=Kind.ACCESS) as conn,
    ):
        access.grant(conn, place.tenant, "teacher", ["review"], by="ada")
    assert refused.value.reason == "DatabaseReadOnly"


def test_it_grants_access_adds_students_and_takes_uploads(roster: Roster, console: str, tmp_path) -> None:
    school_day(roster)
    place = claimed(roster)
    with readings.opened(console, place, person="ada", kind=Kind.ACCESS, write=True) as conn:
        access.grant(conn, place.tenant, "teacher", ["review"], by="ada", reason="term")
        access.revoke(conn, place.tenant, "teacher", by="ada")
        assert [each.effective for each in access.listing(conn, place.tenant)] == [False]
    with readings.opened(console, place, person="ada", kind=Kind.PEOPLE, write=True) as conn:
        student = manual.Student("Nia", "Novak", "s1", classes=["c-now"])
        made = manual.add(conn, place.tenant, student, by="ada")
        manual.edit(conn, place.tenant, made, manual.Student("Nia", "Nowak", "s1"), by="ada")
    assert roster.one("select family_name from roster.users where sourced_id = %s", made) == "Nowak"
    assert roster.data_version() == 2
    file = tmp_path / "bundle.zip"
    file.write_bytes(b"PK" + bytes(3_000_000))
    with file.open("rb") as content, readings.opened(console, place, person="a", kind=Kind.UPLOADS, write=True) as conn:
        kept = uploads.put(conn, content, "ada")
    with roster.stager() as conn, (tmp_path / "back.zip").open("w+b") as back:
        assert uploads.fetch(conn, kept.digest, back) == file.stat().st_size


def test_it_pins_a_value_and_releases_it(roster: Roster, console: str) -> None:
    school_day(roster)
    place = claimed(roster)
    with readings.opened(console, place, person="ada", kind=Kind.PIN, subject="pupil", write=True) as conn:
        pins.put(conn, place.tenant, "users", "pupil", "email", "new@example.org", by="ada", reason="asked for it")
        [pin] = pins.listing(conn, place.tenant)
        assert (pin.value, pin.released) == ("new@example.org", False)
    email = "select email from roster.users where tenant = %s and sourced_id = 'pupil'"
    assert roster.one(email, place.tenant) == "new@example.org"
    with readings.opened(console, place, person="ada", kind=Kind.PIN, write=True) as conn:
        pins.release(conn, place.tenant, "users", "pupil", "email", by="ada")
        [pin] = pins.listing(conn, place.tenant, "users", "pupil")
        assert pin.released
        assert pins.listing(conn, place.tenant, "users", "other") == []
    actions = roster.ask("select action from roster.change_log where tenant = %s order by data_version", place.tenant)
    assert actions == [("manualUpdate",), ("unpin",)]


def test_it_decides_on_a_match_and_takes_that_back(roster: Roster, console: str) -> None:
    school_day(roster)
    place = claimed(roster)
    with readings.opened(console, place, person="ada", kind=Kind.MATCH, write=True) as conn:
        made = manual.add(conn, place.tenant, manual.Student("Nia", "Novak", "s1"), by="ada")
        matches.accept(conn, place.tenant, made, "pupil", by="ada", reason="the same birth date")
    status = "select status, inactive_cause from roster.users where sourced_id = %s"
    assert roster.ask(status, made) == [("inactive", "link")]
    with readings.opened(console, place, person="ada", kind=Kind.MATCH, write=True) as conn:
        assert matches.undo(conn, place.tenant, made, "pupil", by="ada")
        assert [each.linked for each in matches.decisions(conn, place.tenant)] == [False]
        assert not matches.undo(conn, place.tenant, made, "pupil", by="ada")
        assert matches.decisions(conn, place.tenant) == []
    assert roster.ask(status, made) == [("active", None)]


def test_database_and_program_agree_on_what_can_be_pinned(roster: Roster) -> None:
    columns = roster.ask(
        "select table_name, column_name from information_schema.columns where table_schema = 'roster'"
        " and table_name = any (%s)",
        [table.name for table in TABLES],
    )
    entity = {table.name: table.entity for table in TABLES}
    asked = [(entity[table], column) for table, column in columns]
    with roster.owner() as conn:
        may = {
            (name, field)
            for name, field in asked
            if conn.execute("select roster.pinnable(%s, %s)", (name, field)).fetchone() == (True,)
        }
    assert may == {(table.entity, field) for table in TABLES for field in pins.fields(table.entity)}


def test_it_reviews_what_is_staged(roster: Roster, console: str) -> None:
    merge_orgs(roster, {"a": "North", "b": "South", "c": "East"})
    place = claimed(roster)
    bad = Issue("orgs", "a", "MissingExpected", "warning", "identifier")
    with roster.stager() as conn:
        name, plan = stage_orgs(
            conn, {"a": "North High", "d": "West"}, name=run_name("sync-2"), gone={"b": "South", "c": "East"},
            issues=(bad, Issue("orgs", "zz", "BadStatus", "error", "status")),
        )  # fmt: skip
    assert plan.entities["orgs"].vanished == 2
    with readings.opened(console, place, person="ada", kind=Kind.PLAN) as conn:
        run = runs.get(conn, name.run)
        everything = review.changes(conn, run, "orgs")
        assert [(each.sourced_id, each.action, each.label) for each in everything] == [
            ("a", "update", "North High"), ("b", "vanished", "South"), ("c", "vanished", "East"),
            ("d", "create", "West"),
        ]  # fmt: skip
        assert everything[0].fields == {"name": ("North", "North High")}
        for wanted, ids in (
            (review.Wanted(action="vanished"), ["b", "c"]),
            (review.Wanted(search="WEST"), ["d"]),
            (review.Wanted(search="%"), []),
            (review.Wanted(field="name"), ["a"]),
            (review.Wanted(field="type"), []),
            (review.Wanted(limit=1, after="b"), ["c"]),
            (review.Wanted(school="d"), ["d"]),
            (review.Wanted(action="update", search="o"), ["a"]),
        ):
            assert [each.sourced_id for each in review.changes(conn, run, "orgs", wanted)] == ids
        found = issues.listing(conn, run)
        assert [(each.sourced_id, each.code, each.label, each.school) for each in found] == [
            ("zz", "BadStatus", "", ""),
            ("a", "MissingExpected", "North High", "North High"),
        ]
        assert issues.listing(conn, run, code="BadStatus", entity="orgs", limit=1, offset=1) == []


def test_the_record_of_readings_ends_with_the_history(roster: Roster, console: str) -> None:
    place = claimed(roster)
    for _ in range(2):
        with readings.opened(console, place, person="ada", kind=Kind.PEOPLE):
            pass
    with roster.owner() as conn:
        conn.execute(
            "update roster.reading set at = at - interval '401 days' where ctid ="
            " (select min(ctid) from roster.reading where tenant = %s)",
            (place.tenant,),
        )
    retention.reap(roster.database.owner_url)
    assert roster.one("select count(*) from roster.reading where tenant = %s", place.tenant) == 1


def test_a_login_is_made_once_gets_new_passwords_and_goes(roster: Roster) -> None:
    url, login = roster.database.owner_url, f"console_{uuid4().hex[:12]}"
    made = console_logins.create(url, login)
    for name, rotate, reason in (
        (login, False, "ConsoleExists"),
        (f"{login}x", True, "ConsoleUnknown"),
        ("Bad name", False, "ConsoleNameInvalid"),
    ):
        with pytest.raises(StoreError) as refused:
            console_logins.create(url, name, rotate=rotate)
        assert refused.value.reason == reason
    assert console_logins.create(url, login, rotate=True) != made
    console_logins.drop(url, login)
    with pytest.raises(StoreError) as gone:
        console_logins.drop(url, login)
    assert gone.value.reason == "ConsoleUnknown"
