"""The table of a connection's end: every combination of facts ends in the step that is right, and none hangs."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from tests.controller.values import NOW, SETTINGS, connection_body, stamp

from roster_operator.api.task import WorkerSummary
from roster_operator.controller.objects import Connection
from roster_operator.controller.purge_life import PurgeSnapshot, Step, decide
from roster_operator.controller.results import GONE, JobKind, JobState

FINALIZER = "roster-operator.io/purge"
DONE = {"step": "purge", "outcome": "Purged", "purge": {"receipt": "r", "rows": {}}}
FAILED = {"step": "purge", "outcome": "Failed", "failure": {"reason": "TenantTaken", "message": "Another's."}}


def job(kind: JobKind, said: dict[str, Any] | None = None, ago: float = 3600) -> JobState:
    ended = NOW - timedelta(seconds=ago) if kind in {JobKind.DONE, JobKind.LOST} else None
    return JobState(kind, WorkerSummary.from_dict(said) if said else None, ended=ended)


def snapshot(
    policy: str = "Purge", *, held: bool = True, deleted: float | None = 60, attempt: int = 1, **more: Any
) -> PurgeSnapshot:
    """deleted: how many seconds ago; None where it lives."""
    status = {"purge": {"job": "x", "attempt": attempt}} if more.get("job") else {}
    body = connection_body(status=status, deletionPolicy=policy)
    body["metadata"] |= {"finalizers": [FINALIZER] if held else []}
    if deleted is not None:
        body["metadata"]["deletionTimestamp"] = stamp(seconds=deleted)
    return PurgeSnapshot(NOW, Connection.of(body), **{"job": None} | more)


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (snapshot(deleted=None, held=False), Step.HOLD),
        (snapshot(deleted=None), Step.NOTHING),
        (snapshot("Retain", deleted=None), Step.RELEASE),
        (snapshot("Retain", deleted=None, held=False), Step.NOTHING),
        (snapshot("Retain"), Step.RELEASE),
        (snapshot(held=False), Step.NOTHING),
        (snapshot(), Step.START),
        (snapshot(busy=frozenset({"stage", "merge"})), Step.STOP),
        (snapshot(busy=frozenset({"merge"})), Step.WAIT),
        (snapshot(slot=False), Step.WAIT),
        (snapshot(job=job(JobKind.RUNNING)), Step.WAIT),
        (snapshot(job=job(JobKind.STUCK)), Step.WAIT),
        (snapshot(job=job(JobKind.LOST, ago=1)), Step.WAIT),
        (snapshot(job=job(JobKind.LOST)), Step.RETRY),
        (snapshot(job=job(JobKind.DONE, FAILED)), Step.RETRY),
        (snapshot(job=GONE), Step.RETRY),
        (snapshot(job=job(JobKind.DONE, FAILED), attempt=SETTINGS.discard_attempts), Step.GIVE_UP),
        (snapshot(job=job(JobKind.RUNNING), deleted=SETTINGS.purge_window + 1), Step.GIVE_UP),
        (snapshot(slot=False, deleted=SETTINGS.purge_window + 1), Step.GIVE_UP),
        (snapshot(job=job(JobKind.DONE, DONE)), Step.REPORT),
        (snapshot(job=job(JobKind.DONE, DONE), deleted=SETTINGS.purge_window + 1), Step.REPORT),
        (snapshot("Retain", job=job(JobKind.DONE, DONE)), Step.REPORT),
    ],
)
def test_what_is_done(given: PurgeSnapshot, step: Step) -> None:
    assert decide(given, SETTINGS) is step


def test_whatever_is_true_a_deletion_ends_when_its_time_is_over() -> None:
    jobs = [None, GONE, *(job(kind) for kind in JobKind), job(JobKind.DONE, DONE), job(JobKind.DONE, FAILED, ago=1)]
    busy = [frozenset[str](), frozenset({"stage"}), frozenset({"merge"})]
    for policy, one, others, slot, attempt in product(("Purge", "Retain"), jobs, busy, (True, False), (1, 3)):
        late = snapshot(policy, deleted=SETTINGS.purge_window + 1, job=one, busy=others, slot=slot, attempt=attempt)
        assert decide(late, SETTINGS) in {Step.GIVE_UP, Step.REPORT, Step.RELEASE}
