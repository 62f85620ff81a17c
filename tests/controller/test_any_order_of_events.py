"""Some hundred lives of a sync, each with its own order of edits, answers, losses and kills.

Whatever comes, in whatever order: nothing is merged that nobody approved, a final phase stays, nothing is left behind,
and everything comes to rest. The lives are drawn by chance with fixed seeds; a failure names its seed and its history.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from tests.controller.fake_api import FakeApi, Killed
from tests.controller.values import NOW, SETTINGS, connection_body, hit, ready, stamp
from tests.support.jobs import DIGESTS

from roster_operator.api import sync as api_sync
from roster_operator.api.kinds import STAGED_FINALIZER
from roster_operator.api.sync import Phase
from roster_operator.api.task import WorkerTask
from roster_operator.controller.client import ApiError
from roster_operator.controller.context import Context
from roster_operator.controller.events import Recorder
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.queue import Again, Key
from roster_operator.controller.slots import Slots
from roster_operator.controller.sync_reconciler import reconcile_sync
from roster_operator.controller.view import View

KEY = Key("RosterSync", "k12", "first")
FINAL = {phase.value for phase in api_sync.FINAL}
LONG_AGO = "2026-01-01T00:00:00Z"
LIVES, STEPS = 200, 40
Body = dict[str, Any]


class Life:
    """One sync, a person, a database and a Job controller."""

    def __init__(self, seed: int, reached: Counter[str]) -> None:
        self.chance = Random(seed)
        self.reached = reached
        self.history: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.api = FakeApi()
        view = View()
        quick = replace(SETTINGS, retry_delay=0.0, merge_attempts=3)
        recorder = Recorder(self.api, "test")
        slots = Slots(view, 1000)
        self.context = Context(self.api, quick, Metrics(view), recorder, slots, view, "cluster", lambda _: None)
        self.approvable: set[str] = set()  # digests that somebody's words approve, of the plan that status shows
        self.shown: tuple[object, ...] | None = None
        self.ended: str | None = None
        self.merged_digests: list[str] = []

    def live(self, steps: int) -> None:
        """A whole life: so many things that happen, and then to its rest."""
        try:
            self._begin()
            for _ in range(steps):
                self._something_happens()
                self._what_always_holds()
            self.history.append("left alone")
            self._comes_to_rest()
            self._what_always_holds()
        except BaseException as error:
            error.add_note("\n".join(self.history))
            raise
        finally:
            self.loop.close()

    def _begin(self) -> None:
        self.api.put("rosterconnections", connection_body(status=ready()))
        spec: Body = {"connectionRef": {"name": "springfield"}, "approved": self._seldom(3)}
        if self._seldom(6):
            spec["approvedPlan"] = self._digest()
        self.history.append(f"begins with {spec}")
        self.api.put("rostersyncs", {"metadata": {"name": "first"}, "spec": spec})

    def _something_happens(self) -> None:
        happenings = [(self.operator_looks, 40), (self.operator_is_killed, 8), (self.connection_changes, 2)]
        if self.sync:
            happenings += [(self.set_approved, 8), (self.set_approved_plan, 3), (self.reject, 1), (self.delete, 1)]
        if self.status.get("phase") in {"AwaitingApproval", "Blocked"}:
            happenings += [(self.a_week_passes, 2), (self.another_sync_is_staged, 3)]
        if "plan" in self.status:
            happenings += [(self.approve_the_plan_that_status_shows, 3)]
        if self.open_jobs:
            happenings += [(self.a_job_answers, 25), (self.a_jobs_answer_is_lost, 3), (self.a_job_is_deleted, 2)]
        if self._seldom(30):
            happenings += [(self.the_namespace_ends, 5), (self.connection_is_deleted, 10)]
        acts, weights = zip(*happenings, strict=True)
        (act,) = self.chance.choices(acts, weights)
        said = act()
        self.history.append(f"{act.__name__} {said or ''}: {self.status.get('phase')}")

    def _seldom(self, one_in: int) -> bool:
        return self.chance.randrange(one_in) == 0

    def _digest(self) -> str:
        return DIGESTS[self.chance.choice("abc")]

    def _plan(self) -> Body:
        limits = [hit()] if self._seldom(3) else []
        return {"digest": self._digest(), "limits": limits, "complete": True, "first": self._seldom(2)}

    # A person.

    def set_approved(self) -> str:
        plan, was, approved = self.status.get("plan"), self.spec.get("approved", False), self._seldom(2)
        self.api.change("rostersyncs", "first", {"spec": {"approved": approved}})
        self._note_words()
        if approved and not was and plan and not plan["limits"] and not plan["recomputed"]:
            self.approvable.add(plan["digest"])
        return str(approved)

    def set_approved_plan(self) -> str:
        digest = self._digest() if self._seldom(2) else None
        self.api.change("rostersyncs", "first", {"spec": {"approvedPlan": digest}})
        self._note_words()
        return str(digest)[:10]

    def approve_the_plan_that_status_shows(self) -> None:
        self.api.change("rostersyncs", "first", {"spec": {"approvedPlan": self.status["plan"]["digest"]}})
        self._note_words()

    def reject(self) -> None:
        self.api.change("rostersyncs", "first", {"spec": {"rejected": {"reason": "no"}}})

    def delete(self) -> None:
        self.api.remove("rostersyncs", "first")

    def connection_changes(self) -> None:
        if ("rosterconnections", "springfield") in self.api.objects:
            well = "False" if self._seldom(3) else "True"
            self.api.change("rosterconnections", "springfield", {"status": ready(status=well)})

    def connection_is_deleted(self) -> None:
        self.api.remove("rosterconnections", "springfield")

    def a_week_passes(self) -> None:
        self.api.change("rostersyncs", "first", {"status": {"times": {"staged": LONG_AGO}}})
        if self.shown:
            self.shown = (*self.shown[:-1], LONG_AGO)  # the same plan is shown, and what was said of it stands

    def another_sync_is_staged(self) -> str:
        """Or merged: older or newer than this one, with an equal plan or another."""
        phase = self.chance.choice(["AwaitingApproval", "Merging", "Merged", "Failed"])
        pulled = self.chance.choice([LONG_AGO, stamp(NOW, days=-400)])
        status = {"phase": phase, "plan": self._plan(), "times": {"pulled": pulled, "finished": stamp(NOW, days=-400)}}
        spec = {"connectionRef": {"name": "springfield"}}
        pinned = {"tenant": self.status["tenant"]}
        body = {"metadata": {"name": "other"}, "spec": spec, "status": status | pinned}
        self.context.view.sync_seen(self.api.put("rostersyncs", body))
        return f"{phase}, {pulled}"

    # Jobs, and the database behind them.

    def a_job_answers(self) -> str:
        job = self.open_jobs[-1]
        task = task_of(job)
        answer: Body = {"step": task.step.value}
        if self._seldom(8):
            failure = {"reason": "DatabaseUnreachable", "message": "x", "retryable": self._seldom(2)}
            answer |= {"outcome": "Failed", "failure": failure}
        elif task.step == "stage":
            again = self._seldom(12)
            answer |= {"outcome": "AlreadyMerged"} if again else {"outcome": "Staged", "plan": self._plan()}
        elif task.step == "merge":
            assert task.order
            if self.merged_digests:
                answer |= {"outcome": "Merged"}  # the ledger: it was
            elif self._seldom(2):
                answer |= {"outcome": "PlanChanged", "plan": self._plan()}
            else:
                self.merged_digests.append(task.order.digest)
                answer |= {"outcome": "Merged"}
        else:
            answer |= {"outcome": "Merged" if self.merged_digests else "Discarded"}
        self.end(job, answer)
        return f"{answer}"

    def a_jobs_answer_is_lost(self) -> None:
        job = self.open_jobs[-1]
        task = task_of(job)
        if task.step == "merge" and self._seldom(2) and task.order and not self.merged_digests:
            self.merged_digests.append(task.order.digest)
        self.end(job, None)

    def a_job_is_deleted(self) -> None:
        self.api.remove("jobs", self.open_jobs[-1]["metadata"]["name"])

    def the_namespace_ends(self) -> None:
        self.api.terminating = True
        self.api.remove("rostersyncs", "first")

    # The operator.

    def operator_looks(self) -> None:
        for _ in range(self.chance.randrange(1, 4)):
            self.look()

    def operator_is_killed(self) -> str:
        self.api.writes_until_kill, self.api.kill_before = self.chance.randrange(3), self._seldom(2)
        said = f"at write {self.api.writes_until_kill}, {'before' if self.api.kill_before else 'after'} it"
        for _ in range(4):
            if not self.look():
                break
        self.api.writes_until_kill = None
        return said

    def look(self) -> bool:
        """Let the operator look once; False where it was killed."""
        before = len(self.api.created)
        try:
            self.loop.run_until_complete(reconcile_sync(self.context, KEY))
        except Killed:
            self.reached["kill"] += 1
            return False
        except Again:
            pass
        except ApiError:
            if not self.api.terminating:  # else the Job was refused, and is tried again later
                raise
        finally:
            self._note_words()
            self._created(self.api.created[before:])
        return True

    def _created(self, jobs: list[Body]) -> None:
        for job in jobs:
            assert len(job["metadata"]["name"]) <= 63
            task = task_of(job)
            if task.step == "merge":
                assert task.order
                assert task.order.digest in self.approvable, (task.order, self.approvable, self.sync)
            self.reached[f"{task.step} Job"] += 1

    def _note_words(self) -> None:
        """Which plan do the words that stand in the spec approve, at this moment?"""
        plan = self.status.get("plan")
        if not plan:
            return
        shown = (plan["digest"], plan["generation"], plan["recomputed"], self.status["times"]["staged"])
        if shown != self.shown:
            self.shown, self.approvable = shown, set()
        if self.spec.get("approvedPlan") == plan["digest"]:
            self.approvable.add(plan["digest"])
        advance = plan["inAdvance"] and not plan["first"] and not plan["limits"] and not plan["recomputed"]
        if self.spec.get("approved") and advance:
            self.approvable.add(plan["digest"])

    def _what_always_holds(self) -> None:
        phase = self.status.get("phase")
        self.reached[str(phase)] += 1
        if self.ended and self.sync:
            assert phase == self.ended, "a final phase stays"
        if phase in FINAL:
            self.ended = phase
        if phase == "Merging":
            assert self.status["approval"]["digest"] == self.status["plan"]["digest"], "what merges was approved"
        if self.sync and self.open_jobs and phase in {"Pending", "Staging"}:
            assert STAGED_FINALIZER in self.sync["metadata"].get("finalizers", []), "rows without a finalizer"
        complete = [item for item in self.status.get("conditions", []) if item["type"] == "Complete"]
        if phase == "Merged" and complete[0]["reason"] == "Merged":
            assert self.merged_digests == [self.status["approval"]["digest"]], "it says merged, and it is"
        if phase == "Failed" and self.merged_digests:
            assert self.status["failure"]["reason"] in {"MergeUnknown", "MergedUnanswered"}, "it says that it may be"
        text = json.dumps(self.status)
        assert len(text) < 16_000
        assert text.isascii()

    def _comes_to_rest(self) -> None:
        """Left alone, with Jobs that answer, it waits for a person or has ended, and then nothing is left behind."""
        self.api.terminating = False
        for _ in range(60):
            before = repr(sorted(self.api.objects.items()))
            self.look()
            for job in self.open_jobs:
                step = task_of(job).step
                discard = "Merged" if self.merged_digests else "Discarded"
                outcome = {"stage": "AlreadyMerged", "merge": "Merged", "discard": discard}[step]
                if step == "merge" and not self.merged_digests:
                    order = task_of(job).order
                    assert order
                    self.merged_digests.append(order.digest)
                self.end(job, {"step": step, "outcome": outcome})
            if repr(sorted(self.api.objects.items())) == before:
                break
        else:
            raise AssertionError(f"does not come to rest: {self.sync}")
        if not self.sync:
            return
        phase = self.status["phase"]
        assert phase in FINAL | {"Pending", "AwaitingApproval", "Blocked"}
        assert "deletionTimestamp" not in self.sync["metadata"]
        if phase in FINAL:
            assert not self.sync["metadata"].get("finalizers")
        assert len(self.merged_digests) <= 1

    # Small helpers.

    @property
    def sync(self) -> Body | None:
        return self.api.objects.get(("rostersyncs", "first"))

    @property
    def spec(self) -> Body:
        return (self.sync or {}).get("spec") or {}

    @property
    def status(self) -> Body:
        return (self.sync or {}).get("status") or {}

    @property
    def open_jobs(self) -> list[Body]:
        jobs = [body for (plural, _), body in self.api.objects.items() if plural == "jobs"]
        return [job for job in jobs if not job.get("status", {}).get("conditions")]

    def end(self, job: Body, answer: Body | None) -> None:
        name = job["metadata"]["name"]
        kind = "Failed" if answer and answer["outcome"] == "Failed" else "Complete"
        condition = {"type": kind, "status": "True", "reason": "PodFailurePolicy", "lastTransitionTime": stamp()}
        self.api.change("jobs", name, {"status": {"conditions": [condition]}})
        if answer is None:
            return
        ended = {"terminated": {"exitCode": 0, "message": json.dumps(answer), "finishedAt": stamp()}}
        owner = {"kind": "Job", "uid": job["metadata"]["uid"]}
        labels = {"batch.kubernetes.io/job-name": name}
        meta = {"name": f"{name}-pod", "labels": labels, "ownerReferences": [owner]}
        self.api.put("pods", {"metadata": meta, "status": {"containerStatuses": [{"state": ended}]}})


def task_of(job: Body) -> WorkerTask:
    (variable,) = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return WorkerTask.from_dict(json.loads(variable["value"]))


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """What happened in all lives together."""
    return Counter()


@pytest.mark.parametrize("part", range(5))
def test_any_order_of_events(part: int, reached: Counter[str]) -> None:
    for seed in range(part * LIVES // 5, (part + 1) * LIVES // 5):
        Life(seed, reached).live(STEPS)


def test_those_lives_went_everywhere(reached: Counter[str]) -> None:
    """Against a test above that holds because nothing happens in it."""
    everywhere = {*(phase.value for phase in Phase), "stage Job", "merge Job", "discard Job", "kill"}
    assert everywhere <= reached.keys(), reached
    assert reached["merge Job"] > 80
