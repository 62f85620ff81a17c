"""Delta: only what changed is pulled, and it comes to the same rows as pulling everything."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tests.worker.test_worker_steps import order
from tests.worker.worlds import World

from roster_operator.worker.steps import run_step
from roster_sample_sis import District
from roster_sample_sis.faults import EmptyFilter, Fault, IgnoreFilter, RefuseFilter
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed, touched

pytestmark = pytest.mark.store


def records(world: World) -> int:
    """Records that the SIS has given out so far."""
    return world.sis.snapshot().records


def test_a_delta_stages_the_same_plan_as_a_full_pull_from_fewer_records(world: World, district: District) -> None:
    world.sync()
    world.assert_rows_are(district)
    changed = one_percent_changed(district, 3, share=0.05, mark_removed=True)
    world.sis.swap(changed)
    before = records(world)
    _, full = world.stage()
    between = records(world)
    name, delta = world.stage(delta=True)
    assert delta.plan.digest == full.plan.digest
    assert records(world) - between < between - before
    users, all_users = delta.plan.entities["users"], full.plan.entities["users"]
    assert (users.create, users.update, users.tobedeleted) == (
        all_users.create,
        all_users.update,
        all_users.tobedeleted,
    )
    assert users.tobedeleted > 0
    assert users.received < all_users.received
    assert delta.plan.complete
    world.merge(name, delta.plan.digest)
    world.assert_rows_are(changed)


def test_what_a_server_simply_drops_is_found_by_the_next_full_pull_only(world: World, district: District) -> None:
    world.sync()
    less = lost_a_fifth(district)
    world.sis.swap(less)
    staged = world.sync(delta=True)
    assert all(entity.deactivate == 0 for entity in staged.plan.entities.values())
    active = {i for i, row in world.roster.snapshot()["users"].items() if row["status"] == "active"}
    assert len(active) > len(less.users)
    _, full = world.stage()
    assert full.plan.entities["users"].vanished == len(district.users) - len(less.users)


@pytest.mark.parametrize("fault", [IgnoreFilter(), RefuseFilter(), EmptyFilter()], ids=lambda fault: fault.name)
def test_a_server_without_filters_to_trust_is_read_in_whole(world: World, district: District, fault: Fault) -> None:
    world.sync()
    world.assert_rows_are(district)
    changed = one_percent_changed(district, 4, share=0.05, mark_removed=True)
    world.sis.swap(changed)
    world.sis.faults.set(fault)
    world.sync(delta=True)
    world.sis.faults.clear()
    world.assert_rows_are(changed)


def test_many_deltas_in_a_row_lose_nothing(world: World, district: District) -> None:
    world.sync()
    world.assert_rows_are(district)
    for seed in range(4):
        district = one_percent_changed(district, seed, share=0.03, mark_removed=True)
        world.sis.swap(district)
        world.sync(delta=True)
        world.assert_rows_are(district)
    _, full = world.stage()
    assert all(e.create == e.update == e.deactivate == 0 for e in full.plan.entities.values())


def test_a_touched_district_plans_nothing(world: World, district: District) -> None:
    world.sync()
    world.sis.swap(touched(district))
    _, staged = world.stage(delta=True)
    assert all(e.create == e.update == e.deactivate == 0 for e in staged.plan.entities.values())
    assert staged.plan.entities["users"].received == len(district.users)


def test_the_job_of_a_delta_sync_pulls_a_delta(world: World, district: District) -> None:
    sis, database = world.secrets()
    first = uuid4()
    staged = run_step(world.task("stage", first, sync={"name": "one", "uid": str(first), "mode": "Delta"}), sis=sis,
                      database=database)  # fmt: skip
    # Before the first merge there is nothing to begin from: everything is pulled.
    assert staged.plan is not None
    assert staged.plan.entities["users"].received == len(district.users)
    run_step(world.task("merge", first, **order(staged.plan.digest)), sis=sis, database=database)
    world.sis.swap(one_percent_changed(district, 5, share=0.05))
    second = uuid4()
    delta = run_step(world.task("stage", second, sync={"name": "two", "uid": str(second), "mode": "Delta"}), sis=sis,
                     database=database)  # fmt: skip
    assert delta.plan is not None
    assert 0 < delta.plan.entities["users"].received < len(district.users)
    assert delta.plan.entities["users"].update > 0


def test_a_delta_after_other_settings_reads_everything(world: World, district: District) -> None:
    """What the old settings left out is in the source as it was: no change would ever show it."""
    sis, database = world.secrets()
    north = {"schools": ["ORG00101", "ORG00102"]}

    def synced(scope: dict[str, list[str]], **changes: Any) -> tuple[int, int]:
        """Records of people that were read, and how many of them are new."""
        run = uuid4()
        task = world.task("stage", run, sync={"name": str(run), "uid": str(run), "mode": "Delta"})
        assert task.spec is not None
        spec = task.spec.to_dict() | {"scope": scope} | changes
        staged = run_step(task.model_validate(task.to_dict() | {"spec": spec}), sis=sis, database=database)
        assert staged.plan is not None
        run_step(world.task("merge", run, **order(staged.plan.digest)), sis=sis, database=database)
        users = staged.plan.entities["users"]
        return users.received, users.create

    everybody = len(district.users)
    assert synced(north)[0] == everybody
    assert synced(north)[0] < everybody, "nothing changed, and little is asked for"
    received, new = synced({})
    assert received == everybody
    assert new > 0
    assert synced({})[0] < everybody
    assert synced({}, fields={"omit": ["users.phone"]})[0] == everybody
    assert synced({}, fields={"omit": ["users.phone"]})[0] < everybody
    assert synced({}, fields={"omit": ["users.phone"]}, roleMapping={"counselor": "aide"})[0] == everybody
