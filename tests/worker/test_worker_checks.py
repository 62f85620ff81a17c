"""Checks on a result that is known already are not worked out again, and on any other they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.worker.worlds import World

from roster_operator.store import checks, manual
from roster_operator.store.manual import Student
from roster_sample_sis import District
from roster_sample_sis.faults import ForbidDemographics
from roster_sample_sis.variants import one_percent_changed

pytestmark = pytest.mark.store


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for each time that the checks are worked out."""
    words: list[str] = []
    real = checks.run

    def counted(*given, **named):
        words.append("asked")
        return real(*given, **named)

    monkeypatch.setattr(checks, "run", counted)
    return words


def test_a_pull_that_changes_nothing_has_the_checks_of_the_last_merge(
    world: World, district: District, asked: list[str]
) -> None:
    first = world.sync()
    assert first.plan.checks, "this district has something to tell"
    asked.clear()
    _, again = world.stage()
    assert asked == []
    assert again.plan.checks == first.plan.checks


def test_whatever_changed_since_is_looked_at(world: World, district: District, asked: list[str]) -> None:
    world.sync()
    school = next(i for i, row in world.roster.snapshot()["orgs"].items() if row["type"] == "school")
    manual.add(world.roster.database.owner_url, world.roster.key(), Student("N", "H", school), by="ada")
    asked.clear()
    _, staged = world.stage()
    assert asked == ["asked"]
    found = {each["code"] for each in staged.plan.checks}
    assert {"StudentWithoutEnrollment", "StudentWithoutGrade"} <= found


def test_changes_and_another_choice_of_entities_are_looked_at(
    world: World, district: District, asked: list[str]
) -> None:
    world.sync()
    asked.clear()
    world.sis.faults.set(ForbidDemographics())
    world.stage()
    world.sis.faults.clear()
    world.sis.swap(one_percent_changed(district))
    world.stage()
    assert asked == ["asked", "asked"]


def test_checks_of_a_plan_that_another_merge_overtook_are_not_believed(
    world: World, district: District, asked: list[str]
) -> None:
    world.sync()
    name, staged = world.stage()
    # Another merge, about other records: the digest of the waiting plan stays, and its checks are those of before.
    school = next(i for i, row in world.roster.snapshot()["orgs"].items() if row["type"] == "school")
    student = Student("N", "H", school)
    manual.add(world.roster.database.owner_url, world.roster.key(), student, by="ada")
    world.merge(name, staged.plan.digest)
    manual.add(world.roster.database.owner_url, world.roster.key(), replace(student, given_name="M"), by="ada")
    asked.clear()
    world.stage()
    assert asked == ["asked"]
