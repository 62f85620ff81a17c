"""From a Job and its pods to what the step has come to. Pure.

A Job's pod leaves its summary as termination message. It can be missing (the pod was deleted, its node died, it was
killed before it could write), and then the step is lost: it is run again, and answers with what the database recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from roster_operator.api.task import Outcome, Step, WorkerSummary

from .objects import Body, parse_time

# Waiting reasons of a container that mean more than "not yet".
_STUCK_REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)

_OUTCOMES = {
    Step.TEST: {Outcome.TESTED, Outcome.FAILED},
    Step.STAGE: {Outcome.STAGED, Outcome.ALREADY_MERGED, Outcome.FAILED},
    Step.MERGE: {Outcome.MERGED, Outcome.ALREADY_MERGED, Outcome.PLAN_CHANGED, Outcome.FAILED},
    Step.DISCARD: {Outcome.DISCARDED, Outcome.MERGED, Outcome.ALREADY_MERGED, Outcome.FAILED},
    Step.PURGE: {Outcome.PURGED, Outcome.FAILED},
    Step.NOTIFY: {Outcome.NOTIFIED, Outcome.FAILED},
}


class JobKind(StrEnum):
    """What a Job has come to."""

    RUNNING = "Running"
    STUCK = "Stuck"  # no pod of it has started, and there is a reason to tell
    NEVER_STARTED = "NeverStarted"  # and the time for starting is over
    LOST = "Lost"  # ended, or is past the operator's own deadline, without an answer
    DONE = "Done"  # with an answer


@dataclass(frozen=True)
class JobState:
    """What a Job has come to. `reason` and `message` are for people; `ended` is when it ended, where that is known."""

    kind: JobKind
    summary: WorkerSummary | None = None
    reason: str = ""
    message: str = ""
    ended: datetime | None = None
    failed_pods: int = 0  # of the whole Job: all but the last of them left no answer that counts


@dataclass(frozen=True)
class Patience:
    """How long a Job may take: to start its first pod, and altogether."""

    start: timedelta
    whole: timedelta


GONE = JobState(JobKind.LOST, reason="WorkerLost", message="its Job was deleted before it ended")


def job_state(
    job: Body, pods: list[Body], refusal: str | None, step: Step, now: datetime, patience: Patience
) -> JobState:
    """What this Job has come to.

    `pods` are the Job's pods; they may be left out (empty) while the Job is ready or young. `refusal` is the message
    of the Job controller's FailedCreate event, if it could create no pod.
    """
    status = job.get("status") or {}
    # A Job that a queue held back begins when it is let go.
    created = parse_time(status.get("startTime") or job["metadata"]["creationTimestamp"])
    summary = newest_summary(pods, step)
    verdict = _finished(job)
    if verdict is not None:
        ended, reason = verdict
        if summary is not None and not _later_pod_is_gone(job, pods, summary, reason):
            failed = job.get("status", {}).get("failed", 0)
            return JobState(JobKind.DONE, summary=summary, ended=ended, failed_pods=failed)
        started = any(_started(pod) for pod in pods)
        if reason == "DeadlineExceeded":
            stuck = _why_stuck(pods, refusal)
            if stuck and not started:
                return JobState(JobKind.NEVER_STARTED, reason="PodNotStarted", message=stuck, ended=ended)
            return JobState(JobKind.LOST, reason="DeadlineExceeded", message="it took longer than it may", ended=ended)
        return JobState(
            JobKind.LOST, reason="WorkerLost", message="its Job ended, and its pod left no readable answer", ended=ended
        )
    if job["metadata"].get("deletionTimestamp"):
        return GONE
    if job.get("spec", {}).get("suspend"):
        text = "the Job is suspended: a queue, such as Kueue, has not let it go yet"
        return JobState(JobKind.STUCK, reason="JobQueued", message=text)
    age = now - created
    if age > patience.whole:
        return JobState(
            JobKind.LOST,
            reason="WorkerLost",
            message="its Job is past its deadline and has not ended",
            ended=created + patience.whole,
        )
    stuck = _why_stuck(pods, refusal)
    if stuck and not any(_started(pod) for pod in pods):
        kind = JobKind.NEVER_STARTED if age > patience.start else JobKind.STUCK
        return JobState(kind, reason="PodNotStarted", message=stuck)
    return JobState(JobKind.RUNNING)


def newest_summary(pods: list[Body], step: Step) -> WorkerSummary | None:
    """What the youngest pod left. An older pod's answer is never taken for it: a merge may have come between."""
    if not pods:
        return None
    youngest = max(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
    for container in youngest.get("status", {}).get("containerStatuses") or ():
        ended = container.get("state", {}).get("terminated")
        if ended and (summary := parse_summary(ended.get("message"), step)):
            return summary
    return None


def parse_summary(message: str | None, step: Step) -> WorkerSummary | None:
    """A termination message as a summary of this step; None where it is none, or says what this step cannot say."""
    if not message:
        return None
    try:
        summary = WorkerSummary.from_dict(json.loads(message))
    except (ValueError, ValidationError, RecursionError):
        return None
    if summary.step is not step or summary.outcome not in _OUTCOMES[step]:
        return None
    complete = {
        Outcome.TESTED: summary.test is not None,
        Outcome.STAGED: summary.plan is not None,
        Outcome.PURGED: summary.purge is not None,
        Outcome.PLAN_CHANGED: summary.plan is not None,
        Outcome.FAILED: summary.failure is not None,
    }.get(summary.outcome, True)
    return summary if complete else None


def _finished(job: Body) -> tuple[datetime, str] | None:
    for condition in job.get("status", {}).get("conditions") or ():
        if condition.get("type") in {"Complete", "Failed"} and condition.get("status") == "True":
            return parse_time(condition["lastTransitionTime"]), condition.get("reason") or ""
    return None


def _later_pod_is_gone(job: Body, pods: list[Body], summary: WorkerSummary, reason: str) -> bool:
    """A failure that may be retried is the last word only if no later pod, perhaps with another word, is missing."""
    if summary.outcome is not Outcome.FAILED or reason == "PodFailurePolicy":
        return False
    return job.get("status", {}).get("failed", 0) > len(pods)


def is_finished(job: Body) -> bool:
    """The Job controller says it has ended."""
    return _finished(job) is not None


def _started(pod: Body) -> bool:
    statuses: list[Any] = pod.get("status", {}).get("containerStatuses") or []
    return any(
        status.get("state", {}).get("running") or status.get("state", {}).get("terminated") for status in statuses
    )


def _why_stuck(pods: list[Body], refusal: str | None) -> str:
    """Why no pod starts, in words; empty where nothing speaks against waiting."""
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses") or ():
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in _STUCK_REASONS:
                return f"{waiting['reason']}: {waiting.get('message') or 'no message'}"
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return f"{condition.get('reason') or 'Unschedulable'}: {condition.get('message') or 'no message'}"
    if not pods and refusal:
        return refusal
    return ""
