"""People who come under another sourcedId in a delta, which does not show that the old ids are gone."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tests.worker.test_worker_people import active, counts, owner
from tests.worker.test_worker_steps import order
from tests.worker.worlds import World

from roster_operator.store import access
from roster_operator.worker.failures import WorkerError
from roster_operator.worker.steps import run_step
from roster_sample_sis import District
from roster_sample_sis.faults import Rekey
from roster_sample_sis.variants import touched

pytestmark = pytest.mark.store


def job(world: World, mode: str, *, merges: bool = True) -> Any:
    """The plan of a sync as its Job stages it."""
    sis, database = world.secrets()
    run = uuid4()
    task = world.task("stage", run, sync={"name": str(run), "uid": str(run), "mode": mode})
    staged = run_step(task, sis=sis, database=database)
    assert staged.plan is not None, staged
    if merges:
        run_step(world.task("merge", run, **order(staged.plan.digest)), sis=sis, database=database)
    return staged.plan


def test_a_delta_of_a_rekeyed_district_reads_everything_and_proposes_the_map(world: World, district: District) -> None:
    job(world, "Full")
    url, tenant = owner(world)
    teacher = sorted(active(world, "users"))[0]
    access.grant(url, tenant, teacher, ["results.read"], by="ada")
    before = active(world, "users")
    world.sis.swap(touched(district))
    world.sis.faults.add(Rekey())
    plan = job(world, "Delta", merges=False)
    users = plan.entities["users"]
    assert (users.rekeyed, users.create, users.deactivate) == (len(before), 0, 0)
    assert "rekeyed" in {hit.limit for hit in plan.limits}

    job(world, "Delta")
    after = active(world, "users")
    assert len(after) == len(before)
    assert {row["person"] for row in after.values()} == set(before)
    assert [each.user_sourced_id for each in access.listing(url, tenant)] == [teacher.replace("PER", "ANEW")]


def test_ten_people_under_other_ids_are_enough(world: World, district: District) -> None:
    """Far fewer than any limit of creations holds."""
    job(world, "Full")
    before = active(world, "users")
    tens = sorted({i[:-1] for i in before})[1]
    moved = [i for i in before if i.startswith(tens)]
    world.sis.swap(touched(district))
    world.sis.faults.add(Rekey(of=tens, to=tens.replace("PER", "ANEW")))
    job(world, "Delta")
    after = active(world, "users")
    assert len(after) == len(before)
    assert {after[i.replace("PER", "ANEW")]["person"] for i in moved} == set(moved)


def test_a_delta_of_classes_under_other_ids_reads_everything_and_is_held(world: World, district: District) -> None:
    job(world, "Full")
    world.sis.swap(touched(district))
    world.sis.faults.add(Rekey(of="SEC", to="ANEW"))
    plan = job(world, "Delta", merges=False)
    assert ("rekeyed", "classes") in {(hit.limit, hit.entity) for hit in plan.limits}
    assert plan.entities["classes"].deactivate == len(district.classes)


def test_where_only_changes_can_be_had_people_are_skipped_until_everything_comes(
    world: World, district: District
) -> None:
    """As of a bundle: whoever stages it cannot read more. What would hang on the new ids waits with them."""
    world.sync()
    before = active(world, "users")
    world.sis.swap(touched(district))
    world.sis.faults.add(Rekey())
    staged = world.sync(delta=True)
    assert counts(staged, "create") == {}
    assert counts(staged, "invalid")["users"] == len(before)
    codes = {(each["code"], each["entity"]) for each in staged.plan.issues}
    assert ("KnownUnderAnotherId", "users") in codes
    assert set(active(world, "users")) == set(before)

    whole = world.sync()
    assert counts(whole, "new_key")["users"] == len(before)
    assert {row["person"] for row in active(world, "users").values()} == set(before)


WITHOUT_NUMBERS = (
    "update roster.users set identifier = null, user_master_identifier = null, raw_hash = null where tenant = %s"
    " returning 1"
)


@pytest.mark.parametrize("many", [True, False])
def test_user_names_count_where_many_come_with_known_ones(world: World, district: District, many: bool) -> None:
    world.sync()
    world.roster.ask(WITHOUT_NUMBERS, world.roster.key())
    before = active(world, "users")
    tens = sorted({i[:-1] for i in before})[1]
    world.sis.swap(touched(district))
    world.sis.faults.add(Rekey() if many else Rekey(of=tens, to=tens.replace("PER", "ANEW")))
    _, staged = world.stage(delta=True)
    assert counts(staged, "invalid").get("users", 0) == (len(before) if many else 0)


def test_what_only_a_whole_pull_tells_is_a_failure_with_a_reason(world: World, district: District) -> None:
    world.sync()
    world.sis.swap(touched(district))
    world.sis.faults.add(Rekey())
    with pytest.raises(WorkerError) as caught:
        world.stage(delta=True, or_whole=True)
    assert caught.value.reason == "DeltaNotEnough"
