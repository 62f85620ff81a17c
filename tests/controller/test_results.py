"""What a Job and its pods say."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.controller.values import NOW, stamp

from roster_operator.api.task import Outcome, Step
from roster_operator.controller.results import JobKind, Patience, job_state, parse_summary

PATIENCE = Patience(start=timedelta(minutes=10), whole=timedelta(hours=1))
STAGED = {"step": "stage", "outcome": "Staged", "plan": {"digest": "sha256:" + "a" * 64}}
FAILED = {"step": "stage", "outcome": "Failed", "failure": {"reason": "SourceUnreachable", "message": "x"}}
Body = dict[str, Any]


def job(finished: str = "", reason: str = "", minutes: float = 1, **status: Any) -> Body:
    conditions = [{"type": finished, "status": "True", "reason": reason, "lastTransitionTime": stamp()}]
    return {
        "metadata": {"name": "j", "uid": "u", "creationTimestamp": stamp(minutes=minutes)},
        "status": {"conditions": conditions if finished else []} | status,
    }


def pod(message: Any = None, *, name: str = "p", minutes: float = 1, state: Body | None = None, **status: Any) -> Body:
    text = message if isinstance(message, str) or message is None else json.dumps(message)
    ended = {"terminated": {"exitCode": 0, "message": text, "finishedAt": stamp()}}
    return {
        "metadata": {"name": name, "creationTimestamp": stamp(minutes=minutes)},
        "status": {"containerStatuses": [{"state": state or ended}]} | status,
    }


WAITING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
UNSCHEDULED = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]}

TABLE: list[tuple[str, Body, list[Body], str | None, JobKind, str]] = [
    ("young, without a pod", job(), [], None, JobKind.RUNNING, ""),
    ("running", job(ready=1), [pod(state={"running": {}})], None, JobKind.RUNNING, ""),
    ("complete, with its answer", job("Complete"), [pod(STAGED)], None, JobKind.DONE, ""),
    ("complete, its pod gone", job("Complete"), [], None, JobKind.LOST, "WorkerLost"),
    ("complete, killed before it wrote", job("Complete"), [pod(None)], None, JobKind.LOST, "WorkerLost"),
    ("an answer cut in half", job("Complete"), [pod(json.dumps(STAGED)[:40])], None, JobKind.LOST, "WorkerLost"),
    ("failed for good, with its reason", job("Failed", "PodFailurePolicy", failed=1), [pod(FAILED)], None, JobKind.DONE, ""),
    ("failed four times, the last with its reason", job("Failed", "BackoffLimitExceeded", failed=2), [pod(FAILED, name="p1", minutes=2), pod(FAILED)], None, JobKind.DONE, ""),
    ("failed, the last pod without a word", job("Failed", "BackoffLimitExceeded", failed=2), [pod(FAILED, name="p1", minutes=2), pod(None)], None, JobKind.LOST, "WorkerLost"),
    ("failed, a later pod is missing", job("Failed", "BackoffLimitExceeded", failed=2), [pod(FAILED)], None, JobKind.LOST, "WorkerLost"),
    ("too slow", job("Failed", "DeadlineExceeded"), [pod(None)], None, JobKind.LOST, "DeadlineExceeded"),
    ("too slow, since no pod started", job("Failed", "DeadlineExceeded"), [pod(state=WAITING)], None, JobKind.NEVER_STARTED, "PodNotStarted"),
    ("no such image", job(), [pod(state=WAITING)], None, JobKind.STUCK, "PodNotStarted"),
    ("no such image for long", job(minutes=11), [pod(state=WAITING)], None, JobKind.NEVER_STARTED, "PodNotStarted"),
    ("no node for it", job(), [pod(**UNSCHEDULED, containerStatuses=[])], None, JobKind.STUCK, "PodNotStarted"),
    ("quota or pod security", job(), [], "exceeded quota", JobKind.STUCK, "PodNotStarted"),
    ("quota for long", job(minutes=11), [], "exceeded quota", JobKind.NEVER_STARTED, "PodNotStarted"),
    ("past the operator's own deadline: its node is lost", job(minutes=61, ready=1), [pod(state={"running": {}})], None, JobKind.LOST, "WorkerLost"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "pods", "refusal", "kind", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_a_job_has_come_to(given: Body, pods: list[Body], refusal: str | None, kind: JobKind, reason: str) -> None:
    found = job_state(given, pods, refusal, Step.STAGE, NOW, PATIENCE)
    assert (found.kind, found.reason) == (kind, reason)


def test_why_a_pod_does_not_start_is_told() -> None:
    found = job_state(job(), [pod(state=WAITING)], None, Step.STAGE, NOW, PATIENCE)
    assert found.message == "ImagePullBackOff: no such image"


def test_of_several_pods_only_the_last_has_answered() -> None:
    given = job("Failed", "BackoffLimitExceeded", failed=2)
    found = job_state(given, [pod(FAILED, name="p1", minutes=2), pod(FAILED)], None, Step.STAGE, NOW, PATIENCE)
    assert found.failed_pods == 2


def test_a_job_past_its_deadline_ended_when_it_should_have() -> None:
    found = job_state(job(minutes=90, ready=1), [pod(state={"running": {}})], None, Step.STAGE, NOW, PATIENCE)
    assert found.ended == NOW - timedelta(minutes=30), "else a pause after its end would never be over"


def test_a_job_being_deleted_has_no_answer_to_wait_for() -> None:
    given = job()
    given["metadata"]["deletionTimestamp"] = stamp()
    assert job_state(given, [], None, Step.STAGE, NOW, PATIENCE).kind is JobKind.LOST


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not JSON",
        "[]",
        "[" * 100_000,
        json.dumps(STAGED | {"step": "merge"}),
        json.dumps(STAGED | {"outcome": "Merged"}),
        json.dumps({"step": "stage", "outcome": "Staged"}),
        json.dumps({"step": "stage", "outcome": "Failed"}),
        json.dumps(STAGED | {"plan": {"digest": "sha256:short"}}),
    ],
)
def test_a_message_that_is_no_answer_of_this_step_is_none(message: str) -> None:
    assert parse_summary(message, Step.STAGE) is None


def test_a_field_of_a_newer_worker_is_passed_over() -> None:
    summary = parse_summary(json.dumps(STAGED | {"mood": "good"}), Step.STAGE)
    assert summary is not None
    assert summary.outcome is Outcome.STAGED


def test_a_job_that_a_queue_holds_back_waits_as_long_as_it_must_and_begins_when_it_is_let_go() -> None:
    held = job(minutes=900)
    held["spec"] = {"suspend": True}
    found = job_state(held, [], None, Step.STAGE, NOW, PATIENCE)
    assert (found.kind, found.reason) == (JobKind.STUCK, "JobQueued")
    let_go = job(minutes=900, startTime=stamp(minutes=1))
    assert job_state(let_go, [], None, Step.STAGE, NOW, PATIENCE).kind is JobKind.RUNNING
