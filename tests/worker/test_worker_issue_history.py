"""Problems of single records over the runs: new, still open, fixed and back, by school."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.worker.worlds import World

from roster_operator.store import erase, issue_history, retention
from roster_operator.store.database import connect
from roster_operator.store.issue_history import Problem, Problems
from roster_operator.worker.stage import Staged
from roster_operator.worker.summaries import plan_summary
from roster_sample_sis import District
from roster_sample_sis.faults import WrongTotal

pytestmark = pytest.mark.store


def trend(staged: Staged) -> tuple[int, int, int, int]:
    found = plan_summary(staged.plan, []).issue_trend
    return found.new, found.still, found.fixed, found.back


def by_school(world: World) -> list[Problems]:
    with connect(world.roster.logins().stage_url) as conn:
        run = issue_history.latest_run(conn)
        assert run is not None
        return issue_history.by_school(conn, run.run)


def problems(world: World, **wanted: Any) -> list[Problem]:
    with connect(world.roster.logins().stage_url) as conn:
        run = issue_history.latest_run(conn)
        assert run is not None
        return issue_history.problems(conn, run.run, **wanted)


def broken(district: District, *positions: int) -> District:
    """Enrollments of people whom nobody knows."""
    enrollments = district.enrollments.copy()
    for position in positions:
        enrollments.user[position] = 99_999_000 + position
    return replace(district, enrollments=enrollments)


class LoseLast(WrongTotal):
    """The listing ends one record early, and the total agrees."""

    def listing(self, request, listing) -> None:
        listing.rows = listing.rows[:-1]
        listing.total = len(listing.rows)


def test_a_problem_is_new_then_still_open_then_fixed_then_back(world: World, district: District) -> None:
    assert trend(world.sync()) == (0, 0, 0, 0)
    world.sis.swap(broken(district, 3, 4))
    assert trend(world.sync()) == (2, 0, 0, 0)
    assert trend(world.sync()) == (0, 2, 0, 0)
    world.sis.swap(broken(district, 4, 5))
    assert trend(world.sync()) == (1, 1, 1, 0)
    assert {each.state for each in problems(world)} == {"new", "still", "fixed"}
    world.sis.swap(broken(district, 3))
    assert trend(world.sync()) == (0, 0, 2, 1)
    (back,) = problems(world, state="back")
    assert (back.entity, back.code, back.severity) == ("enrollments", "DanglingReference", "error")
    assert back.first_seen < back.last_seen
    # Whoever is told of a problem is told at which school.
    assert {each.school for each in by_school(world)} <= {org.sourced_id for org in district.orgs}
    assert sum(each.fixed for each in by_school(world)) == 2


def test_what_is_skipped_as_unchanged_keeps_its_problem_until_it_is_fixed_elsewhere(
    world: World, district: District
) -> None:
    ghost = replace(district.orgs[1], number=99_999, name="Ghost")
    course = replace(district.courses[0], org=99_999)
    haunted = replace(district, orgs=[*district.orgs, ghost], courses=[course, *district.courses[1:]])
    world.sis.swap(haunted)
    world.sis.faults.set(LoseLast(on="orgs"))
    assert trend(world.sync()) == (1, 0, 0, 0)
    second = world.sync()
    assert second.plan.entities["courses"].unchanged == len(district.courses)
    assert second.plan.issues == []
    assert trend(second) == (0, 1, 0, 0)
    (found,) = problems(world)
    assert (found.sourced_id, found.code, found.field, found.state, found.school) == (
        course.sourced_id, "DanglingReference", "org", "still", ghost.sourced_id,
    )  # fmt: skip
    # The org comes, and the course stays as it is.
    world.sis.faults.clear()
    assert trend(world.sync()) == (0, 0, 1, 0)
    assert trend(world.sync()) == (0, 0, 0, 0)


def test_a_record_that_a_pull_without_proof_did_not_show_keeps_its_problem(world: World, district: District) -> None:
    world.sync()
    world.sis.swap(broken(district, 3))
    world.sync()
    lost = replace(district, enrollments=_without(district, 3))
    world.sis.swap(lost)
    world.sis.faults.set(WrongTotal(on="enrollments"))
    assert trend(world.sync()) == (0, 1, 0, 0)
    world.sis.faults.clear()
    assert trend(world.sync()) == (0, 0, 1, 0)


def _without(district: District, position: int) -> Any:
    enrollments = district.enrollments.copy()
    for column in enrollments.columns():
        del column[position]
    return enrollments


def test_a_delta_judges_only_what_it_shows(world: World, district: District) -> None:
    world.sync()
    world.sis.swap(broken(district, 3))
    world.sync()
    assert trend(world.sync(delta=True)) == (0, 1, 0, 0)


def test_no_problem_is_known_to_another_tenant(world: World, district: District) -> None:
    world.sis.swap(broken(district, 3))
    world.sync()
    with world.roster.stager("riverside") as conn:
        assert conn.execute("select count(*) from roster.issue").fetchone() == (0,)
    assert problems(world)


def left(world: World) -> int:
    return world.roster.one("select count(*) from roster.issue where tenant = %s", world.roster.key())


def test_fixed_problems_go_with_the_history_and_a_persons_with_the_person(world: World, district: District) -> None:
    world.sis.swap(broken(district, 3))
    world.sync()
    world.sis.swap(district)
    world.sync()
    tenant, owner_url = world.roster.key(), world.roster.database.owner_url
    assert left(world) == 1
    with world.roster.owner() as conn:
        conn.execute("update roster.issue set fixed_at = now() - interval '1000 days' where tenant = %s", (tenant,))
    retention.reap(owner_url)
    assert left(world) == 0
    person = district.users[0].sourced_id
    with world.roster.owner() as conn:
        conn.execute(
            "insert into roster.issue (tenant, entity, sourced_id, code, severity, first_run, first_seen, last_run,"
            " last_seen) values (%s, 'users', %s, 'MissingExpected', 'warning', gen_random_uuid(), now(),"
            " gen_random_uuid(), now())",
            (tenant, person),
        )
    erase.person(owner_url, tenant, person, by="test")
    assert left(world) == 0
