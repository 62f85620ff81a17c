"""Students who are added by hand: there at once, untouched by syncs, and told apart from the SIS's people."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from tests.store.fixtures import Roster
from tests.store.staging import merge_orgs, stage_orgs
from tests.store.test_store_application import add, ids, reading, school_day

from roster_operator.store import access, manual
from roster_operator.store.errors import StoreError
from roster_operator.store.manual import Student
from roster_operator.store.merge import PlanChanged, merge

pytestmark = pytest.mark.store

NEW = Student("Noor", "Haddad", "s1", identifier="n-1", grades=("09",), classes=("c-now",))


@pytest.fixture
def day(roster: Roster) -> Roster:
    school_day(roster)
    return roster


def made(roster: Roster, student: Student = NEW) -> str:
    return manual.add(roster.database.owner_url, roster.key(), student, by="ada", reason="arrived today")


def test_a_student_added_by_hand_may_sit_a_test_at_once(day: Roster) -> None:
    before = day.data_version()
    sourced_id = made(day)
    with reading(day, "springfield") as app:
        assert sourced_id in ids(app, "testable_students")
        assert app.execute(
            "select class_title, school_name from roster_app.class_rosters where user_sourced_id = %s", (sourced_id,)
        ).fetchall() == [("Algebra 1", "North")]
        assert ids(app, "access", "user_sourced_id") == [], "access is granted by somebody, never by itself"
    access.grant(day.database.owner_url, day.key(), sourced_id, ["sit"], by="ada")
    assert day.data_version() == before + 1
    log = day.ask("select entity, action, data_version from roster.change_log where tenant = %s order by 1", day.key())
    assert log == [("enrollments", "manualCreate", before + 1), ("users", "manualCreate", before + 1)]
    assert day.ask("select changed_by, reason from roster.manual_change where tenant = %s", day.key()) == [
        ("ada", "arrived today")
    ]


def test_no_sync_touches_a_manual_row(day: Roster) -> None:
    sourced_id = made(day)
    row = day.snapshot()["users"][sourced_id]
    merge_orgs(day, {"s1": "North", "o9": "Nine"})
    merge_orgs(day, {"s1": "North"})
    assert day.snapshot()["users"][sourced_id] == row


def test_editing_moves_the_student_and_keeps_what_was(day: Roster) -> None:
    sourced_id = made(day)
    url, key = day.database.owner_url, day.key()
    manual.edit(url, key, sourced_id, replace(NEW, family_name="Haddad-Lind", classes=("c-over",)), by="ada")
    assert day.snapshot()["users"][sourced_id]["family_name"] == "Haddad-Lind"
    query = "select class_sourced_id, status from roster.enrollments where tenant = %s and user_sourced_id = %s"
    classes = day.ask(f"{query} order by 1", key, sourced_id)
    assert classes == [("c-now", "inactive"), ("c-over", "active")]
    query = "select old ->> 'family_name' from roster.change_log where tenant = %s and action = 'manualUpdate'"
    old = day.one(query, key)
    assert old == "Haddad"
    manual.end(url, key, sourced_id, by="ada")
    assert day.snapshot()["users"][sourced_id]["status"] == "inactive"
    assert day.ask("select count(*) from roster.enrollments where tenant = %s and user_sourced_id = %s and status ="
                   " 'active'", key, sourced_id) == [(0,)]  # fmt: skip
    with pytest.raises(StoreError) as gone:
        manual.end(url, key, sourced_id, by="ada")
    assert gone.value.reason == "PersonUnknown"


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        (replace(NEW, given_name=" "), "StudentInvalid"),
        (replace(NEW, family_name=""), "StudentInvalid"),
        (replace(NEW, email="x" * 256), "StudentInvalid"),
        (replace(NEW, email="a\0b"), "StudentInvalid"),
        (replace(NEW, grades=["09"] * 101), "StudentInvalid"),
        (replace(NEW, school="d1"), "SchoolUnknown"),
        (replace(NEW, school="nowhere"), "SchoolUnknown"),
        (replace(NEW, classes=("c-now", "c-gone")), "ClassUnknown"),
        (replace(NEW, identifier="taken"), "IdentifierTaken"),
    ],
)
def test_what_makes_no_student_is_refused_and_leaves_nothing(day: Roster, student: Student, reason: str) -> None:
    add(day, "users", sourced_id="u-sis", role="student", identifier="taken", given_name="G", family_name="F")
    before = day.snapshot(), day.data_version()
    with pytest.raises(StoreError) as refused:
        made(day, student)
    assert refused.value.reason == reason
    assert "Haddad" not in refused.value.message
    assert (day.snapshot(), day.data_version()) == before


def test_only_what_is_named_is_changed(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    full = replace(NEW, middle_name="Aya", email="n@example.org", username="noor")
    sourced_id = made(day, full)
    before = day.snapshot()["users"][sourced_id]
    seats = "select class_sourced_id, status from roster.enrollments where tenant = %s and user_sourced_id = %s"

    manual.amend(url, key, sourced_id, {"family_name": "Lind"}, by="ada")
    after = day.snapshot()["users"][sourced_id]
    assert {name for name in before if before[name] != after[name]} - {"last_changed"} == {"family_name", "row_hash"}
    assert day.ask(seats, key, sourced_id) == [("c-now", "active")]
    # What an edit of everything would have left is what is there.
    manual.edit(url, key, sourced_id, replace(full, family_name="Lind"), by="ada")
    assert day.snapshot()["users"][sourced_id]["row_hash"] == after["row_hash"]

    manual.amend(url, key, sourced_id, {"email": None, "grades": [], "classes": ["c-over"]}, by="ada")
    row = day.snapshot()["users"][sourced_id]
    assert (row["email"], row["grades"], row["middle_name"], row["username"]) == (None, [], "Aya", "noor")
    assert day.ask(f"{seats} order by 1", key, sourced_id) == [("c-now", "inactive"), ("c-over", "active")]


def test_a_class_that_ended_meanwhile_is_no_hindrance_unless_it_is_named(day: Roster) -> None:
    url, key = day.database.owner_url, day.key()
    sourced_id = made(day)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("update roster.classes set status = 'inactive' where tenant = %s and sourced_id = 'c-now'", (key,))
        conn.execute("update roster.orgs set status = 'inactive' where tenant = %s and sourced_id = 's1'", (key,))
    manual.amend(url, key, sourced_id, {"username": "noor"}, by="ada")
    assert day.snapshot()["users"][sourced_id]["username"] == "noor"
    before = day.snapshot(), day.data_version()
    for changed, reason in (
        ({"classes": ["c-now"]}, "SchoolUnknown"),
        ({"given_name": " "}, "StudentInvalid"),
        ({"school": "s1"}, "SchoolUnknown"),
    ):
        with pytest.raises(StoreError) as refused:
            manual.amend(url, key, sourced_id, changed, by="ada")
        assert refused.value.reason == reason
    assert (day.snapshot(), day.data_version()) == before


def test_a_person_of_the_sis_is_not_edited_here(day: Roster) -> None:
    for call in (
        lambda: manual.edit(day.database.owner_url, day.key(), "pupil", NEW, by="ada"),
        lambda: manual.amend(day.database.owner_url, day.key(), "pupil", {"email": None}, by="ada"),
        lambda: manual.end(day.database.owner_url, day.key(), "pupil", by="ada"),
    ):
        with pytest.raises(StoreError) as refused:
            call()
        assert refused.value.reason == "PersonUnknown"
    assert day.snapshot()["users"]["pupil"]["status"] == "active"


def test_a_plan_that_waits_is_computed_again(day: Roster) -> None:
    with day.stager() as conn:
        name, plan = stage_orgs(conn, {"o5": "Five"})
    made(day)
    with day.merger() as conn:
        result = merge(conn, name.run, plan.digest, {"by": "test"})
    # It is about other records: the digest is the same, so the approval stands.
    assert not isinstance(result, PlanChanged)
    assert result.data_version == day.data_version()
