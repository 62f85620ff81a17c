"""An undo as its Job's pods run it: no source, no secret of one, and afterwards the rows are as they were before."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from tests.worker.test_worker_steps import Pod, order
from tests.worker.worlds import World

from roster_operator.api.task import Outcome, SyncSubject, WorkerSummary, WorkerTask
from roster_operator.worker.steps import run_step
from roster_sample_sis import District
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed

pytestmark = pytest.mark.store


def task(world: World, step: str, name: str, uid=None, **sync) -> WorkerTask:
    made = world.task(step, uid)
    assert made.sync is not None
    told = SyncSubject.from_dict(made.sync.to_dict() | {"name": name, **sync})
    return made.model_copy(update={"sync": told, "spec": None if sync.get("mode") == "Undo" else made.spec})


def run(world: World, given: WorkerTask, *, sis: bool = False) -> WorkerSummary:
    source, database = world.secrets()
    return run_step(given, sis=source if sis else Path("/nowhere"), database=database)


def pull(world: World, name: str) -> WorkerSummary:
    """Staged and merged under a name, by the steps."""
    uid = uuid4()
    staged = run(world, task(world, "stage", name, uid), sis=True)
    assert staged.plan is not None
    given = task(world, "merge", name, uid).model_copy(
        update={"order": world.task("merge", **order(staged.plan.digest)).order}
    )
    merged = run(world, given)
    assert merged.outcome is Outcome.MERGED
    return merged


def undo(world: World, name: str, undoes: str, **more) -> tuple[WorkerSummary, WorkerSummary]:
    """Staged and merged, without a source."""
    uid = uuid4()
    staged = run(world, task(world, "stage", name, uid, mode="Undo", undoes=undoes, **more))
    assert staged.plan is not None, staged.failure
    ordered = world.task("merge", **order(staged.plan.digest)).order
    return staged, run(world, task(world, "merge", name, uid, mode="Undo").model_copy(update={"order": ordered}))


def test_a_lost_fifth_comes_back_and_nobody_asks_the_source(world: World, district: District) -> None:
    pull(world, "first")
    wrong = lost_a_fifth(district)
    world.sis.swap(wrong)
    lost = pull(world, "wrong")
    assert lost.plan is not None
    asked = world.sis.snapshot()
    staged, merged = undo(world, "undo-1", "wrong")
    assert staged.plan is not None
    assert staged.plan.summed().reactivate == lost.plan.summed().deactivate > 0
    assert staged.issues == []
    assert (staged.plan.complete, staged.plan.limits, merged.outcome) == (True, [], Outcome.MERGED)
    assert world.sis.snapshot() == asked
    world.assert_rows_are(district)


def test_the_next_pull_plans_what_was_undone_and_a_delta_reads_everything(world: World, district: District) -> None:
    pull(world, "first")
    changed = one_percent_changed(district, 3, share=0.05, mark_removed=True)
    world.sis.swap(changed)
    wrong = pull(world, "wrong")
    undo(world, "undo-1", "wrong")
    active = {
        (entity, i)
        for entity, rows in world.roster.snapshot().items()
        for i, row in rows.items()
        if row["status"] == "active"
    }
    _, full = world.stage()
    before = world.sis.snapshot().records
    name, delta = world.stage(delta=True)
    assert world.sis.snapshot().records - before > len(active) // 2
    assert delta.plan.digest == full.plan.digest
    assert wrong.plan is not None
    for entity, counts in full.plan.entities.items():
        then = wrong.plan.entities[entity]
        # Who was created then is known now, and comes back.
        assert (counts.update, counts.reactivate) == (then.update, then.create + then.reactivate)
        assert counts.deactivate == then.deactivate
    for entity, rows in world.roster.snapshot().items():  # who was brought and undone is still there, and inactive
        world.known.setdefault(entity, set()).update(rows)
    world.merge(name, delta.plan.digest)
    world.assert_rows_are(changed)


def test_an_undo_beyond_limits_says_so_and_is_answered_again_as_recorded(world: World, district: District) -> None:
    pull(world, "first")
    uid = uuid4()
    given = task(world, "stage", "undo-1", uid, mode="Undo", undoes="first")
    staged, again = run(world, given), run(world, given.model_copy(update={"attempt": 2}))
    assert staged.outcome is Outcome.STAGED
    assert staged.plan is not None
    assert again.plan is not None
    assert (staged.plan.digest, staged.plan.entities) == (again.plan.digest, again.plan.entities)
    assert len(staged.plan.limits) == len(again.plan.limits) > 0
    assert staged.plan.removals.undone == staged.plan.summed().deactivate > len(district.users)
    assert {hit.limit for hit in staged.plan.limits} >= {"deactivate"}
    assert run(world, task(world, "discard", "undo-1", uid)).outcome is Outcome.DISCARDED
    assert world.roster.stage_tables() == []
    world.assert_rows_are(district)


def test_what_cannot_be_undone_fails_for_good(world: World) -> None:
    pull(world, "first")
    unknown = run(world, task(world, "stage", "undo-1", mode="Undo", undoes="another"))
    assert unknown.failure is not None
    assert (unknown.failure.reason, unknown.failure.retryable) == ("UndoUnknown", False)
    with world.roster.owner() as conn:
        conn.execute("delete from roster.change_log where tenant = %s", (world.roster.key(),))
    gone = run(world, task(world, "stage", "undo-2", mode="Undo", undoes="first"))
    assert gone.failure is not None
    assert (gone.failure.reason, gone.failure.retryable) == ("UndoHistoryGone", False)
    assert world.roster.stage_tables() == []


def test_in_a_pod_nothing_of_the_records_is_told(world: World, district: District) -> None:
    pull(world, "first")
    world.sis.swap(one_percent_changed(district, 3, share=0.05))
    pull(world, "wrong")
    code, summary, said = Pod(world, task(world, "stage", "undo-1", mode="Undo", undoes="wrong")).end()
    assert (code, summary.outcome) == (0, Outcome.STAGED)
    for user in district.users:
        assert user.sourced_id not in said
        assert user.email is None or user.email not in said
