"""Undo: what a merged sync did is planned the other way round, reviewed like any plan, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.fixtures import NAMESPACE, Roster, run_name
from tests.store.pulls import ENTITIES, Item, World, merge_run, merge_world, plan_of, stage_world

from roster_operator.store import access, cursors, erase, review, runs, undo
from roster_operator.store import issues as listings
from roster_operator.store.errors import StoreError, translated
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.plan import Plan
from roster_operator.store.runs import RunName
from roster_operator.store.stage import Stage

pytestmark = pytest.mark.store
Rows = dict[str, dict[str, dict[str, Any]]]


def orgs(**contents: int | str) -> World:
    """A world of orgs: o1=1, o2="deleted"."""
    return {"orgs": {i: Item(c) if isinstance(c, int) else Item(0, status=c) for i, c in contents.items()}}


def stage_undo(
    conn: psycopg.Connection, name: str, *, overwrite: bool = False, own: str = "undo-1"
) -> tuple[RunName, Plan]:
    run = replace(run_name(own), mode="Undo")
    stage = Stage(conn, run, 1)
    with translated():
        facts = undo.stage(conn, stage, undo.find(conn, NAMESPACE, name), overwrite=overwrite)
    stage.seal(None, facts, [])
    return run, plan_of(conn, run)


def merge_undo(roster: Roster, name: str, *, overwrite: bool = False, own: str = "undo-1") -> Merged:
    with roster.stager() as conn:
        run, plan = stage_undo(conn, name, overwrite=overwrite, own=own)
    return merge_run(roster, run, plan)


def states(roster: Roster) -> Rows:
    """The rows, by all columns that say something of the record."""
    return {
        entity: {
            i: {name: value for name, value in row.items() if name not in {"raw_hash", "last_changed"}}
            for i, row in rows.items()
        }
        for entity, rows in roster.snapshot().items()
    }


def issues(plan: Plan) -> dict[tuple[str, str], int]:
    return {(each["code"], each["severity"]): each["count"] for each in plan.issues}


_ITEMS = st.builds(
    Item, st.integers(1, 6), st.integers(0, 1), st.sampled_from(["active"] * 6 + ["tobedeleted", "outOfScope"])
)
_WORLDS = st.fixed_dictionaries(
    {entity: st.dictionaries(st.sampled_from(["a", "b", "c", "ä b", "e\"'"]), _ITEMS) for entity in ENTITIES}
)
_numbers = iter(range(1, 100_000))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(_WORLDS, min_size=1, max_size=2), wrong=_WORLDS, after=_WORLDS)
def test_undoing_a_pull_gives_what_was_there_before_it(
    roster: Roster, before: list[World], wrong: World, after: World
) -> None:
    roster.number = 100_000 + next(_numbers)  # a district of its own for each example
    roster.made.clear()
    for at, world in enumerate(before):
        merge_world(roster, world, f"before-{at}")
    was = states(roster)
    merge_world(roster, wrong, "wrong")
    wronged = states(roster)
    done = merge_undo(roster, "wrong")
    now = states(roster)
    for entity, rows in now.items():
        for sourced_id, row in rows.items():
            known = was[entity].get(sourced_id)
            if known is None:  # a merge deletes nothing: what was brought is there, and inactive
                assert (row["status"], wronged[entity][sourced_id]["status"]) == ("inactive", "active")
                assert row["inactive_cause"] == "undone"
                known = row
            assert row == known
        assert was[entity].keys() <= rows.keys()
        plan = done.plan.entities[entity]
        assert plan.received == plan.update + plan.reactivate + plan.undone + plan.unchanged
        assert (plan.create, plan.unchanged, plan.invalid, done.plan.issues) == (0, 0, 0, [])
    # An undo can itself be undone ...
    merge_undo(roster, "undo-1", own="undo-2")
    assert active(states(roster)) == active(wronged)
    merge_undo(roster, "undo-2", own="undo-3")
    assert active(states(roster)) == active(was)
    # ... and the next pull finds everything that the source says, as if nothing had been.
    merge_world(roster, after, "after")
    with roster.stager() as conn:
        _, again = stage_world(conn, after)
    assert not again.changes
    for entity in ENTITIES:
        shown = {i for i, item in after[entity].items() if item.status == "active"}
        assert {i for i, row in states(roster)[entity].items() if row["status"] == "active"} == shown


def active(rows: Rows) -> Rows:
    return {entity: {i: row for i, row in found.items() if row["status"] == "active"} for entity, found in rows.items()}


def test_what_was_undone_is_planned_again_by_the_next_pull(roster: Roster) -> None:
    merge_world(roster, orgs(o1=1, o2=1), "first")
    wrong = merge_world(roster, orgs(o1=2, o3=1), "wrong")
    merge_undo(roster, "wrong")
    with roster.stager() as conn:
        _, plan = stage_world(conn, orgs(o1=2, o3=1))
    found = plan.entities["orgs"]
    # o3 was created then and is known now, so it would come back; the effects are those that were undone.
    assert (found.update, found.vanished, found.create, found.reactivate) == (1, 1, 0, 1)
    assert plan.digest != wrong.plan.digest


@pytest.mark.parametrize("overwrite", [False, True], ids=["Leave", "Overwrite"])
def test_what_changed_since_is_a_conflict(roster: Roster, overwrite: bool) -> None:
    merge_world(roster, orgs(o1=1, o2=1, o3=1, o4=1), "first")
    merge_world(roster, orgs(o1=2, o2=2, o4=1, o5=1, o6=1), "wrong")
    merge_world(roster, orgs(o1=2, o2=3, o3=4, o4=1, o5=2, o6=1), "since")
    with roster.stager() as conn:
        run, plan = stage_undo(conn, "wrong", overwrite=overwrite)
        found_run = runs.get(conn, run.run)
        listed = review.changes(conn, found_run, "orgs")
        told = {(each.sourced_id, each.code) for each in listings.listing(conn, found_run)}
    assert told == {(i, "UndoConflict") for i in ("o2", "o3", "o5")}
    # o1 and o6 are as they were left; o2, o3 and o5 are not.
    found = plan.entities["orgs"]
    assert found.received == 5
    merge_run(roster, run, plan)
    rows = states(roster)["orgs"]
    if overwrite:
        assert issues(plan) == {("UndoConflict", "warning"): 3}
        assert (found.update, found.undone, found.unchanged) == (3, 2, 0)
        assert {c.sourced_id: c.action for c in listed} == {
            "o1": "update",
            "o2": "update",
            "o3": "update",
            "o5": "undone",
            "o6": "undone",
        }
        contents = {i: row["name"].split()[2] for i, row in rows.items()}
        assert {i: contents[i] for i in ("o1", "o2", "o3")} == {"o1": "1", "o2": "1", "o3": "1"}
        assert rows["o5"]["status"] == "inactive"
    else:
        assert issues(plan) == {("UndoConflict", "error"): 3}
        assert (found.update, found.undone, found.unchanged) == (1, 1, 3)
        assert {c.sourced_id: c.action for c in listed} == {"o1": "update", "o6": "undone"}
        contents = {i: row["name"].split()[2] for i, row in rows.items()}
        assert {i: contents[i] for i in ("o1", "o2", "o3")} == {"o1": "1", "o2": "3", "o3": "4"}
        assert rows["o5"]["status"] == "active"
    assert rows["o6"]["status"] == "inactive"
    log = roster.ask(
        "select sourced_id, action from roster.change_log where tenant = %s and run = %s order by 1",
        roster.key(),
        run.run,
    )
    assert dict(log) == {c.sourced_id: c.action for c in listed}


def test_a_merge_after_the_staging_makes_another_plan(roster: Roster) -> None:
    merge_world(roster, orgs(o1=1, o2=1), "first")
    merge_world(roster, orgs(o1=2, o2=2), "wrong")
    with roster.stager() as conn:
        run, plan = stage_undo(conn, "wrong")
    merge_world(roster, orgs(o1=3, o2=2), "between")
    with roster.merger() as conn:
        changed = merge(conn, run.run, plan.digest, {})
    assert isinstance(changed, PlanChanged)
    assert issues(changed.plan) == {("UndoConflict", "error"): 1}
    assert changed.plan.entities["orgs"].update == 1
    merge_run(roster, run, changed.plan)
    assert {i: r["name"].split()[2] for i, r in roster.snapshot()["orgs"].items()} == {"o1": "3", "o2": "1"}


def test_merges_undone_one_after_the_other_are_no_conflicts(roster: Roster) -> None:
    merge_world(roster, orgs(o1=1, o2=1), "first")
    was = states(roster)
    merge_world(roster, orgs(o1=2, o2=2), "second")
    merge_world(roster, orgs(o1=3), "third")
    merge_undo(roster, "third", own="undo-third")
    done = merge_undo(roster, "second", own="undo-second")
    assert done.plan.issues == []
    assert states(roster) == was
    # Once more: everything is as it is to be.
    with roster.stager() as conn:
        _, plan = stage_undo(conn, "second", own="again")
    assert (plan.changes, plan.issues, plan.entities["orgs"].unchanged) == (False, [], 2)


def test_what_retention_or_erasing_took_cannot_come_back_and_is_said_so(roster: Roster) -> None:
    people = {"users": {i: Item(1) for i in ("u1", "u2", "u3")}, **orgs(o1=1)}
    merge_world(roster, people, "first")
    merge_world(roster, orgs(o1=1), "wrong")
    with roster.owner() as conn:
        conn.execute("delete from roster.users where tenant = %s and sourced_id = 'u1'", (roster.key(),))
    erase.person(roster.database.owner_url, roster.key(), "u2", by="test")
    done = merge_undo(roster, "wrong")
    assert done.plan.entities["users"].reactivate == 1
    assert issues(done.plan) == {("UndoRecordGone", "error"): 1, ("UndoRecordGone", "warning"): 1}
    assert {i: row["status"] for i, row in roster.snapshot()["users"].items()} == {"u3": "active"}


def test_a_sync_that_is_not_known_or_has_no_history_cannot_be_undone(roster: Roster) -> None:
    merge_world(roster, orgs(o1=1), "first")
    with roster.stager() as conn, pytest.raises(StoreError) as refused:
        stage_undo(conn, "another")
    assert refused.value.reason == "UndoUnknown"
    with roster.owner() as conn:
        conn.execute("delete from roster.change_log where tenant = %s", (roster.key(),))
    with roster.stager() as conn, pytest.raises(StoreError) as refused:
        stage_undo(conn, "first")
    assert (refused.value.reason, bool(refused.value.next_step)) == ("UndoHistoryGone", True)


def test_another_districts_sync_is_unknown(roster: Roster) -> None:
    merge_world(roster, orgs(o1=1), "theirs", tenant="shelbyville")
    theirs = roster.one("select run from roster.sync_run where tenant = %s", roster.key("shelbyville"))
    merge_world(roster, orgs(o1=1), "ours")
    with roster.stager() as conn:
        with pytest.raises(StoreError) as refused:
            stage_undo(conn, "theirs")
        assert refused.value.reason == "UndoUnknown"
        stage = Stage(conn, replace(run_name(), mode="Undo"), 1)
        with pytest.raises(StoreError) as refused, translated():
            conn.execute("select roster.record_undo(%s, %s, %s)", (stage.run, stage.token, theirs))
        assert refused.value.reason == "UndoUnknown"
    with roster.merger() as conn, pytest.raises(StoreError) as refused, translated():
        conn.execute("select roster.undo_access(%s)", (theirs,))
    assert refused.value.reason == "NotStaged"


def test_rows_added_by_hand_are_left_alone(roster: Roster) -> None:
    merge_world(roster, orgs(o1=1), "first")
    with roster.owner() as conn:
        conn.execute(
            "update roster.orgs set source = 'Manual' where tenant = %s and sourced_id = 'o1'", (roster.key(),)
        )
    done = merge_undo(roster, "first")
    assert (done.plan.changes, issues(done.plan)) == (False, {("UndoConflict", "error"): 1})
    assert roster.snapshot()["orgs"]["o1"]["status"] == "active"


def test_access_comes_back_with_people_and_goes_with_those_who_were_brought(roster: Roster) -> None:
    owner, tenant = roster.database.owner_url, roster.key()
    merge_world(roster, {"users": {"kept": Item(2), "lost": Item(2)}}, "first")
    for user in ("kept", "lost"):
        access.grant(owner, tenant, user, ["grade"], by="ada")
    merge_world(roster, {"users": {"kept": Item(2), "brought": Item(2)}}, "wrong")
    access.grant(owner, tenant, "brought", ["grade"], by="ada")
    assert effective(roster) == {"kept": True, "lost": False, "brought": True}
    done = merge_undo(roster, "wrong", own="undo-1")
    assert (done.plan.entities["users"].undone, done.plan.entities["users"].reactivate) == (1, 1)
    assert effective(roster) == {"kept": True, "lost": True, "brought": False}
    (gone,) = [each for each in access.listing(owner, tenant) if each.revoked_by]
    assert (gone.user_sourced_id, gone.revoked_by) == ("brought", "undo of wrong")
    # Withdrawn, not only asleep: the next pull may bring the person, and gives no access.
    merge_world(roster, {"users": {i: Item(2) for i in ("kept", "lost", "brought")}}, "next")
    assert effective(roster) == {"kept": True, "lost": True, "brought": False}
    merge_undo(roster, "next", own="undo-2")
    merge_undo(roster, "undo-1", own="undo-3")
    assert effective(roster) == {"kept": True, "lost": False, "brought": True}


def effective(roster: Roster) -> dict[str, bool]:
    return {x.user_sourced_id: x.effective for x in access.listing(roster.database.owner_url, roster.key())}


def test_after_an_undo_a_delta_reads_everything_until_a_whole_pull_is_merged(roster: Roster) -> None:
    def reach() -> cursors.Reach | None:
        with roster.stager() as conn:
            return cursors.reach(conn)

    merge_world(roster, orgs(o1=1), "first")
    merge_world(roster, orgs(o1=2), "wrong")
    assert reach() is not None
    with roster.stager() as conn:
        waiting, plan = stage_world(conn, orgs(o1=2, o2=1))
    merge_undo(roster, "wrong")
    assert reach() is None
    # A pull that was staged before knows nothing of what was taken back.
    merge_run(roster, waiting, plan)
    assert reach() is None
    merge_world(roster, orgs(o1=2, o2=1), "after")
    assert reach() is not None


def test_the_undo_of_a_first_merge_leaves_nobody_active(roster: Roster) -> None:
    merge_world(roster, {"users": {f"u{n}": Item(1) for n in range(30)}}, "first")
    with roster.stager() as conn:
        _, plan = stage_undo(conn, "first")
    found = plan.entities["users"]
    assert (found.undone, found.deactivate, found.active, plan.first) == (30, 30, 30, False)
