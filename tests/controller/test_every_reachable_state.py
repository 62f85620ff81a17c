"""Every state that a sync can reach in so many events, in every order: with the real decisions, acts and statuses.

An event is a person's edit, a Job's end, a loss, the passing of time, another sync, or a look of the operator. A look
may be cut off after its first write, or a person may edit between its read and its write. Two ways to the same state
are one, so that all orders of ROSTER_EXPLORE_DEPTH events, from each root, are some thousand states. In each of them:

- what merges was approved by the words that stood in the spec when the approval was latched, and by no others;
- a final phase stays, nothing is merged twice, and a merge that was done is never called undone;
- left alone, with Jobs that answer, it comes to rest: it waits for a person, or has ended and left nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.controller.fake_api import FakeApi, Killed
from tests.controller.values import NOW, SETTINGS, connection_body, hit, ready, stamp
from tests.support.jobs import DIGESTS

from roster_operator.api.kinds import Kind
from roster_operator.api.sync import FINAL, WAITING, Phase
from roster_operator.controller.context import Context
from roster_operator.controller.events import Recorder
from roster_operator.controller.lifecycle import State
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.objects import Body, Sync
from roster_operator.controller.observe import is_closing, state_of
from roster_operator.controller.queue import Again, Key
from roster_operator.controller.slots import Slots
from roster_operator.controller.sync_reconciler import reconcile_sync
from roster_operator.controller.view import View

DEPTH = int(os.environ.get("ROSTER_EXPLORE_DEPTH", "3"))
KEY = Key("RosterSync", "k12", "first")
A, B, C = (DIGESTS[letter] for letter in "abc")
LONG_AGO, LATER = "2026-01-01T00:00:00Z", stamp(NOW, days=-400)
QUICK = replace(SETTINGS, retry_delay=0.0, max_attempts=2, merge_attempts=2, discard_attempts=2)
METRICS = Metrics(View())


class Interrupted(FakeApi):
    """Calls `between` once, after the sync was read."""

    between: Callable[[], None] | None = None

    async def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        found = await super().get(kind, namespace, name)
        if name == "first" and self.between is not None:
            between, self.between = self.between, None
            between()
        return found


class World:
    """One sync, a person, a database, a Job controller, and another sync."""

    def __init__(self, frozen: str = "") -> None:
        self.api = Interrupted()
        known: Body = json.loads(frozen) if frozen else {"objects": [], "version": 0, "merged": [], "latched": []}
        self.api.objects = {(plural, body["metadata"]["name"]): body for plural, body in known["objects"]}
        self.api._version = known["version"]
        self.merged: list[str] = known["merged"]  # digests, as the database has them
        self.latched: list[str] = known["latched"]  # digests that were approved, as an independent reading says

    def freeze(self) -> str:
        objects = [(plural, body) for (plural, _), body in self.api.objects.items()]
        return json.dumps(
            {"objects": objects, "version": self.api._version, "merged": self.merged, "latched": self.latched}
        )

    @property
    def sync(self) -> Body:
        return self.api.objects.get(("rostersyncs", "first")) or {}

    @property
    def status(self) -> Body:
        return self.sync.get("status") or {}

    @property
    def phase(self) -> str:
        return self.status.get("phase", "")

    @property
    def jobs(self) -> list[Body]:
        return [body for (plural, _), body in self.api.objects.items() if plural == "jobs"]

    @property
    def open_job(self) -> Body | None:
        return (
            next((job for job in self.jobs if not job["status"].get("conditions")), None) if self._has_jobs() else None
        )

    def _has_jobs(self) -> bool:
        for job in self.jobs:
            job.setdefault("status", {})
        return bool(self.jobs)

    def state(self) -> tuple[Any, ...]:
        """What tells this world from others: no times, versions, names or numbers of attempts."""
        status, spec, meta = self.status, self.sync.get("spec") or {}, self.sync.get("metadata") or {}
        plan, ref = status.get("plan") or {}, status.get("job") or {}
        seen = plan and meta["generation"] > plan["generation"]
        times = status.get("times") or {}
        approval = status.get("approval") or {}
        jobs = sorted(
            (
                task["step"],
                (task.get("order") or {}).get("digest", ""),
                task["attempt"] - ref.get("attempt", 0),
                self._answer(job),
            )
            for job in self.jobs
            for task in (task_of(job),)
        )
        other = self.api.objects.get(("rostersyncs", "other")) or {}
        kind = (other.get("spec") or {}).get("mode")
        return (
            bool(self.sync), json.dumps(spec, sort_keys=True), bool(meta.get("deletionTimestamp")),
            bool(meta.get("finalizers")), self.phase, plan.get("digest"), bool(plan.get("limits")),
            plan.get("inAdvance"), plan.get("recomputed"), bool(seen), approval.get("digest"), approval.get("via"),
            ref.get("step"), ref.get("losses"), ref.get("digest"), (status.get("failure") or {}).get("reason"),
            status.get("tenant"), times.get("staged") == LONG_AGO, tuple(jobs), json.dumps(other.get("status")), kind,
            tuple(self.merged), tuple(sorted(set(self.latched))),
        )  # fmt: skip

    def _answer(self, job: Body) -> str:
        if not (job.get("status") or {}).get("conditions"):
            return "open"
        pod = self.api.objects.get(("pods", f"{job['metadata']['name']}-pod"))
        return pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] if pod else "lost"

    # What the operator does.

    def look(self, *, dies: bool = False, between: Callable[[], None] | None = None) -> None:
        view = View()
        other = self.api.objects.get(("rostersyncs", "other"))
        if other:
            view.sync_seen(other)
        context = Context(
            self.api, QUICK, METRICS, Recorder(self.api, "t"), Slots(view, 1000), view, "cluster", lambda _: None
        )
        self.api.writes_until_kill, self.api.kill_before = (0, False) if dies else (None, False)
        self.api.between = between
        before, created = self.phase, len(self.api.created)
        with contextlib.suppress(Again, Killed):
            run(reconcile_sync(context, KEY))
        self.api.writes_until_kill, self.api.between = None, None
        if self.phase == "Merging" and before in WAITING:
            plan, approval = self.status["plan"], self.status["approval"]
            assert approval["digest"] == plan["digest"]
            assert words_approve(self.sync), "latched without words"
            self.latched.append(approval["digest"])
        if self.phase in {"Superseded", "Expired"} and before in WAITING:
            assert not words_approve(self.sync), "what is approved is neither superseded nor expired"
        for job in self.api.created[created:]:
            task = task_of(job)
            if task["step"] == "merge":
                assert task["order"]["digest"] == self.status["approval"]["digest"]
                assert task["order"]["digest"] in self.latched
            else:
                assert self.sync["metadata"]["finalizers"], "rows without a finalizer"

    def end(self, job: Body, answer: Body | None) -> None:
        name = job["metadata"]["name"]
        kind = "Failed" if answer and answer["outcome"] == "Failed" else "Complete"
        condition = {"type": kind, "status": "True", "reason": "PodFailurePolicy", "lastTransitionTime": stamp()}
        self.api.change("jobs", name, {"status": {"conditions": [condition]}})
        if answer is None:
            return
        text = json.dumps(answer | {"step": task_of(job)["step"]})
        ended = {"terminated": {"exitCode": 0, "message": text, "finishedAt": stamp()}}
        meta = {
            "name": f"{name}-pod",
            "labels": {"batch.kubernetes.io/job-name": name},
            "ownerReferences": [{"kind": "Job", "uid": job["metadata"]["uid"]}],
        }
        self.api.put("pods", {"metadata": meta, "status": {"containerStatuses": [{"state": ended}]}})

    def merges(self, job: Body) -> Body:
        """The database merges, or says that it has."""
        if not self.merged:
            digest = task_of(job)["order"]["digest"]
            assert digest in self.latched, "what merges was approved"
            self.merged.append(digest)
        return {"outcome": "Merged"}


def run(work: Coroutine[Any, Any, Any]) -> None:
    """Nothing in it really waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


def task_of(job: Body) -> Body:
    (variable,) = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return json.loads(variable["value"])


def words_approve(sync: Body) -> bool:
    """An independent reading of the rules: do the words in this spec approve the plan that this status shows?"""
    spec, plan = sync["spec"], sync["status"]["plan"]
    if "approvedPlan" in spec:
        return spec["approvedPlan"] == plan["digest"]
    if not spec.get("approved") or plan["limits"] or plan["recomputed"]:
        return False
    return not plan["first"] if plan["inAdvance"] else sync["metadata"]["generation"] > plan["generation"]


# The events. Each gives what can be done in a world, by name.

Event = Callable[[World], None]


def edit(**spec: Any) -> Event:
    return lambda world: world.api.change("rostersyncs", "first", {"spec": spec})


def plan(digest: str, *, beyond: bool = False) -> Body:
    return {"digest": digest, "limits": [hit()] if beyond else [], "complete": True, "first": False}


EDITS: dict[str, Event] = {
    "approve": edit(approved=True),
    "un-approve": edit(approved=False),
    "approve A": edit(approvedPlan=A),
    "approve B": edit(approvedPlan=B),
    "approve no plan": edit(approvedPlan=None),
    "reject": edit(rejected={"reason": "no"}),
    "delete": lambda world: world.api.remove("rostersyncs", "first"),
}


def answers(world: World, job: Body) -> dict[str, Callable[[], Body | None]]:
    failed = {"outcome": "Failed", "failure": {"reason": "DatabaseFull", "message": "x"}}
    away = {"outcome": "Failed", "failure": {"reason": "DatabaseUnreachable", "message": "x", "retryable": True}}
    match task_of(job)["step"]:
        case "stage":
            return {
                "staged A": lambda: {"outcome": "Staged", "plan": plan(A)},
                "staged beyond limits": lambda: {"outcome": "Staged", "plan": plan(A, beyond=True)},
                "merged before": lambda: {"outcome": "AlreadyMerged"},
                "failed": lambda: failed,
                "lost": lambda: None,
            }
        case "merge":
            found: dict[str, Callable[[], Body | None]] = {
                "merged": lambda: world.merges(job),
                "merged and lost": lambda: world.merges(job) and None,
                "lost": lambda: None,
                "away": lambda: away,
                "failed": lambda: failed,
            }
            if not world.merged:
                new = B if task_of(job)["order"]["digest"] == A else A
                found["changed"] = lambda: {"outcome": "PlanChanged", "plan": plan(new)}
            return found
        case _:
            return {
                "discarded": lambda: {"outcome": "Merged" if world.merged else "Discarded"},
                "failed": lambda: failed,
                "lost": lambda: None,
            }


def another(phase: str, digest: str, pulled: str, **spec: str) -> Event:
    status = {"phase": phase, "plan": {"digest": digest}, "times": {"pulled": pulled, "finished": LATER}}
    body = {"metadata": {"name": "other"}, "spec": {"connectionRef": {"name": "springfield"}} | spec}
    return lambda world: void(
        world.api.put("rostersyncs", body | {"status": status | {"tenant": world.status.get("tenant")}})
    )


def void(_: object) -> None:
    """For a lambda that is called for its effect."""


def events(world: World) -> dict[str, Event]:
    """Everything that can happen in this world."""
    if not world.sync:
        return {}
    found: dict[str, Event] = {"look": World.look, "look, killed after a write": lambda one: one.look(dies=True)}
    for name, act in EDITS.items():
        found[name] = act
        found[f"look, and meanwhile {name}"] = lambda one, act=act: one.look(between=lambda: act(one))
    if world.phase in WAITING:
        found["a week passes"] = lambda one: one.api.change(
            "rostersyncs", "first", {"status": {"times": {"staged": LONG_AGO}}}
        )
        found["another is pulled"] = another("AwaitingApproval", C, LATER)
        found["an equal one waits"] = another("AwaitingApproval", A, LONG_AGO)
        found["another merged it"] = another("Merged", A, LATER)
        found["an undo is merged"] = another("Merged", C, LATER, mode="Undo", undoes="wrong")
        found["the same is undone by another"] = another("AwaitingApproval", C, LATER, mode="Undo", undoes="before")
    job = world.open_job
    if job is not None:
        for name in answers(world, job):
            found[f"{task_of(job)['step']}: {name}"] = answered(name)
        found["a Job is deleted"] = lambda one: one.api.remove("jobs", (one.open_job or {})["metadata"]["name"])
    return found


def answered(name: str) -> Event:
    def act(world: World) -> None:
        job = world.open_job
        assert job
        world.end(job, answers(world, job)[name]())

    return act


def check(world: World, before: str) -> None:
    """What holds in every state."""
    if not world.sync:
        return
    if Phase(before or "Pending") in FINAL:
        assert world.phase == before, "a final phase stays"
    assert len(world.merged) <= 1
    if world.phase == "Failed" and world.merged:
        assert world.status["failure"]["reason"] in {"MergeUnknown", "MergedUnanswered"}
    if world.phase in {"Rejected", "Expired", "Superseded"}:
        assert not world.merged, "it is called undone, and is not"
    if world.phase == "Merged":
        complete = next(item for item in world.status["conditions"] if item["type"] == "Complete")
        assert complete["reason"] == "AlreadyMerged" or world.merged == [world.status["approval"]["digest"]]


def comes_to_rest(world: World, rests: set[tuple[Any, ...]]) -> None:
    """Left alone, with Jobs that answer."""
    path: list[tuple[Any, ...]] = []
    for _ in range(60):
        state = world.state()
        if state in rests:
            break
        path.append(state)
        before = world.phase
        world.look()
        check(world, before)
        job = world.open_job
        if job is not None:
            name = {"stage": "staged A", "merge": "merged", "discard": "discarded"}[task_of(job)["step"]]
            world.end(job, answers(world, job)[name]())
        elif world.state() == state:
            if world.sync:
                assert Phase(world.phase) in FINAL | WAITING, "it rests where nobody is waited for"
                assert "deletionTimestamp" not in world.sync["metadata"]
                held = world.sync["metadata"].get("finalizers")
                assert bool(held) is (Phase(world.phase) in WAITING)
            break
    else:
        raise AssertionError("it does not come to rest")
    rests.update(path)


@dataclass
class Found:
    """What was explored."""

    states: int
    steps: int
    reached: Counter[str]


# Where the exploration begins, as what has happened before: so that each part of a life is explored as deep.
_STAGING = ("look",) * 3
_WAITING = (*_STAGING, "stage: staged A", "look")
_MERGING = (*_WAITING, "approve", "look", "look")
ROOTS: tuple[tuple[str, ...], ...] = (
    (),
    ("it is an undo", *_WAITING),
    _STAGING,
    _WAITING,
    (*_STAGING, "stage: staged beyond limits", "look"),
    _MERGING,
    (*_MERGING, "merge: merged and lost", "look"),
    (*_MERGING, "merge: changed", "look"),
    (*_WAITING, "reject", "look", "look"),
)


# What is decided when the sync is made: its spec cannot become that later.
BIRTHS: dict[str, Event] = {"it is an undo": edit(mode="Undo", undoes="before")}


def world_after(history: tuple[str, ...]) -> World:
    """A sync to which all this has happened."""
    world = World()
    world.api.put("rosterconnections", connection_body(status=ready()))
    world.api.put("rostersyncs", {"metadata": {"name": "first"}, "spec": {"connectionRef": {"name": "springfield"}}})
    for name in history:
        (events(world) | BIRTHS)[name](world)
    return world


def explore(depth: int) -> Found:
    """All states within so many events of a root."""
    frontier = [(world_after(root).freeze(), root) for root in ROOTS]
    seen = {World(frozen).state() for frozen, _ in frontier}
    rests: set[tuple[Any, ...]] = set()
    found = Found(0, 0, Counter())
    for _ in range(depth):
        following: list[tuple[str, tuple[str, ...]]] = []
        for frozen, history in frontier:
            for name, act in events(World(frozen)).items():
                world = World(frozen)
                found.steps += 1
                try:
                    before = world.phase
                    act(world)
                    check(world, before)
                    state = world.state()
                    if state in seen:
                        continue
                    seen.add(state)
                    found.reached[world.phase or "gone"] += 1
                    found.reached[name] += 1
                    if world.sync:
                        sync = Sync.of(world.sync)
                        found.reached[state_of(sync, closing=is_closing(sync)).name] += 1
                    after = world.freeze()
                    comes_to_rest(world, rests)
                except BaseException as error:
                    error.add_note(" > ".join((*history, name)))
                    raise
                following.append((after, (*history, name)))
        frontier = following
    found.states = len(seen)
    return found


@pytest.fixture(scope="module")
def explored() -> Found:
    return explore(DEPTH)


@pytest.mark.timeout(1200)
def test_every_state_within_reach_is_safe_and_none_is_stuck(explored: Found) -> None:
    assert explored.states > 1000
    assert explored.steps > 5_000


def test_the_exploration_went_everywhere(explored: Found) -> None:
    """Against a test above that holds because nothing happens in it."""
    everything = {*(phase.value for phase in Phase), *(state.name for state in State), *EDITS}
    everything |= {f"look, and meanwhile {name}" for name in EDITS} | {"look, killed after a write", "a Job is deleted"}
    everything |= {"a week passes", "another is pulled", "an equal one waits", "another merged it"}
    everything |= {"an undo is merged", "the same is undone by another"}
    everything |= {f"merge: {name}" for name in ("merged", "merged and lost", "lost", "away", "failed", "changed")}
    assert everything <= explored.reached.keys(), everything - explored.reached.keys()
