"""Matches that people decide, values that they pin, and what is erased of somebody who had several ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from tests.store.fixtures import Roster
from tests.store.test_store_application import add, ids, reading, school_day

from roster_operator.store import access, erase, manual, matches, pins
from roster_operator.store.errors import StoreError
from roster_operator.store.manual import Student
from roster_operator.store.matches import Match

pytestmark = pytest.mark.store

NEW = Student("Kim", "Haddad", "s1", email="kim@example.org", grades=("09",), classes=("c-now",))
KELVIN = "\u212a"


@pytest.fixture
def day(roster: Roster) -> Roster:
    school_day(roster)
    return roster


def made(day: Roster, student: Student = NEW) -> str:
    return manual.add(day.database.owner_url, day.key(), student, by="ada", reason="arrived today")


def sis(day: Roster, sourced_id: str = "sis-1", **more: Any) -> str:
    values = {"role": "student", "given_name": "Other", "family_name": "Name", "org_sourced_ids": ["s1"]} | more
    add(day, "users", sourced_id=sourced_id, **values)
    return sourced_id


def found(day: Roster) -> list[Match]:
    return matches.listing(day.database.owner_url, day.key())


# ---- may match


def test_an_email_or_a_name_at_the_same_school_makes_a_may_match(day: Roster) -> None:
    one = made(day)
    sis(day, "by-email", email="KIM@example.org", org_sourced_ids=["s9"])
    sis(day, "by-name", given_name="KIM", family_name="haddad")
    sis(day, "elsewhere", given_name="Kim", family_name="Haddad", org_sourced_ids=["s9"])
    sis(day, "staff", email="kim@example.org", role="teacher")
    assert found(day) == [Match(one, "by-email", "email"), Match(one, "by-name", "name")]


@pytest.mark.parametrize(
    "other",
    [
        {"email": f"{KELVIN}im@example.org"},
        {"email": "\uff4bim@example.org"},  # full width
        {"given_name": f"{KELVIN}im", "family_name": "Haddad"},
        {"given_name": "Kim", "family_name": "Haddad\u0301"},
    ],
)
def test_what_only_folding_makes_equal_is_no_match(day: Roster, other: dict[str, str]) -> None:
    made(day)
    sis(day, **other)
    assert found(day) == []


def test_accepting_makes_one_person_of_two_and_can_be_undone(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    one = made(day)
    two = sis(day, email="kim@example.org")
    access.grant(url, key, one, ["tests.sit"], by="ada")
    before = day.snapshot()
    matches.accept(url, key, one, two, by="bob", reason="the same birth date")
    assert found(day) == []
    with reading(day, "springfield") as app:
        assert one not in ids(app, "active_students")
        assert ids(app, "access", "user_sourced_id") == [two]
        assert app.execute("select former_sourced_id, former_person, sourced_id, person from roster_app.former_ids"
                           ).fetchall() == [(one, one, two, two)]  # fmt: skip
        assert ("c-now", two) in app.execute("select class_sourced_id, user_sourced_id from roster_app.class_rosters"
                                             ).fetchall()  # fmt: skip
        # The application still says the id that it knew.
        assert app.execute("select roster_app.register_use(%s, 'users', %s, 'plan')", (key, [two])).fetchone() == (1,)
    [decided] = matches.decisions(url, key)
    assert (decided.manual, decided.sis, decided.linked, decided.by) == (one, two, True, "bob")
    assert day.one("select reason from roster.manual_change where tenant = %s and changed_by = 'bob'", key)

    assert matches.undo(url, key, one, two, by="eve")
    after = day.snapshot()
    for entity in ("users", "enrollments"):
        assert {i: _without_times(row) for i, row in after[entity].items()} == {
            i: _without_times(row) for i, row in before[entity].items()
        }
    assert [each.user_sourced_id for each in access.listing(url, key)] == [one]
    [decided] = matches.decisions(url, key)
    assert (decided.linked, decided.by) == (False, "eve")
    assert day.data_version() == 3


def _without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "last_changed"}


def test_refusing_is_remembered_and_can_be_undone(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    one = made(day)
    two = sis(day, email="kim@example.org")
    matches.reject(url, key, one, two, by="bob")
    assert found(day) == []
    assert not matches.undo(url, key, one, two, by="bob")
    assert found(day) == [Match(one, two, "email")]
    with pytest.raises(StoreError) as refused:
        matches.undo(url, key, one, two, by="bob")
    assert refused.value.reason == "MatchUnknown"


@pytest.mark.parametrize("pair", [("pupil", "pupil"), ("nobody", "pupil"), (None, "left"), (None, "nobody")])
def test_only_two_active_people_are_decided_on(day: Roster, pair: tuple[str | None, str]) -> None:
    one = made(day)
    for decide in (matches.accept, matches.reject):
        with pytest.raises(StoreError) as refused:
            decide(day.database.owner_url, day.key(), pair[0] or one, pair[1], by="bob")
        assert refused.value.reason == "PersonUnknown"
    assert matches.decisions(day.database.owner_url, day.key()) == []


# ---- pins


def test_a_pin_says_who_why_and_until_when_and_stands_in_the_history(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    until = datetime(2999, 1, 1, tzinfo=UTC)
    pins.put(url, key, "users", "pupil", "email", "new@example.org", by="ada", reason="asked for it", until=until)
    [pin] = pins.listing(url, key)
    assert (pin.entity, pin.sourced_id, pin.field, pin.value) == ("users", "pupil", "email", "new@example.org")
    assert (pin.until, pin.pinned_by, pin.reason, pin.released) == (until, "ada", "asked for it", False)
    assert day.snapshot()["users"]["pupil"]["email"] == "new@example.org"
    action, old = day.ask("select action, old ->> 'email' from roster.change_log where tenant = %s", key)[0]
    assert (action, old) == ("manualUpdate", None)
    pins.release(url, key, "users", "pupil", "email", by="bob")
    [pin] = pins.listing(url, key)
    assert pin.released
    with pytest.raises(StoreError) as refused:
        pins.release(url, key, "users", "pupil", "email", by="bob")
    assert refused.value.reason == "PinUnknown"


@pytest.mark.parametrize(
    ("entity", "sourced_id", "field", "value", "reason"),
    [
        ("people", "pupil", "email", "x", "EntityUnknown"),
        ("users", "pupil", "role", "teacher", "FieldNotPinnable"),
        ("users", "pupil", "org_sourced_ids", ["s9"], "FieldNotPinnable"),
        ("users", "pupil", "sourced_id", "x", "FieldNotPinnable"),
        ("users", "pupil", "enabled_user", "perhaps", "PinInvalid"),
        ("orgs", "s1", "name", None, "PinInvalid"),
        ("users", "left", "email", "x", "RecordUnknown"),
        ("users", "nobody", "email", "x", "RecordUnknown"),
    ],
)
def test_what_cannot_be_pinned_says_why(
    day: Roster, entity: str, sourced_id: str, field: str, value: Any, reason: str
) -> None:
    before = day.snapshot(), day.data_version()
    with pytest.raises(StoreError) as refused:
        pins.put(day.database.owner_url, day.key(), entity, sourced_id, field, value, by="ada")
    assert refused.value.reason == reason
    assert (day.snapshot(), day.data_version()) == before
    assert pins.listing(day.database.owner_url, day.key()) == []


_REFUSED = [
    "update roster.pin set value = '1'",
    """insert into roster.pin (tenant, entity, sourced_id, field, value, pinned_by)
       values ('x', 'users', 'a', 'b', '1', 'c')""",
    """insert into roster.succession (tenant, run, entity, old_sourced_id, new_sourced_id, kind, basis, data_version)
       values ('x', gen_random_uuid(), 'users', 'a', 'b', 'link', 'x', 1)""",
    """insert into roster.match_decision (tenant, manual_sourced_id, sourced_id, decision, decided_by)
       values ('x', 'a', 'b', 'accepted', 'me')""",
    "select roster.succeed('x', gen_random_uuid(), 1)",
    "select roster.unlink('x', gen_random_uuid(), 'a', gen_random_uuid(), 1, 'me')",
    """insert into roster.proposed_succession (tenant, run, entity, old_sourced_id, new_sourced_id, kind, basis)
       values ('shelbyville', gen_random_uuid(), 'users', 'a', 'b', 'link', 'x')""",
]


def test_nobody_but_the_owner_writes_pins_successions_and_decisions(day: Roster) -> None:
    pins.put(day.database.owner_url, day.key(), "users", "pupil", "email", "x", by="ada")
    add(day, "users", "shelbyville", sourced_id="theirs")
    pins.put(day.database.owner_url, day.key("shelbyville"), "users", "theirs", "email", "x", by="ada")
    for login in (day.stager, day.merger):
        with login() as conn:
            assert conn.execute("select count(*) from roster.pin").fetchone() == (1,)
            for statement in _REFUSED:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(statement.encode())
    with day.merger() as conn:
        # A pin that holds is nobody's to clear away.
        assert conn.execute("delete from roster.pin").rowcount == 0
    with day.stager() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("delete from roster.pin")


# ---- one person, several ids


def test_erasing_a_person_erases_every_id_that_they_had(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    one = made(day)
    two = sis(day, email="kim@example.org")
    matches.accept(url, key, one, two, by="bob")
    pins.put(url, key, "users", two, "phone", "1", by="ada")
    receipt = erase.person(url, key, one, by="ada", discard_staged=True)
    assert {name: receipt.rows[name] for name in ("users", "pin", "succession", "match_decision")} == {
        "users": 2, "pin": 1, "succession": 1, "match_decision": 1,
    }  # fmt: skip
    for table in ("users", "change_log", "pin", "succession", "match_decision", "enrollments"):
        text = day.one(f"select coalesce(string_agg(t::text, ' '), '') from roster.{table} t where tenant = %s", key)
        assert one not in text
        assert two not in text


def test_an_id_that_the_application_knows_is_registered_under_the_one_of_today(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    add(day, "users", sourced_id="new", role="student", person="old", given_name="A", family_name="B")
    with reading(day, "springfield") as app:
        assert app.execute(
            "select roster_app.register_use(%s, 'users', %s, 'plan')", (key, ["old", "pupil"])
        ).fetchone() == (2,)
    used = day.ask("select sourced_id from roster.reference_use where tenant = %s order by 1", key)
    assert used == [("new",), ("pupil",)]
    assert url


def test_a_student_of_the_sis_is_not_pinned_by_hand_twice(day: Roster) -> None:
    one = made(day, replace(NEW, email=None))
    with pytest.raises(StoreError) as refused:
        pins.put(day.database.owner_url, day.key(), "users", one, "email", "x", by="ada")
    assert refused.value.reason == "RecordUnknown"
    assert "roster student edit" in refused.value.next_step
