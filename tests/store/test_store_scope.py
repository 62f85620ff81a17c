"""The database closes a scope, and says what looks wrong in the result of a merge."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.store.fixtures import Roster, run_name
from tests.store.staging import ORGS, raw, row_hash

from roster_operator.store import checks, runs
from roster_operator.store import plan as plans
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.plan import Plan
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Issue, Stage
from roster_operator.store.tables import BY_ENTITY, Kind

pytestmark = pytest.mark.store
Rows = dict[str, dict[str, dict[str, Any]]]  # entity → id → column → value; "status" may be among them

_NEEDED: dict[str, dict[str, Any]] = {
    "orgs": {"name": "N", "type": "school"},
    "academicSessions": {"title": "T", "type": "term", "start_date": "2026-08-01", "end_date": "2027-06-01"},
    "courses": {"title": "T"},
    "classes": {"title": "T", "course_sourced_id": "k1", "school_sourced_id": "o1", "term_sourced_ids": ["s1"]},
    "users": {"role": "student", "org_sourced_ids": ["o1"], "grades": ["09"], "given_name": "A", "family_name": "B"},
    "enrollments": {"role": "student", "school_sourced_id": "o1", "class_sourced_id": "c1", "user_sourced_id": "u1"},
    "demographics": {},
}


def good() -> Rows:
    """A small district with nothing to say about."""
    return {
        "orgs": {"d": {"type": "district"}, "o1": {"parent_sourced_id": "d"}},
        "academicSessions": {"s1": {}},
        "courses": {"k1": {"org_sourced_id": "d"}},
        "classes": {"c1": {}},
        "users": {"u1": {"username": "one", "identifier": "1"}, "t1": {"role": "teacher", "identifier": "2"}},
        "enrollments": {"e1": {}, "e2": {"user_sourced_id": "t1", "role": "teacher", "primary": True}},
        "demographics": {"u1": {}},
    }


def changed(**entities: dict[str, Any]) -> Rows:
    """The good district with these records added or changed; None takes one away."""
    rows = good()
    for entity, records in entities.items():
        for sourced_id, values in records.items():
            if values is None:
                del rows[entity][sourced_id]
            else:
                rows[entity][sourced_id] = rows[entity].get(sourced_id, {}) | values
    return rows


def _value(kind: Kind, value: Any) -> Any:
    return date.fromisoformat(value) if kind is Kind.DATE and value else value


def stage_rows(
    conn: psycopg.Connection,
    rows: Rows,
    *,
    out: dict[str, tuple[str, ...]] | None = None,
    schools: tuple[str, ...] = (),
    enrolled_only: bool = False,
    untaken: tuple[str, ...] = (),
    removable: bool = True,
    issues: tuple[Issue, ...] = (),
    gone: Rows | None = None,
) -> tuple[RunName, Plan]:
    """Stage a district by hand. `gone` are merged rows, as they are merged, that the pull did not show."""
    name = run_name()
    stage = Stage(conn, name, 1)
    for entity, records in rows.items():
        table = BY_ENTITY[entity]
        writer = stage.table(table)
        for sourced_id, given in records.items():
            values = _NEEDED[entity] | given
            text = f"{sourced_id}{sorted(values.items())}"
            cells = [_value(column.kind, values.get(column.name)) for column in table.columns]
            writer.add(sourced_id, values.get("status", "active"), raw(entity + text), row_hash(text), cells)
        writer.flush()
    for entity, records in (gone or {}).items():
        hashes = [raw(entity + f"{i}{sorted((_NEEDED[entity] | given).items())}") for i, given in records.items()]
        query = sql.SQL("copy {} (entity, raw_hash) from stdin").format(stage.name("unseen"))
        with conn.cursor() as cursor, cursor.copy(query) as copy:
            for value in hashes:
                copy.write_row((entity, value))
    stage.issues(issues)
    for entity, ids in (out or {}).items():
        stage.scoped_out(BY_ENTITY[entity], ids)
    entities = [entity for entity in BY_ENTITY if entity not in untaken]
    may_lose = entities if removable else []
    stage.close_scope(schools, enrolled_only=enrolled_only, untaken=untaken, removable=may_lose, partial=())
    pull = {e: {"pulled": True, "received": len(rows.get(e, ())), "invalid": 0, "reason": None} for e in entities}
    stage.seal("1.2", pull, may_lose)
    run = runs.get(conn, name.run)
    with conn.transaction():
        plan = plans.compute(conn, run)
    plans.record(conn, run, plan)
    return name, plan


def merge_rows(roster: Roster, rows: Rows, **more: Any) -> Plan:
    with roster.stager() as conn:
        name, plan = stage_rows(conn, rows, **more)
    with roster.merger() as conn:
        assert isinstance(merge(conn, name.run, plan.digest, {}), Merged)
    return plan


def found(roster: Roster, rows: Rows, **more: Any) -> dict[tuple[str, str], int]:
    """What the checks say of the result of staging these rows."""
    with roster.stager() as conn:
        name, _ = stage_rows(conn, rows, **more)
        result = checks.run(conn, runs.get(conn, name.run))
    return {(each["code"], each["entity"]): each["count"] for each in result}


def test_a_good_district_has_nothing_to_say_about(roster: Roster) -> None:
    assert found(roster, good()) == {}


@pytest.mark.parametrize(
    ("rows", "code", "entity", "count"),
    [
        (changed(enrollments={"e2": None}, users={"t1": None}), "ClassWithoutTeacher", "classes", 1),
        (changed(enrollments={"e1": None}, users={"u1": None}, demographics={"u1": None}, orgs={"o1": {}},
                 classes={"c1": {}}), "ClassWithoutStudents", "classes", 1),
        (changed(users={"t2": {"role": "teacher"}}, enrollments={"e3": {"user_sourced_id": "t2", "role": "teacher",
                 "primary": True}}), "SeveralPrimaryTeachers", "classes", 1),
        (changed(users={"u2": {}, "u3": {}}), "StudentWithoutEnrollment", "users", 2),
        (changed(users={"u1": {"grades": []}}), "StudentWithoutGrade", "users", 1),
        (changed(users={"u1": {"grades": None}}), "StudentWithoutGrade", "users", 1),
        (changed(users={"t2": {"role": "teacher"}}), "TeacherWithoutClass", "users", 1),
        (changed(courses={"k2": {}}), "CourseWithoutClass", "courses", 1),
        (changed(orgs={"o2": {}}), "SchoolWithoutStudents", "orgs", 1),
        (changed(users={"t1": {"identifier": "1"}}), "PersonListedTwice", "users", 1),
        (changed(users={"t1": {"username": "ONE"}}), "DuplicateUsername", "users", 1),
        (changed(enrollments={"e1": {"school_sourced_id": "d"}}), "EnrollmentSchoolDiffers", "enrollments", 1),
        (changed(orgs={"o1": {"type": "department"}}), "SchoolNotASchool", "classes", 1),
        (changed(orgs={"d": {"parent_sourced_id": "o1"}}), "CircularParent", "orgs", 2),
        (changed(orgs={"d": {"parent_sourced_id": "d"}}), "CircularParent", "orgs", 1),
        (changed(academicSessions={"s2": {"parent_sourced_id": "s2"}}), "CircularParent", "academicSessions", 1),
        (changed(academicSessions={"s2": {"end_date": "2026-07-01"}}), "EndBeforeBegin", "academicSessions", 1),
        (changed(enrollments={"e1": {"begin_date": "2026-09-02", "end_date": "2026-09-01"}}), "EndBeforeBegin",
         "enrollments", 1),
        (changed(orgs={"o1": {"parent_sourced_id": "x"}}), "DanglingReference", "orgs", 1),
        (changed(academicSessions={"s2": {"parent_sourced_id": "x"}}), "DanglingReference", "academicSessions", 1),
        (changed(courses={"k1": {"school_year_sourced_id": "x"}}), "DanglingReference", "courses", 1),
        (changed(classes={"c1": {"term_sourced_ids": ["s1", "x", "y"]}}), "DanglingReference", "classes", 2),
        (changed(users={"t1": {"primary_org_sourced_id": "x"}}), "DanglingReference", "users", 1),
        (changed(enrollments={"e3": {"class_sourced_id": "x"}, "e4": {"user_sourced_id": "x"}}), "DanglingReference",
         "enrollments", 2),
        (changed(demographics={"x": {}}), "DanglingReference", "demographics", 1),
    ],
)  # fmt: skip
def test_each_check_finds_its_own_and_counts_it(roster: Roster, rows: Rows, code: str, entity: str, count: int) -> None:
    assert found(roster, rows)[code, entity] == count


def test_usernames_in_other_scripts_are_compared_as_they_are(roster: Roster) -> None:
    kelvin = changed(users={"u1": {"username": "\u212aim"}, "t1": {"username": "kim"}})
    assert ("DuplicateUsername", "users") not in found(roster, kelvin)


def test_findings_are_counted_by_school_and_the_most_are_kept(roster: Roster) -> None:
    rows = good()
    for school in range(checks.SCHOOLS_KEPT + 5):
        rows["orgs"][f"x{school:02}"] = {}
        for number in range(school + 1):
            rows["users"][f"x{school:02}-{number}"] = {"org_sourced_ids": [f"x{school:02}"]}
    with roster.stager() as conn:
        name, _ = stage_rows(conn, rows)
        result = {each["code"]: each for each in checks.run(conn, runs.get(conn, name.run))}
    without = result["StudentWithoutEnrollment"]
    total = checks.SCHOOLS_KEPT + 5
    assert without["count"] == total * (total + 1) // 2
    assert without["schools"][0] == {"school": f"x{total - 1:02}", "count": total}
    assert len(without["schools"]) == checks.SCHOOLS_KEPT


def test_checks_look_at_what_will_be_there_after_the_merge(roster: Roster) -> None:
    merge_rows(roster, good())
    assert found(roster, {}) == {}
    # The teacher goes: marked, vanished, or only almost.
    teacher = {"users": {"t1": good()["users"]["t1"] | {"status": "tobedeleted"}}}
    wanted = {("DanglingReference", "enrollments"): 1}
    assert found(roster, teacher) == wanted
    assert found(roster, {}, gone={"users": {"t1": good()["users"]["t1"]}}) == wanted
    assert found(roster, teacher, removable=False) == {}
    assert found(roster, {}, gone={"users": {"t1": good()["users"]["t1"]}}, removable=False) == {}
    broken = Issue("users", "t1", "Bad", "error")
    assert found(roster, teacher, issues=(broken,)) == {}
    # What goes because it is out of scope takes its enrollments along.
    assert found(roster, {}, out={"users": ("t1",)}) == {("ClassWithoutTeacher", "classes"): 1}


def test_checks_that_need_an_entity_that_is_not_taken_are_not_asked(roster: Roster) -> None:
    rows = {entity: records for entity, records in good().items() if entity != "enrollments"}
    assert found(roster, rows, untaken=("enrollments",)) == {}


def test_the_checks_are_recorded_with_the_plan_and_are_no_part_of_its_digest(roster: Roster) -> None:
    with roster.stager() as conn:
        name, plan = stage_rows(conn, changed(users={"u2": {}}))
    with roster.merger() as conn:
        again = merge(conn, name.run, "sha256:" + "0" * 64, {})
    assert isinstance(again, PlanChanged)
    assert again.plan.digest == plan.digest
    with roster.stager() as conn, roster.merger() as merger:
        waiting, before = stage_rows(conn, changed(users={"u2": {}}))
        merge_rows(roster, changed(users={"u3": {}}))
        recomputed = merge(merger, waiting.run, before.digest, {})
        assert isinstance(recomputed, PlanChanged)
        assert recomputed.plan.digest != before.digest
        codes = {each["code"]: each["count"] for each in Plan.from_run(runs.get(conn, waiting.run)).checks}
    assert codes == {"StudentWithoutEnrollment": 2}


def active(roster: Roster) -> dict[str, set[str]]:
    return {
        entity: {i for i, row in rows.items() if row["status"] == "active"}
        for entity, rows in roster.snapshot().items()
    }


def counts(plan: Plan) -> Counter[str]:
    return Counter({entity: each.out_of_scope for entity, each in plan.entities.items() if each.out_of_scope})


def test_an_org_that_became_an_unlisted_school_takes_unchanged_people_along(roster: Roster) -> None:
    rows = changed(users={"u2": {"org_sourced_ids": ["x"]}}, orgs={"x": {"type": "department"}})
    merge_rows(roster, rows, schools=("o1",))
    plan = merge_rows(roster, {"orgs": {}}, out={"orgs": ("x",)}, schools=("o1",))
    assert counts(plan) == {"orgs": 1, "users": 1}
    assert plan.entities["users"].vanished == 0
    assert active(roster)["users"] == {"u1", "t1"}


def test_a_record_with_an_error_stays_though_it_would_be_out_of_scope(roster: Roster) -> None:
    merge_rows(roster, good())
    plan = merge_rows(roster, {}, out={"classes": ("c1",)}, issues=(Issue("enrollments", "e1", "Bad", "error"),))
    assert counts(plan) == {"classes": 1, "enrollments": 1}
    assert active(roster)["enrollments"] == {"e1"}


def test_what_a_row_out_of_scope_takes_along_is_never_called_vanished(roster: Roster) -> None:
    merge_rows(roster, good())
    merged = good()
    plan = merge_rows(roster, {}, out={"users": ("u1",)}, gone={"enrollments": {"e1": merged["enrollments"]["e1"]}})
    assert counts(plan) == {"users": 1, "enrollments": 1, "demographics": 1}
    assert sum(each.vanished for each in plan.entities.values()) == 0
    # One that the pull showed counts as left out; the other was not received.
    assert plan.entities["users"].left_out == 1
    assert plan.entities["enrollments"].left_out == 0


def test_a_manual_enrollment_keeps_a_student(roster: Roster) -> None:
    merge_rows(roster, changed(users={"u2": {}, "u3": {}}))
    with roster.owner() as conn:
        conn.execute(
            "insert into roster.enrollments (tenant, sourced_id, source, first_seen, last_changed, row_hash,"
            " user_sourced_id, class_sourced_id, school_sourced_id, role)"
            " values (%s, 'm1', 'Manual', now(), now(), '', 'u2', 'c1', 'o1', 'student')",
            (roster.key(),),
        )
    plan = merge_rows(roster, {}, enrolled_only=True)
    assert counts(plan) == {"users": 1}
    assert active(roster)["users"] == {"u1", "t1", "u2"}


def test_a_login_closes_the_scope_of_its_own_open_stage_alone(roster: Roster) -> None:
    with roster.stager() as conn:
        name, _ = stage_rows(conn, good())
        with pytest.raises(psycopg.Error) as refused:
            conn.execute("select roster.scope_stage(%s, 1, '{}', false, '{}', '{}', '{}')", (name.run,))
        assert refused.value.sqlstate == "RO006"
    with roster.stager("shelbyville") as conn, roster.stager() as own:
        name, _ = stage_rows(own, good())
        with pytest.raises(psycopg.Error) as refused:
            conn.execute("select roster.scope_stage(%s, 1, '{}', false, '{}', '{}', '{}')", (name.run,))
        assert refused.value.sqlstate == "RO006"
    with roster.merger() as conn:
        for call in (
            "select roster.scope_stage(gen_random_uuid(), 1, '{}', false, '{}', '{}', '{}')",
            "select roster.scope_out('t', gen_random_uuid(), 1, 'users', 'users', 'true', '{}', '{}')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(call.encode())


def test_a_listing_that_is_read_again_forgets_what_was_left_out(roster: Roster) -> None:
    with roster.stager() as conn:
        stage = Stage(conn, run_name(), 1)
        stage.scoped_out(ORGS, ["a", "b"])
        stage.scoped_out(BY_ENTITY["users"], ["c"])
        stage.restart(ORGS)
        left = conn.execute(sql.SQL("select entity from {}").format(stage.name("scoped_out"))).fetchall()
    assert left == [("users",)]
