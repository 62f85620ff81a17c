"""Some thousand lives of a sync, each with its own order of edits, answers, losses and kills.

Whatever comes, in whatever order: nothing is merged that nobody approved, a final phase stays, nothing is left behind,
and everything comes to rest.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.controller.fake_api import FakeApi, Killed
from tests.controller.values import SETTINGS, connection_body, hit, ready, stamp
from tests.support.jobs import DIGESTS

from roster_operator.api.sync import Phase
from roster_operator.api.task import WorkerTask
from roster_operator.controller.client import ApiError
from roster_operator.controller.context import Context
from roster_operator.controller.events import Recorder
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.objects import STAGED_FINALIZER
from roster_operator.controller.queue import Again, Key
from roster_operator.controller.slots import Slots
from roster_operator.controller.sync_reconciler import reconcile_sync
from roster_operator.controller.view import View

KEY = Key("RosterSync", "k12", "first")
FINAL = {"Merged", "Rejected", "Failed"}
LETTERS = st.sampled_from("abc")
SELDOM = st.sampled_from([False] * 9 + [True])  # or hardly a life would get as far as a merge
Body = dict[str, Any]
PLANS = st.builds(
    lambda letter, beyond, first: {
        "digest": DIGESTS[letter],
        "limits": [hit()] if beyond else [],
        "complete": True,
        "first": first,
    },
    LETTERS,
    st.sampled_from([False, False, True]),
    st.booleans(),
)


REACHED: Counter[str] = Counter()


class Life(RuleBasedStateMachine):
    """One sync, a person, a database and a Job controller."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.api = FakeApi()
        view = View()
        quick = replace(SETTINGS, discard_retry_delay=0.0)
        recorder = Recorder(self.api, "test")
        self.context = Context(self.api, quick, Metrics(view), recorder, Slots(view, 1000), view, "cluster")
        self.approvable: set[str] = set()  # digests that somebody's words approve
        self.ended: str | None = None
        self.merged_digests: list[str] = []

    @initialize(approved=st.booleans(), digest=st.none() | LETTERS, plan=PLANS, head_start=st.booleans())
    def begin(self, approved: bool, digest: str | None, plan: Body, head_start: bool) -> None:
        self.api.put("rosterconnections", connection_body(status=ready()))
        spec: Body = {"connectionRef": {"name": "springfield"}, "approved": approved}
        if digest:
            spec["approvedPlan"] = DIGESTS[digest]
        self.api.put("rostersyncs", {"metadata": {"name": "first"}, "spec": spec})
        if head_start:
            self.operator_looks(5)
            self.end(self.open_jobs[0], {"step": "stage", "outcome": "Staged", "plan": plan})
            self.look()

    def teardown(self) -> None:
        try:
            self._comes_to_rest()
        finally:
            self.loop.close()

    # A person.

    @precondition(lambda self: self.sync)
    @rule(approved=st.booleans())
    def set_approved(self, approved: bool) -> None:
        plan = self.status.get("plan")
        was = self.spec.get("approved", False)
        self.api.change("rostersyncs", "first", {"spec": {"approved": approved}})
        self.note_words()
        if approved and not was and plan and not plan["limits"] and not plan["recomputed"]:
            self.approvable.add(plan["digest"])

    @precondition(lambda self: self.sync)
    @rule(letter=st.none() | LETTERS)
    def set_approved_plan(self, letter: str | None) -> None:
        self.api.change("rostersyncs", "first", {"spec": {"approvedPlan": DIGESTS[letter] if letter else None}})
        self.note_words()

    @precondition(lambda self: "plan" in self.status)
    @rule(looks=st.booleans())
    def approve_the_plan_that_status_shows(self, looks: bool) -> None:
        self.api.change("rostersyncs", "first", {"spec": {"approvedPlan": self.status["plan"]["digest"]}})
        self.note_words()
        if looks:
            self.operator_looks(2)

    @precondition(lambda self: self.sync)
    @rule(now=SELDOM)
    def reject(self, now: bool) -> None:
        if not now:
            return
        self.api.change("rostersyncs", "first", {"spec": {"rejected": {"reason": "no"}}})

    @precondition(lambda self: self.sync)
    @rule(now=SELDOM)
    def delete(self, now: bool) -> None:
        if not now:
            return
        self.api.remove("rostersyncs", "first")

    @rule(well=st.sampled_from([True, True, True, False]))
    def connection_changes(self, well: bool) -> None:
        if ("rosterconnections", "springfield") in self.api.objects:
            self.api.change("rosterconnections", "springfield", {"status": ready(status="True" if well else "False")})

    @rule(now=SELDOM)
    def connection_is_deleted(self, now: bool) -> None:
        if not now:
            return
        self.api.remove("rosterconnections", "springfield")

    # Jobs, and the database behind them.

    @precondition(lambda self: self.open_jobs)
    @rule(
        plan=PLANS,
        word=st.sampled_from(["good", "good", "good", "again", "failed"]),
    )
    def a_job_answers(self, plan: Body, word: str) -> None:
        job = self.open_jobs[-1]
        task = task_of(job)
        answer: Body = {"step": task.step.value}
        failure = {"reason": "DatabaseUnreachable", "message": "x"}
        if word == "failed":
            answer |= {"outcome": "Failed", "failure": failure}
        elif task.step == "stage":
            answer |= {"outcome": "Staged", "plan": plan} if word == "good" else {"outcome": "AlreadyMerged"}
        elif task.step == "merge":
            assert task.order
            if self.merged_digests:
                answer |= {"outcome": "Merged"}  # the ledger: it was
            elif word == "again":
                answer |= {"outcome": "PlanChanged", "plan": plan}
            else:
                self.merged_digests.append(task.order.digest)
                answer |= {"outcome": "Merged"}
        else:
            answer |= {"outcome": "Discarded"}
        self.end(job, answer)

    @precondition(lambda self: self.open_jobs)
    @rule(merged=st.booleans())
    def a_jobs_answer_is_lost(self, merged: bool) -> None:
        job = self.open_jobs[-1]
        task = task_of(job)
        if task.step == "merge" and merged and task.order and not self.merged_digests:
            self.merged_digests.append(task.order.digest)
        self.end(job, None)

    @precondition(lambda self: self.open_jobs)
    @rule()
    def a_job_is_deleted(self) -> None:
        self.api.remove("jobs", self.open_jobs[-1]["metadata"]["name"])

    @rule(now=SELDOM)
    def the_namespace_ends(self, now: bool) -> None:
        if not now:
            return
        self.api.terminating = True
        self.api.remove("rostersyncs", "first")

    # The operator.

    @rule(times=st.integers(1, 6))
    def operator_looks(self, times: int) -> None:
        for _ in range(times):
            self.look()

    @rule(writes=st.integers(0, 3), before=st.booleans())
    def operator_is_killed(self, writes: int, before: bool) -> None:
        self.api.writes_until_kill, self.api.kill_before = writes, before
        for _ in range(4):
            if not self.look():
                break
        self.api.writes_until_kill = None

    def look(self) -> bool:
        """Let the operator look once; False where it was killed."""
        before = len(self.api.created)
        try:
            self.loop.run_until_complete(reconcile_sync(self.context, KEY))
        except Killed:
            REACHED["kill"] += 1
            return False
        except Again:
            pass
        except ApiError:
            if not self.api.terminating:  # else the Job was refused, and is tried again later
                raise
        finally:
            self.note_words()
            self._created(self.api.created[before:])
        return True

    def _created(self, jobs: list[Body]) -> None:
        for job in jobs:
            assert len(job["metadata"]["name"]) <= 63
            task = task_of(job)
            if task.step == "merge":
                assert task.order
                assert task.order.digest in self.approvable, (task.order, self.approvable, self.sync)
            REACHED[f"{task.step} Job"] += 1

    def note_words(self) -> None:
        """Which plan do the words that stand in the spec approve, at this moment?"""
        plan = self.status.get("plan")
        if not plan:
            return
        if self.spec.get("approvedPlan") == plan["digest"]:
            self.approvable.add(plan["digest"])
        advance = plan["inAdvance"] and not plan["first"] and not plan["limits"] and not plan["recomputed"]
        if self.spec.get("approved") and advance:
            self.approvable.add(plan["digest"])

    # What always holds.

    @invariant()
    def a_final_phase_stays(self) -> None:
        phase = self.status.get("phase")
        if self.ended and self.sync:
            assert phase == self.ended
        if phase in FINAL:
            self.ended = phase
        REACHED[str(phase)] += 1

    @invariant()
    def what_merges_is_what_was_approved(self) -> None:
        if self.status.get("phase") == "Merging":
            assert self.status["approval"]["digest"] == self.status["plan"]["digest"]

    @invariant()
    def a_job_that_may_stage_is_never_without_the_finalizer(self) -> None:
        if self.sync and self.open_jobs and self.status.get("phase") in {"Pending", "Staging"}:
            assert STAGED_FINALIZER in self.sync["metadata"].get("finalizers", [])

    @invariant()
    def a_status_that_says_merged_is_true(self) -> None:
        complete = [item for item in self.status.get("conditions", []) if item["type"] == "Complete"]
        if self.status.get("phase") == "Merged" and complete[0]["reason"] == "Merged":
            assert self.merged_digests == [self.status["approval"]["digest"]]

    @invariant()
    def status_is_small_and_plain(self) -> None:
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
                outcome = {"stage": "AlreadyMerged", "merge": "Merged", "discard": "Discarded"}[step]
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


Life.TestCase.settings = settings(
    max_examples=400,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyOrderOfEvents = Life.TestCase


def test_those_lives_went_everywhere() -> None:
    """Against a test above that holds because nothing happens in it."""
    everywhere = {*(phase.value for phase in Phase), "stage Job", "merge Job", "discard Job", "kill"}
    assert everywhere <= REACHED.keys(), REACHED
    assert REACHED["merge Job"] > 50
