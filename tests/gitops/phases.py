"""Objects in each of their phases, with the status that the operator's own code gives them."""

from __future__ import annotations

from typing import Any

from tests.controller import values
from tests.controller.values import NOW, SETTINGS, A

from roster_operator.api.sync import JobRef, Phase
from roster_operator.api.task import WorkerSummary
from roster_operator.controller.connection_life import Step as TestStep
from roster_operator.controller.connection_life import TestSnapshot
from roster_operator.controller.connection_status import Observed
from roster_operator.controller.connection_status import next_status as next_connection_status
from roster_operator.controller.lifecycle import Fact, State, decide
from roster_operator.controller.observe import Snapshot
from roster_operator.controller.results import JobKind, JobState
from roster_operator.controller.siblings import Rival
from roster_operator.controller.sync_status import Effects, next_status

Body = dict[str, Any]
F, S = Fact, State
_HELD = {F.HELD, F.PINNED}
# In this state and with these facts, decide() leads to the phase.
_WAYS: dict[Phase, tuple[State, Phase, set[Fact]]] = {
    Phase.PENDING: (S.PENDING, Phase.PENDING, {F.CONNECTION_MISSING}),
    Phase.STAGING: (S.PENDING, Phase.PENDING, _HELD),
    Phase.AWAITING_APPROVAL: (S.STAGING, Phase.STAGING, {F.STAGED, *_HELD}),
    Phase.BLOCKED: (S.STAGING, Phase.STAGING, {F.STAGED, F.BEYOND_LIMITS, *_HELD}),
    Phase.MERGING: (S.AWAITING_APPROVAL, Phase.AWAITING_APPROVAL, {F.APPROVED, *_HELD}),
    Phase.MERGED: (S.MERGING, Phase.MERGING, {F.MERGED, *_HELD}),
    Phase.REJECTED: (S.AWAITING_APPROVAL, Phase.AWAITING_APPROVAL, {F.REJECTED, *_HELD}),
    Phase.FAILED: (S.STAGING, Phase.STAGING, {F.LOST, F.OUT_OF_ATTEMPTS, *_HELD}),
    Phase.EXPIRED: (S.AWAITING_APPROVAL, Phase.AWAITING_APPROVAL, {F.EXPIRED, *_HELD}),
    Phase.SUPERSEDED: (S.AWAITING_APPROVAL, Phase.AWAITING_APPROVAL, {F.SUPERSEDED, *_HELD}),
}
_PLANNED = {Phase.MERGING, Phase.MERGED, Phase.REJECTED, Phase.EXPIRED, Phase.SUPERSEDED}
_SPECS: dict[Phase, Body] = {
    Phase.MERGING: {"approvedPlan": A},
    Phase.MERGED: {"approvedPlan": A},
    Phase.REJECTED: {"rejected": {"reason": "wrong year"}},
}


def sync_in(phase: Phase) -> Body:
    """A RosterSync in this phase, as the API server would show it."""
    state, before, facts = _WAYS[phase]
    decision = decide(state, before, frozenset(facts))
    assert decision.phase is phase
    status: Body = {"phase": before.value}
    if phase in _PLANNED:
        plan = values.published().to_dict()
        status |= {"plan": plan, "times": {"staged": values.stamp(hours=1)}}
    if phase is Phase.MERGED:
        status["approval"] = {"digest": A, "at": values.stamp(), "via": "approvedPlan"}
    sync = values.sync(status=status, held=True, meta={"generation": 2}, **_SPECS.get(phase, {}))
    rival = Rival("second", equal=False) if phase is Phase.SUPERSEDED else None
    snapshot = Snapshot(NOW, sync, values.connection(), state, None, _job(phase), rival=rival)
    after = next_status(snapshot, decision, Effects(job=JobRef(step="stage", name="j", attempt=1)))
    assert after.phase is phase
    spec = {"connectionRef": {"name": "springfield"}} | _SPECS.get(phase, {})
    return _object("RosterSync", spec, after.to_dict())


def _job(phase: Phase) -> JobState | None:
    if phase in {Phase.AWAITING_APPROVAL, Phase.BLOCKED}:
        plan = values.published(limits=[values.hit()] if phase is Phase.BLOCKED else [], totals={}).to_dict()
        only = {"digest", "limits", "complete", "entities", "removals", "first"}
        staged = {"step": "stage", "outcome": "Staged", "plan": {key: plan[key] for key in only & plan.keys()}}
        return JobState(JobKind.DONE, WorkerSummary.from_dict(staged))
    if phase is Phase.MERGED:
        return JobState(JobKind.DONE, WorkerSummary.from_dict({"step": "merge", "outcome": "Merged", "dataVersion": 1}))
    if phase is Phase.FAILED:
        return JobState(JobKind.LOST, reason="WorkerLost", message="its pod is gone")
    return None


def connection_before_its_test() -> Body:
    """A RosterConnection whose first test is under way."""
    return _connection(TestStep.START, None, "job")


def connection_tested(*, good: bool) -> Body:
    """A RosterConnection whose test is over."""
    report: Body = {"ready": good, "reachable": True, "authenticated": good, "tenantClaimed": True}
    if not good:
        report["failure"] = {"reason": "TokenRejected", "message": "The client secret is refused. Renew it."}
    summary = {"step": "test", "outcome": "Tested", "test": report}
    return _connection(TestStep.CONCLUDE, JobState(JobKind.DONE, WorkerSummary.from_dict(summary)), None)


def _connection(step: TestStep, job: JobState | None, started: str | None) -> Body:
    connection = values.connection(status={})
    snapshot = TestSnapshot(NOW, connection, job, connection.meta.generation)
    after = next_connection_status(snapshot, step, Observed(job=started), [], SETTINGS)
    return _object("RosterConnection", values.connection_body()["spec"], after.to_dict())


def _object(kind: str, spec: Body, status: Body) -> Body:
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": kind,
        "metadata": values.metadata("springfield", generation=status["observedGeneration"]),
        "spec": spec,
        "status": status,
    }
