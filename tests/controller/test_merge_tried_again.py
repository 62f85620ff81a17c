"""A merge without a clear answer is tried again, with growing pauses, and never called undone unasked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.controller.values import NOW, SETTINGS, A, sync
from tests.support.apiserver import ApiServer
from tests.support.jobs import Cluster, failed, staged, until

from roster_operator.api.task import Step, WorkerSummary
from roster_operator.controller.lifecycle import Fact, State
from roster_operator.controller.observe import Order, Snapshot, facts_of, retry_delay
from roster_operator.controller.results import GONE, JobKind, JobState

Body = dict[str, Any]


def facts(job: JobState, losses: int = 0) -> set[Fact]:
    ref = {"step": "merge", "name": "j", "attempt": losses + 2, "losses": losses, "digest": A}
    given = sync(held=True, status={"phase": "Merging", "job": ref, "tenant": "t", "database": {"name": "d"}})
    order = Order(Step.MERGE, losses + 2, "j", recorded=True)
    return set(facts_of(Snapshot(NOW, given, None, State.MERGING, order, job), SETTINGS)) - {Fact.HELD, Fact.PINNED}


def answer(*, retryable: bool, pods: int = 1, ago: float = 3600) -> JobState:
    failure = failed("merge", "DatabaseUnreachable")
    failure["failure"]["retryable"] = retryable
    summary = WorkerSummary.from_dict(failure)
    return JobState(JobKind.DONE, summary=summary, ended=NOW - timedelta(seconds=ago), failed_pods=pods)


LOST = JobState(JobKind.LOST, reason="WorkerLost", ended=NOW - timedelta(seconds=40))


@pytest.mark.parametrize(
    ("job", "losses", "also"),
    [
        (answer(retryable=False), 0, set()),
        (answer(retryable=False, pods=2), 0, {Fact.UNSETTLED}),
        (answer(retryable=False), 1, {Fact.UNSETTLED}),
        (answer(retryable=True), 0, {Fact.RETRYABLE}),
        (answer(retryable=True, ago=5), 0, {Fact.RETRYABLE, Fact.COOLING}),
        (answer(retryable=True), 9, {Fact.RETRYABLE, Fact.UNSETTLED, Fact.OUT_OF_ATTEMPTS}),
        (LOST, 1, {Fact.UNSETTLED}),
        (LOST, 2, {Fact.UNSETTLED, Fact.COOLING}),
        (GONE, 8, {Fact.UNSETTLED}),
        (GONE, 9, {Fact.UNSETTLED, Fact.OUT_OF_ATTEMPTS}),
    ],
    ids=str,
)
def test_facts_of_a_merge_that_did_not_end_well(job: JobState, losses: int, also: set[Fact]) -> None:
    seen = facts(job, losses) - {Fact.FAILED, Fact.LOST, Fact.CONNECTION_MISSING}
    assert seen == also


def test_pauses_grow_and_never_beyond_a_minute() -> None:
    pauses = [retry_delay(losses, SETTINGS).total_seconds() for losses in (0, 1, 2, 3, 9, 10_000)]
    assert pauses == [15, 30, 60, 60, 60, 60]
    assert retry_delay(5, replace(SETTINGS, retry_delay_max=300)).total_seconds() == 300


@pytest.mark.apiserver
def test_a_merge_that_nobody_could_ask_about_and_that_was_done(
    apiserver: ApiServer, cluster: Cluster, tmp_path: Any
) -> None:
    one = Operator(apiserver, cluster.namespace, tmp_path, ROSTER_MERGE_ATTEMPTS="2").start().wait_ready()
    try:
        cluster.connect()
        cluster.make_ready()
        cluster.sync()
        cluster.end(cluster.open_job("stage"), staged())
        cluster.wait_phase("AwaitingApproval")
        cluster.change(approved=True)
        cluster.end(cluster.open_job("merge"), None)
        unreachable = failed("merge", "DatabaseUnreachable")
        unreachable["failure"]["retryable"] = True
        cluster.end(cluster.open_job("merge"), unreachable, failed="BackoffLimitExceeded")
        status = cluster.wait_phase("Failed")
        assert status["failure"]["reason"] == "MergeUnknown"
        assert "DatabaseUnreachable" in status["failure"]["message"]
        cluster.end(cluster.open_job("discard"), {"step": "discard", "outcome": "Merged"})
        until(lambda: cluster.status()["failure"]["reason"] == "MergedUnanswered", 10, one.said)
        assert cluster.phase() == "Failed"
        assert cluster.condition("Stalled")["reason"] == "MergedUnanswered"
        until(lambda: not cluster.get("rostersyncs", "first")["metadata"].get("finalizers"), 10, one.said)
        assert one.stop() == 0
        assert "Traceback" not in one.log.read_text()
    finally:
        one.kill()
