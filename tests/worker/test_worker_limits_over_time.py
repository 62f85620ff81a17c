"""Limits on real rows: by school, over the days, with removals that wait, and with schools that are new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.store.fixtures import Roster, run_name
from tests.store.ground import Ground, Records, class_, enrollment, person, school, without

from roster_operator.api.limits import Limit, Limits
from roster_operator.store import review, runs
from roster_operator.store.cursors import wanted_delta
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.runs import RunName
from roster_operator.worker.approvals import with_limits
from roster_operator.worker.stage import Filled, Staged, planned, recorded
from roster_operator.worker.undo import stage_undo

pytestmark = pytest.mark.store
ENTITIES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics")
NIGHTS = Limits.from_dict({"deactivate": {"percent": 10, "floor": 5}, "perSchool": {"deactivate": {"percent": 100}}})


def people(school: str, amount: int, **more: Any) -> Records:
    """A school with one class, and pupils who are enrolled in it."""
    ids = [f"{school}-{number:03}" for number in range(amount)]
    return {
        "users": {i: person(school, **more) for i in ids},
        "classes": {f"{school}-class": class_(school)},
        "enrollments": {f"e-{i}": enrollment(i, f"{school}-class", school) for i in ids},
        "demographics": {i: {"sex": "female"} for i in ids},
    }


def district(**schools: int) -> Records:
    made: Records = {"orgs": {name: school(name) for name in schools}}
    for name, amount in schools.items():
        for entity, rows in people(name, amount).items():
            made[entity] = made.get(entity, {}) | rows
    return made


def leave(records: Records, ids: list[str]) -> Records:
    gone = [(entity, i) for i in ids for entity in ("users", "demographics")] + [("enrollments", f"e-{i}") for i in ids]
    return without(records, *gone)


class Nights(Ground):
    """Each night a full pull, staged as the worker does it."""

    def tonight(self, records: Records, limits: Limits = NIGHTS) -> tuple[RunName, Staged]:
        name = run_name()
        with self.roster.stager() as conn:

            def fill(stage: Any) -> Filled:
                pull = self.fill(conn, stage, records)
                return Filled(
                    {name: facts | {"choices": "as ever"} for name, facts in pull.items()}, list(ENTITIES), "1.2"
                )

            return name, planned(conn, name, 1, limits, fill)

    def merge(self, name: RunName, staged: Staged, limits: Limits = NIGHTS) -> Merged | PlanChanged:
        with self.roster.merger() as conn:
            approval = with_limits(conn, name.run, {"by": "test"}, limits)
            return merge(conn, name.run, staged.plan.digest, approval)

    def night(self, records: Records, limits: Limits = NIGHTS) -> Staged:
        name, staged = self.tonight(records, limits)
        assert isinstance(self.merge(name, staged, limits), Merged)
        self.merged = records
        return staged


@pytest.fixture
def nights(roster: Roster) -> Nights:
    return Nights(roster)


def hits(staged: Staged) -> set[tuple[str, str]]:
    return {(hit.limit, hit.entity) for hit in staged.hits}


def test_a_slow_bleed_is_held_on_the_second_night_and_begins_anew_once_a_person_has_looked(nights: Nights) -> None:
    now = district(north=100, south=100)
    assert nights.night(now).hits == []
    ids = list(now["users"])
    now = leave(now, ids[:18])
    assert nights.night(now).hits == []
    second = nights.night(now := leave(now, ids[18:34]))
    assert hits(second) == {("deactivate", e) for e in ("users", "enrollments", "demographics")}
    (users,) = [hit for hit in second.hits if hit.entity == "users"]
    assert (users.count, users.of, users.days) == (34, 200, 7)
    # The merge was let through beyond its limits: the third night counts for itself.
    now = leave(now, ids[34:48])
    assert nights.night(now).hits == []
    assert nights.tonight(leave(now, ids[48:52]))[1].hits != []
    assert nights.tonight(leave(now, ids[48:52]), NIGHTS.model_copy(update={"window_days": 0}))[1].hits == []


def test_who_came_back_is_not_lost_and_days_pass(nights: Nights) -> None:
    all_of_them = district(north=100)
    nights.night(all_of_them)
    ids = list(all_of_them["users"])
    nights.night(leave(all_of_them, ids[:9]))
    assert nights.tonight(leave(all_of_them, ids[9:18]))[1].hits == []
    worse = leave(all_of_them, ids[:18])
    assert ("deactivate", "users") in hits(nights.tonight(worse)[1])
    key = nights.roster.key()
    with nights.roster.owner() as conn:
        conn.execute("update roster.sync_run set merged_at = merged_at - interval '8 days' where tenant = %s", (key,))
    assert nights.tonight(worse)[1].hits == []


def test_what_an_undone_merge_lost_brought_or_renamed_counts_no_more(nights: Nights) -> None:
    all_of_them = district(north=100)
    nights.night(all_of_them)
    ids = list(all_of_them["users"])
    wrong = leave(all_of_them, ids[:9])
    wrong["users"] |= {i: row | {"email": "wrong@x.example"} for i, row in list(wrong["users"].items())[:9]}
    name, staged = nights.tonight(
        wrong, limits := NIGHTS.model_copy(update={"email_change": Limit(percent=10, floor=5)})
    )
    assert isinstance(nights.merge(name, staged, limits), Merged)
    nights.merged = wrong
    changed = {i: row | {"email": "b@x.example"} for i, row in list(all_of_them["users"].items())[20:29]}
    other, worse = leave(all_of_them, ids[9:18]), leave(all_of_them, ids[:18])
    for each in (other, worse):
        each["users"] |= changed
    assert {("deactivate", "users"), ("emailChange", "users")} <= hits(nights.tonight(worse, limits)[1])

    back = replace(run_name(), mode="Undo")
    with nights.roster.stager() as conn:
        undone = stage_undo(conn, back, runs.get(conn, name.run), attempt=1, limits=limits, overwrite=False)
    assert undone.hits == []
    assert isinstance(nights.merge(back, undone, limits), Merged)
    assert nights.tonight(other, limits)[1].hits == []


def test_addresses_changed_night_after_night_are_counted_by_person(nights: Nights) -> None:
    now = district(north=200)
    nights.night(now)

    def renamed(start: int, end: int, domain: str) -> Records:
        users = {
            i: user | {"email": f"{i}@{domain}"} if start <= at < end else user
            for at, (i, user) in enumerate(now["users"].items())
        }
        return now | {"users": users}

    now = renamed(0, 20, "a.example")
    assert nights.night(now).hits == []
    now = renamed(0, 20, "b.example")  # the same people again
    assert nights.night(now).hits == []
    staged = nights.tonight(renamed(20, 30, "b.example"))[1]
    assert [(hit.limit, hit.count, hit.days) for hit in staged.hits] == [("emailChange", 30, 7)]


def test_one_school_holds_the_district_and_its_records_are_found(nights: Nights) -> None:
    now = district(big=300, small=12)
    nights.night(now, Limits())
    gone = [i for i in now["users"] if i.startswith("small")][:8]
    name, staged = nights.tonight(leave(now, gone), Limits())
    assert hits(staged) == {("perSchool", "users"), ("perSchool", "enrollments")}
    (users, _) = staged.hits
    assert (users.count, users.of, users.schools) == (8, 12, 1)
    with nights.roster.stager() as conn:
        run = runs.get(conn, name.run)
        shown = review.changes(conn, run, "users", review.Wanted(school="small"))
    assert [each.sourced_id for each in shown] == gone
    assert {each["school"] for each in (run.plan or {})["profile"]["schools"]} == {"small"}


def test_a_closed_school_counts_and_is_named(nights: Nights) -> None:
    now = district(big=300, small=12)
    nights.night(now, Limits())
    _, staged = nights.tonight(district(big=300), Limits())
    assert staged.plan.entities["users"].school_closed == 12
    assert ("perSchool", "users") in hits(staged)
    assert staged.plan.profile["schools"][0]["closed"]


def test_a_new_school_is_no_flood_and_a_flood_at_a_known_school_is(nights: Nights) -> None:
    nights.night(district(north=100))
    limits = Limits.from_dict({"create": {"percent": 50, "floor": 20}})
    assert nights.tonight(district(north=100, south=400), limits)[1].hits == []
    assert ("create", "users") in hits(nights.tonight(district(north=160), limits)[1])
    nights.night(district(north=100, south=400), limits)
    # What came with the new school is not counted on the next nights either.
    assert nights.tonight(district(north=101, south=401), limits)[1].hits == []


def test_removals_wait_and_the_rest_is_merged(nights: Nights) -> None:
    limits = Limits.from_dict({"deactivate": {"percent": 10, "floor": 5}, "onExceed": "HoldRemovals"})
    now = district(north=100)
    nights.night(now, limits)
    ids = list(now["users"])
    next_day = leave(now, ids[:20])
    next_day["users"] = next_day["users"] | {"new": person("north"), ids[30]: person("north", email="x@example.org")}
    name, staged = nights.tonight(next_day, limits)
    users = staged.plan.entities["users"]
    assert (users.held, users.deactivate, users.create, users.update, staged.hits) == (20, 0, 1, 1, [])
    assert {hit["limit"] for hit in staged.plan.held} == {"deactivate"}
    assert {issue["code"] for issue in staged.plan.issues} == {"RemovalHeld"}
    with nights.roster.stager() as conn:
        again = recorded(runs.get(conn, name.run), limits)
        assert (again.plan.held, again.hits) == (staged.plan.held, [])
    with nights.roster.stager() as conn:
        assert wanted_delta(conn, "Delta", "as ever") is not None
    assert isinstance(nights.merge(name, staged, limits), Merged)
    assert nights.causes() == {}
    with nights.roster.stager() as conn:
        assert wanted_delta(conn, "Delta", "as ever") is None, "a delta would not show again what waits"
    # The next sync plans them again; without the setting they wait for a person, and go with the digest.
    nights.merged = now | {"users": now["users"] | next_day["users"]}
    name, staged = nights.tonight(next_day)
    assert ("deactivate", "users") in hits(staged)
    assert isinstance(nights.merge(name, staged), Merged)
    assert len([1 for entity, _ in nights.causes() if entity == "users"]) == 20


def test_another_merge_between_does_not_let_held_removals_go(nights: Nights) -> None:
    limits = Limits.from_dict({"deactivate": {"percent": 10, "floor": 5}, "onExceed": "HoldRemovals"})
    now = district(north=100)
    nights.night(now, limits)
    name, staged = nights.tonight(leave(now, list(now["users"])[:20]), limits)
    other = now | {"users": now["users"] | {"new": person("north")}}
    nights.night(other, limits)
    result = nights.merge(name, staged, limits)
    assert isinstance(result, Merged), "its effects are the same: it had none but what waits"
    assert nights.causes() == {}
