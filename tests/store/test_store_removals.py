"""Why a record goes is told apart, and means the same at the stage, in the digest, in the merge and in the history."""

from __future__ import annotations

import pytest
from tests.store.fixtures import Roster
from tests.store.ground import (
    FUTURE,
    PAST,
    TODAY_ITSELF,
    Ground,
    Records,
    class_,
    enrollment,
    person,
    school,
    session,
    without,
)

from roster_operator.store import plan as plans
from roster_operator.store import review, runs
from roster_operator.store.merge import Merged, merge
from roster_operator.store.plan import EntityPlan

pytestmark = pytest.mark.store


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
