"""What a sync that waits becomes when others of its connection are staged or merged, and when its time is over."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.values import NOW, A, B, metadata, stamp

from roster_operator.api.kinds import STAGED_FINALIZER
from roster_operator.controller.objects import Sync
from roster_operator.controller.queue import Key
from roster_operator.controller.siblings import Rival, rival_of
from roster_operator.controller.view import View

Body = dict[str, Any]


def body(
    name: str,
    *,
    hour: float,
    digest: str = A,
    phase: str = "AwaitingApproval",
    meta: Body | None = None,
    finished: float | None = None,
    **spec: Any,
) -> Body:
    """A sync that was pulled in this hour."""
    times = {"pulled": stamp(NOW, hours=-hour), "staged": stamp(NOW, hours=-hour)}
    if finished is not None:
        times["finished"] = stamp(NOW, hours=-finished)
    status = {"phase": phase, "tenant": "t", "plan": {"digest": digest}, "times": times}
    return {
        "metadata": metadata(name, **(meta or {})),
        "spec": {"connectionRef": {"name": "springfield"}} | spec,
        "status": status,
    }


def one(name: str, **options: Any) -> Sync:
    return Sync.of(body(name, **options))


MINE = one("mine", hour=5)
DELTA = {"mode": "Delta"}
UNDO = {"mode": "Undo", "undoes": "wrong"}
UNDOING = one("mine", hour=5, **UNDO)

TABLE: list[tuple[str, Sync, list[Sync], Rival | None]] = [
    ("alone", MINE, [], None),
    ("itself", MINE, [MINE], None),
    ("a newer pull", MINE, [one("new", hour=6, digest=B)], Rival("new", equal=False)),
    ("a newer pull that merges", MINE, [one("new", hour=6, digest=B, phase="Merging")], Rival("new", equal=False)),
    ("a newer pull that failed", MINE, [one("new", hour=6, digest=B, phase="Failed")], None),
    ("a newer pull that is not staged", MINE, [one("new", hour=6, digest=B, phase="Staging")], None),
    ("a newer pull with an equal plan", MINE, [one("new", hour=6)], None),
    ("an older one with another plan", MINE, [one("old", hour=4, digest=B)], None),
    ("an older one with an equal plan", MINE, [one("old", hour=4)], Rival("old", equal=True)),
    ("an older one with an equal plan that merges", MINE, [one("old", hour=4, phase="Merging")], None),
    ("an older one merged an equal plan since", MINE, [one("old", hour=4, phase="Merged", finished=7)], Rival("old", equal=True)),
    ("a newer one merged an equal plan since", MINE, [one("new", hour=6, phase="Merged", finished=7)], Rival("new", equal=True)),
    ("an equal plan was merged before this one was made", MINE, [one("old", hour=4, phase="Merged", finished=4.5)], None),
    ("an equal one that another pull comes after", MINE, [one("old", hour=3), one("between", hour=4, digest=B)], None),
    ("a full pull, and a newer delta", MINE, [one("new", hour=6, digest=B, **DELTA)], None),
    ("a delta, and a newer delta", one("mine", hour=5, **DELTA), [one("new", hour=6, digest=B, **DELTA)], Rival("new", equal=False)),
    ("a delta, and a newer full pull", one("mine", hour=5, **DELTA), [one("new", hour=6, digest=B)], Rival("new", equal=False)),
    ("a pull, and a newer undo that waits", MINE, [one("undo", hour=6, digest=B, **UNDO)], None),
    ("a pull, and a newer undo that merges", MINE, [one("undo", hour=6, digest=B, phase="Merging", **UNDO)], None),
    ("a pull, and an undo merged since", MINE, [one("undo", hour=4, digest=B, phase="Merged", finished=6, **UNDO)], Rival("undo", equal=False, undo=True)),
    ("a pull, and an undo merged before", MINE, [one("undo", hour=3, digest=B, phase="Merged", finished=4, **UNDO)], None),
    ("a pull, and another connection's undo", MINE, [one("undo", hour=4, phase="Merged", finished=6, connectionRef={"name": "shelby"}, **UNDO)], None),
    ("an undo, and a newer pull", UNDOING, [one("new", hour=6, digest=B)], None),
    ("an undo, and a newer pull that is merged", UNDOING, [one("new", hour=6, digest=B, phase="Merged", finished=7)], None),
    ("an undo, and an older pull with an equal plan", UNDOING, [one("old", hour=4)], None),
    ("an undo, and a newer one of the same sync", UNDOING, [one("new", hour=6, digest=B, **UNDO)], Rival("new", equal=False, undo=True)),
    ("an undo, and an older one of the same sync with an equal plan", UNDOING, [one("old", hour=4, **UNDO)], Rival("old", equal=True)),
    ("an undo, and a newer one of another sync", UNDOING, [one("new", hour=6, digest=B, **UNDO | {"undoes": "else"})], None),
    ("another connection's", MINE, [one("new", hour=6, digest=B, connectionRef={"name": "shelby"})], None),
    ("one that is being deleted", MINE, [one("new", hour=6, digest=B, meta={"deletionTimestamp": stamp()})], None),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "others", "rival"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_rival(mine: Sync, others: list[Sync], rival: Rival | None) -> None:
    for order in permutations(others):
        assert rival_of(mine, order) == rival


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.booleans()), min_size=1, max_size=6))
def test_of_those_that_wait_one_is_always_left(pulls: list[tuple[str, bool]]) -> None:
    """Each judged by itself, all at the same moment: not all of them end. And the data left is the newest pull's."""
    syncs = [
        one(f"s{hour}", hour=hour, digest=digest, mode="Delta" if delta else "Full")
        for hour, (digest, delta) in enumerate(pulls)
    ]
    left = [sync for sync in syncs if rival_of(sync, syncs) is None]
    assert left
    digests = [sync.status.plan.digest for sync in left if sync.status.plan]
    assert pulls[-1][0] in digests


def test_a_staged_plan_wakes_those_that_wait_beside_it() -> None:
    view = View()
    view.sync_seen(body("mine", hour=5))
    keys = view.sync_seen(body("new", hour=6, digest=B))
    assert Key("RosterSync", "k12", "mine") in keys
    assert Key("RosterSync", "k12", "mine") not in view.sync_seen(body("new", hour=6, digest=B))


TRACKED: list[Body] = [
    {"labels": {"argocd.argoproj.io/instance": "roster"}},
    {"labels": {"app.kubernetes.io/instance": "roster"}},
    {"labels": {"kustomize.toolkit.fluxcd.io/name": "roster"}},
    {"labels": {"helm.toolkit.fluxcd.io/name": "roster"}},
    {"annotations": {"argocd.argoproj.io/tracking-id": "roster:roster-operator.io/RosterSync:k12/s"}},
]


def ended(**changes: Any) -> Body:
    return body("s", hour=0, phase="Merged", finished=1, ttlAfterFinished="10h", **changes)


def test_what_ended_long_ago_may_be_deleted() -> None:
    assert Sync.of(ended()).outlives == NOW + timedelta(hours=11)
    view = View()
    view.sync_seen(ended())
    assert view.outlived(NOW + timedelta(hours=10, minutes=59)) == set()
    assert view.outlived(NOW + timedelta(hours=11)) == {Key("RosterSync", "k12", "s")}


@pytest.mark.parametrize(
    "meta", [*TRACKED, {"finalizers": [STAGED_FINALIZER]}, {"deletionTimestamp": stamp()}], ids=str
)
def test_what_a_gitops_tool_tracks_or_is_not_done_with_stays(meta: Body) -> None:
    assert Sync.of(ended(meta=meta)).outlives is None
    view = View()
    view.sync_seen(ended(meta=meta))
    assert view.outlived(NOW + timedelta(days=400)) == set()
