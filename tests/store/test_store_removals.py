"""Why a record goes is told apart, and means the same at the stage, in the digest, in the merge and in the history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.store.fixtures import Roster, run_name
from tests.store.staging import raw, row_hash

from roster_operator.store import findings, review, runs
from roster_operator.store import plan as plans
from roster_operator.store.merge import Merged, merge
from roster_operator.store.plan import EntityPlan, Plan
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Stage
from roster_operator.store.tables import BY_ENTITY, TABLES

pytestmark = pytest.mark.store

Records = dict[str, dict[str, dict[str, Any]]]
TODAY = datetime.now(UTC).date()
PAST, TODAY_ITSELF, FUTURE = TODAY - timedelta(days=30), TODAY, TODAY + timedelta(days=30)


def text_of(record: dict[str, Any]) -> str:
    return repr(sorted(record.items()))


def school(name: str) -> dict[str, Any]:
    return {"name": name, "type": "school"}


def session(end: date, kind: str = "semester") -> dict[str, Any]:
    return {"title": "S", "type": kind, "start_date": PAST - timedelta(days=90), "end_date": end}


def class_(school: str, *terms: str) -> dict[str, Any]:
    return {"title": "Maths", "school_sourced_id": school, "term_sourced_ids": list(terms)}


def person(school: str, **more: Any) -> dict[str, Any]:
    return {"given_name": "A", "family_name": "B", "role": "student", "org_sourced_ids": [school]} | more


def enrollment(user: str, of: str, school: str, end: date | None = None) -> dict[str, Any]:
    ids = {"user_sourced_id": user, "class_sourced_id": of, "school_sourced_id": school}
    return ids | {"role": "student", "end_date": end}


@dataclass
class Ground:
    """A tenant's rows, synced by full pulls of records given as dictionaries."""

    roster: Roster
    merged: Records = field(default_factory=dict[str, dict[str, dict[str, Any]]])

    def stage(
        self, records: Records, marked: tuple[tuple[str, str], ...] = (), *, removable: bool = True, hold: bool = False
    ) -> tuple[RunName, Plan]:
        """Stage what changed, as the worker does: what is as it was merged is only seen."""
        name = run_name()
        with self.roster.stager() as conn:
            stage = Stage(conn, name, 1)
            for table in TABLES:
                rows, before = stage.table(table), self.merged.get(table.entity, {})
                now = records.get(table.entity, {})
                for sourced_id, record in now.items():
                    if before.get(sourced_id) != record:
                        values = [record.get(column) for column in table.column_names]
                        told = sourced_id + text_of(record)
                        rows.add(sourced_id, "active", raw(told), row_hash(told), values)
                for entity, sourced_id in marked:
                    if entity == table.entity:
                        values = [before[sourced_id].get(column) for column in table.column_names]
                        rows.add(sourced_id, "tobedeleted", raw("-" + sourced_id), row_hash("-" + sourced_id), values)
                rows.flush()
                unseen = [i for i, record in before.items() if now.get(i) != record]
                copying = b"copy " + stage.name("unseen").as_bytes(conn) + b" (entity, raw_hash) from stdin"
                with conn.cursor() as cursor, cursor.copy(copying) as copy:
                    for sourced_id in unseen:
                        copy.write_row((table.entity, raw(sourced_id + text_of(before[sourced_id]))))
            pull = {
                entity: {"pulled": True, "received": len(records.get(entity, {})) + sum(e == entity for e, _ in marked)}
                for entity in BY_ENTITY
            }
            stage.seal("1.2", pull, list(BY_ENTITY) if removable else [])
            run = runs.get(conn, name.run)
            with conn.transaction():
                plan = findings.added(conn, run, plans.compute(conn, run, hold=hold))
            plans.record(conn, run, plan)
        return name, plan

    def sync(self, records: Records, marked: tuple[tuple[str, str], ...] = ()) -> Plan:
        """Stage and merge."""
        name, plan = self.stage(records, marked)
        with self.roster.merger() as conn:
            assert isinstance(merge(conn, name.run, plan.digest, {"by": "test"}), Merged)
        self.merged = records
        return plan

    def causes(self) -> dict[tuple[str, str], str]:
        """Of the rows that are inactive: (entity, id) → cause."""
        return {
            (entity, sourced_id): row["inactive_cause"]
            for entity, rows in self.roster.snapshot().items()
            for sourced_id, row in rows.items()
            if row["status"] == "inactive"
        }


@pytest.fixture
def ground(roster: Roster) -> Ground:
    return Ground(roster)


DISTRICT: Records = {
    "orgs": {"north": school("North"), "south": school("South")},
    "academicSessions": {"fall": session(TODAY_ITSELF), "spring": session(FUTURE)},
    "classes": {
        "over": class_("north", "fall"),
        "year": class_("north", "fall", "spring"),
        "plain": class_("north"),
        "far": class_("south", "spring"),
    },
    "users": {"u1": person("north"), "u2": person("south"), "u3": person("north", primary_org_sourced_id="south")},
    "enrollments": {
        "dated": enrollment("u1", "year", "north", PAST),
        "today": enrollment("u1", "year", "north", TODAY_ITSELF),
        "later": enrollment("u1", "year", "north", FUTURE),
        "of-over": enrollment("u1", "over", "north"),
        "open": enrollment("u1", "year", "north"),
        "of-plain": enrollment("u1", "plain", "north"),
        "far": enrollment("u2", "far", "south"),
    },
    "demographics": {"u1": {"sex": "female"}, "u2": {"sex": "male"}},
}


def without(records: Records, *gone: tuple[str, str]) -> Records:
    return {e: {i: r for i, r in rows.items() if (e, i) not in gone} for e, rows in records.items()}


def causes_of(counts: EntityPlan) -> dict[str, int]:
    names = ("tobedeleted", "vanished", "out_of_scope", "concluded", "school_closed", "withheld", "held")
    return {name: getattr(counts, name) for name in names if getattr(counts, name)}


def test_what_had_ended_is_concluded_and_no_loss(ground: Ground) -> None:
    ground.sync(DISTRICT)
    gone = [("enrollments", i) for i in ("dated", "today", "later", "of-over", "open", "of-plain")]
    plan = ground.sync(without(DISTRICT, *gone, ("classes", "over"), ("classes", "plain")))
    enrollments = plan.entities["enrollments"]
    assert causes_of(enrollments) == {"concluded": 3, "vanished": 3}
    assert (enrollments.deactivate, enrollments.losses) == (6, 3)
    assert causes_of(plan.entities["classes"]) == {"concluded": 1, "vanished": 1}
    assert {i for (_, i), cause in ground.causes().items() if cause == "concluded"} == {
        "dated", "today", "of-over", "over",
    }  # fmt: skip
    logged = ground.roster.ask(
        "select sourced_id from roster.change_log where tenant = %s and action = 'concluded' order by 1",
        ground.roster.key(),
    )
    assert [i for (i,) in logged] == ["dated", "of-over", "over", "today"]


def test_a_term_that_this_very_pull_prolongs_has_not_ended(ground: Ground) -> None:
    ground.sync(DISTRICT)
    longer = DISTRICT | {"academicSessions": {"fall": session(FUTURE), "spring": session(FUTURE)}}
    plan = ground.sync(without(longer, ("enrollments", "of-over"), ("classes", "over")))
    assert causes_of(plan.entities["enrollments"]) == causes_of(plan.entities["classes"]) == {"vanished": 1}


def test_a_term_that_this_very_pull_shortens_has_ended(ground: Ground) -> None:
    ground.sync(DISTRICT)
    shorter = DISTRICT | {"academicSessions": {"fall": session(PAST), "spring": session(PAST)}}
    plan = ground.sync(without(shorter, ("enrollments", "open"), ("enrollments", "far"), ("classes", "far")))
    assert causes_of(plan.entities["enrollments"]) == {"concluded": 2}
    assert causes_of(plan.entities["classes"]) == {"concluded": 1}


@pytest.mark.parametrize("how", ["vanished", "marked"])
def test_what_goes_with_its_school_is_named_so(ground: Ground, how: str) -> None:
    ground.sync(DISTRICT)
    gone = [("classes", "far"), ("users", "u2"), ("users", "u3"), ("enrollments", "far"), ("demographics", "u2")]
    marked = (("orgs", "south"), ("users", "u2")) if how == "marked" else ()
    plan = ground.sync(without(DISTRICT, ("orgs", "south"), *gone), marked)
    assert causes_of(plan.entities["orgs"]) == ({"tobedeleted": 1} if marked else {"vanished": 1})
    assert causes_of(plan.entities["users"]) == {"school_closed": 2}
    assert plan.entities["users"].unchanged == 1
    for entity in ("classes", "enrollments", "demographics"):
        assert causes_of(plan.entities[entity]) == {"school_closed": 1}, entity
    assert set(ground.causes().values()) == {"schoolClosed", "tobedeleted" if marked else "vanished"}


def test_a_school_that_is_back_is_not_closed(ground: Ground) -> None:
    ground.sync(DISTRICT)
    ground.sync(without(DISTRICT, ("orgs", "south")))
    plan = ground.sync(without(DISTRICT, ("classes", "far")))
    assert plan.entities["orgs"].reactivate == 1
    assert causes_of(plan.entities["classes"]) == {"vanished": 1}
    ground.sync(without(DISTRICT, ("orgs", "south"), ("classes", "far")))
    later = ground.sync(without(DISTRICT, ("orgs", "south"), ("classes", "far"), ("enrollments", "far")))
    assert causes_of(later.entities["enrollments"]) == {"school_closed": 1}


def test_without_proof_nothing_goes_whatever_its_cause(ground: Ground) -> None:
    ground.sync(DISTRICT)
    fewer = without(DISTRICT, ("orgs", "south"), ("classes", "far"), ("enrollments", "dated"), ("enrollments", "far"))
    _, nothing = ground.stage(DISTRICT)
    _, plan = ground.stage(fewer, (("users", "u1"),), removable=False)
    assert plan.digest == nothing.digest
    assert causes_of(plan.entities["enrollments"]) == {"withheld": 2}
    assert causes_of(plan.entities["users"]) == {"withheld": 1}
    assert plan.issues[-1]["code"] == "RemovalWithheld"


def test_held_removals_are_left_out_of_the_digest_and_what_ended_goes(ground: Ground) -> None:
    ground.sync(DISTRICT)
    changed = DISTRICT | {"users": DISTRICT["users"] | {"u1": person("north", email="a@example.org")}}
    ended = without(changed, ("enrollments", "dated"))
    _, wanted = ground.stage(ended)
    gone = (("classes", "plain"), ("enrollments", "open"), ("enrollments", "of-plain"), ("demographics", "u1"))
    _, plan = ground.stage(without(ended, *gone), (("users", "u2"),), hold=True)
    assert plan.digest == wanted.digest
    assert causes_of(plan.entities["enrollments"]) == {"concluded": 1, "held": 2}
    assert causes_of(plan.entities["users"]) == causes_of(plan.entities["classes"]) == {"held": 1}
    assert plan.entities["users"].update == 1


def test_the_day_is_that_of_the_run_and_midnight_changes_nothing(ground: Ground) -> None:
    ground.sync(DISTRICT)
    name, plan = ground.stage(without(DISTRICT, ("enrollments", "later"), ("enrollments", "today")))
    assert causes_of(plan.entities["enrollments"]) == {"concluded": 1, "vanished": 1}
    ask = ground.roster.ask
    ask("update roster.sync_run set started_at = started_at - interval '1 day' where run = %s returning 1", name.run)
    with ground.roster.merger() as conn:
        earlier = plans.compute(conn, runs.get(conn, name.run))
    assert causes_of(earlier.entities["enrollments"]) == {"vanished": 2}
    assert earlier.digest != plan.digest
    ask("update roster.sync_run set started_at = started_at + interval '1 day' where run = %s returning 1", name.run)
    with ground.roster.merger() as conn:
        assert isinstance(merge(conn, name.run, plan.digest, {}), Merged)


def test_the_review_lists_records_by_cause(ground: Ground) -> None:
    ground.sync(DISTRICT)
    name, _ = ground.stage(without(DISTRICT, ("enrollments", "dated"), ("enrollments", "open")))
    with ground.roster.stager() as conn:
        shown = review.changes(conn, runs.get(conn, name.run), "enrollments")
        only = review.changes(conn, runs.get(conn, name.run), "enrollments", review.Wanted("concluded"))
    assert [(each.action, each.sourced_id) for each in shown] == [("concluded", "dated"), ("vanished", "open")]
    assert [each.sourced_id for each in only] == ["dated"]
