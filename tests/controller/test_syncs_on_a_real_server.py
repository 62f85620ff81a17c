"""The life of syncs with the real operator process on a real API server; tests say how the Jobs end."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer
from tests.support.jobs import (
    DIGESTS,
    Cluster,
    discarded,
    failed,
    merged,
    plan_changed,
    staged,
    until,
)

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("shared")]
A, B = DIGESTS["a"], DIGESTS["b"]


@pytest.fixture
def district(cluster: Cluster) -> Cluster:
    """A namespace with a connection that was tested well."""
    cluster.connect()
    cluster.make_ready()
    return cluster


def connection(cluster: Cluster) -> dict[str, Any]:
    return cluster.get("rosterconnections", "springfield")["status"]


def let_go(cluster: Cluster, name: str = "first") -> bool:
    """The object is gone, or stands without a finalizer."""
    return not (cluster.get("rostersyncs", name).get("metadata") or {}).get("finalizers")


def test_the_happy_way(district: Cluster, shared: Operator) -> None:
    district.sync()
    job = district.open_job("stage")
    assert district.get("rostersyncs", "first")["metadata"]["finalizers"] == ["roster-operator.io/staged"]
    assert not district.get("rostersyncs", "first")["metadata"].get("annotations")
    district.end(job, staged())
    status = district.wait_phase("AwaitingApproval")
    assert status["plan"]["digest"] == A
    assert status["plan"]["totals"]["create"] == 1200
    true = {item["type"] for item in status["conditions"] if item["status"] == "True"}
    assert true == {"Staged", "Valid", "WithinLimits"}
    assert district.jobs("merge") == []
    until(lambda: "pendingPlan" in connection(district), 5, "the pending plan")

    by = {"annotations": {"roster-operator.io/approved-by": "jane"}}
    district.patch("rostersyncs", "first", {"metadata": by, "spec": {"approved": True}})
    district.end(district.open_job("merge"), merged())
    status = district.wait_phase("Merged")
    approval = status["approval"]
    assert (approval["digest"], approval["via"], approval["by"]) == (A, "approved", "jane")
    assert status["approval"]["verified"] is False
    assert status["dataVersion"] == 1
    assert status["observedGeneration"] == 2
    until(lambda: let_go(district), 5, "no finalizer")
    assert {"Staged", "AwaitingApproval", "Approved", "Merged", "TestSucceeded"} <= district.event_reasons()

    until(lambda: "pendingPlan" not in connection(district), 5, "no pending plan")
    assert connection(district)["lastSync"] == "first"
    assert "lastMergedTime" in connection(district)
    text = shared.fetch("/metrics")[1]
    name = f'{{name="springfield",namespace="{district.namespace}"}}'
    assert f"roster_connection_ready{name} 1.0" in text
    assert f"roster_connection_last_merge_timestamp_seconds{name}" in text
    for line in (
        'roster_syncs{phase="Merged",reason="Merged"}',
        'roster_connections{ready="True"}',
        "roster_operator_leader 1.0",
        'controller_runtime_reconcile_total{controller="rostersync",result="success"}',
        'workqueue_depth{name="RosterSync"}',
        'workqueue_queue_duration_seconds_count{name="RosterSync"}',
        'rest_client_requests_total{code="200",method="GET"}',
    ):
        assert line in text


def test_a_sync_waits_for_its_connection_and_then_for_its_test(cluster: Cluster) -> None:
    cluster.sync()
    cluster.wait_condition("Staged", "ConnectionNotFound")
    cluster.connect()
    job = cluster.open_job("test")
    cluster.wait_condition("Staged", "ConnectionNotReady")
    assert cluster.jobs("stage") == []
    cluster.end(job, {"step": "test", "outcome": "Tested", "test": {"ready": True, "reachable": True}})
    cluster.open_job("stage")


def test_a_plan_beyond_limits_is_blocked_and_only_its_digest_lets_it_through(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged(beyond=True, first=False, deactivate=240))
    district.wait_phase("Blocked")
    message = district.condition("WithinLimits")["message"]
    for part in ("users", "240", "1,200", "20.0 %", "10 %", f"approvedPlan: {A}"):
        assert part in message
    assert district.condition("Stalled")["status"] == "True"
    district.change(approved=True)
    until(lambda: district.status()["observedGeneration"] == 2, 5, "the edit is seen")
    assert district.phase() == "Blocked"
    assert district.jobs("merge") == []
    district.change(approvedPlan=A)
    district.end(district.open_job("merge"), merged())
    assert district.wait_phase("Merged")["approval"]["via"] == "approvedPlan"
    assert district.condition("Stalled") == {}


def test_approved_before_there_was_a_plan_waits_for_eyes_on_a_first_sync(district: Cluster) -> None:
    district.sync(approved=True)
    district.end(district.open_job("stage"), staged(first=True))
    district.wait_phase("Blocked")
    said = district.condition("Approved")
    assert said["reason"] == "FirstSyncNeedsReview"
    assert f"approvedPlan: {A}" in said["message"]
    assert district.jobs("merge") == []
    district.change(approved=False)
    district.wait_phase("AwaitingApproval")
    district.change(approved=True)
    district.end(district.open_job("merge"), merged())
    assert district.wait_phase("Merged")["approval"]["via"] == "approved"


def test_approved_in_advance_merges_once_something_was_merged_before(district: Cluster) -> None:
    district.sync(approved=True)
    district.end(district.open_job("stage"), staged(first=False))
    district.end(district.open_job("merge"), merged())
    assert district.wait_phase("Merged")["approval"]["via"] == "inAdvance"


def test_a_manifest_that_was_merged_and_is_created_again_pulls_nothing(district: Cluster) -> None:
    district.sync(approved=True)
    job = district.open_job("stage")
    assert '"unlessMerged":true' in job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    district.end(job, {"step": "stage", "outcome": "AlreadyMerged"})
    district.wait_phase("Merged")
    assert district.condition("Complete")["reason"] == "AlreadyMerged"
    until(lambda: let_go(district), 5, "no finalizer")
    assert district.jobs("merge") == []
    assert district.jobs("discard") == []


def test_the_wrong_digest_merges_nothing_and_says_both(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.change(approved=True, approvedPlan=B)
    message = district.wait_condition("Approved", "DigestMismatch")["message"]
    assert A in message
    assert B in message
    time.sleep(0.5)
    assert district.phase() == "AwaitingApproval"
    assert district.jobs("merge") == []
    until(lambda: "DigestMismatch" in district.event_reasons(), 5, "the event")
    district.change(approvedPlan=A)
    district.open_job("merge")


def test_a_plan_that_another_merge_changed_is_approved_by_its_digest_alone(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged("a"))
    district.wait_phase("AwaitingApproval")
    district.change(approved=True)
    district.end(district.open_job("merge"), plan_changed("b", first=False))
    status = district.wait_phase("AwaitingApproval")
    assert status["plan"]["digest"] == B
    assert "approval" not in status
    assert district.condition("Approved")["reason"] == "PlanChanged"
    district.change(approved=False)
    district.change(approved=True)
    until(lambda: district.status()["observedGeneration"] == 4, 5, "the edits are seen")
    assert district.phase() == "AwaitingApproval"
    assert len(district.jobs("merge")) == 1
    district.change(approvedPlan=B)
    district.end(district.open_job("merge"), merged())
    assert district.wait_phase("Merged")["approval"]["digest"] == B


def test_a_rejected_plan_is_discarded_with_its_reason(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.change(rejected={"reason": "wrong year"})
    job = district.open_job("discard")
    assert '"discardReason":"wrong year"' in job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    assert district.phase() == "Rejected"
    assert not let_go(district)
    district.end(job, discarded())
    until(lambda: let_go(district), 5, "no finalizer")
    assert district.condition("Rejected")["message"] == "wrong year"


def test_rejected_while_staging_stops_the_job_first(district: Cluster) -> None:
    district.sync()
    district.open_job("stage")
    district.change(rejected={"reason": "not today"})
    district.wait_phase("Rejected")
    job = district.open_job("discard")
    assert district.jobs("stage") == []
    district.end(job, discarded())
    until(lambda: let_go(district), 5, "no finalizer")


def test_a_no_comes_too_late_once_it_merges(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.change(approved=True)
    job = district.open_job("merge")
    district.change(rejected={"reason": "wait!"}, approved=False)
    district.wait_condition("Rejected", "TooLate")
    district.end(job, merged())
    district.wait_phase("Merged")


def test_deleted_while_it_waits(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.delete("rostersyncs", "first")
    job = district.open_job("discard")
    assert job["metadata"]["ownerReferences"][0]["kind"] == "RosterSync"
    district.end(job, discarded())
    until(lambda: not district.get("rostersyncs", "first"), 5, "it is gone")


def test_deleted_while_it_stages_and_its_connection_with_it(district: Cluster) -> None:
    district.sync()
    district.open_job("stage")
    district.delete("rosterconnections", "springfield")
    district.delete("rostersyncs", "first")
    job = district.open_job("discard")
    assert district.jobs("stage") == []
    district.end(job, discarded())
    until(lambda: not district.get("rostersyncs", "first"), 5, "it is gone")


def test_deleted_while_it_merges_waits_for_the_merge(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.change(approved=True)
    job = district.open_job("merge")
    district.delete("rostersyncs", "first")
    time.sleep(0.5)
    assert district.get("rostersyncs", "first")
    assert district.jobs("discard") == []
    district.end(job, merged())
    until(lambda: not district.get("rostersyncs", "first"), 5, "it is gone")
    assert district.jobs("discard") == []


def test_deleted_before_anything_was_staged_goes_at_once(cluster: Cluster) -> None:
    cluster.sync()
    cluster.wait_condition("Staged", "ConnectionNotFound")
    cluster.delete("rostersyncs", "first")
    until(lambda: not cluster.get("rostersyncs", "first"), 5, "it is gone")


def test_a_discard_that_never_succeeds_lets_go_after_three_attempts(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.delete("rostersyncs", "first")
    for _ in range(3):
        job = district.open_job("discard")
        district.end(job, failed("discard", "DatabaseUnreachable"), failed="BackoffLimitExceeded")
    until(lambda: not district.get("rostersyncs", "first"), 10, "it is gone")
    assert "DiscardGaveUp" in district.event_reasons()


def test_a_namespace_that_ends_does_not_hold_the_sync(district: Cluster, apiserver: ApiServer) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    apiserver.kubectl("delete", "namespace", district.namespace, "--wait=false")
    district.delete("rostersyncs", "first")
    until(lambda: not district.get("rostersyncs", "first"), 10, "it is gone")


def test_a_failed_stage_says_why(district: Cluster) -> None:
    district.sync()
    answer = failed("stage", "TokenRejected", "The token endpoint refused the client. Check the Secret sis.")
    district.end(district.open_job("stage"), answer, failed="PodFailurePolicy")
    status = district.wait_phase("Failed")
    assert status["failure"]["reason"] == "TokenRejected"
    assert district.condition("Failed")["message"].endswith("Check the Secret sis.")
    assert district.condition("Stalled")["status"] == "True"
    district.end(district.open_job("discard"), discarded())
    until(lambda: let_go(district), 5, "no finalizer")


def test_a_worker_that_left_no_answer_is_asked_again_and_at_last_fails(district: Cluster, shared: Operator) -> None:
    district.sync()
    for attempt in range(1, 4):
        job = district.open_job("stage")
        assert job["metadata"]["labels"]["roster-operator.io/attempt"] == str(attempt)
        district.end(job, None)
    status = district.wait_phase("Failed")
    assert status["failure"]["reason"] == "WorkerLost"
    assert status["job"]["attempt"] >= 3
    until(lambda: 'roster_syncs_failed_total{reason="WorkerLost"}' in shared.fetch("/metrics")[1], 5, "the count")


def test_a_job_that_somebody_deletes_is_run_again(district: Cluster) -> None:
    district.sync()
    first = district.open_job("stage")["metadata"]["name"]
    district.delete("jobs", first)
    job = district.open_job("stage")
    assert job["metadata"]["labels"]["roster-operator.io/attempt"] == "2"
    district.end(job, staged())
    district.wait_phase("AwaitingApproval")


def test_a_lost_merge_is_asked_again_and_merged_once(district: Cluster) -> None:
    district.sync()
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.change(approved=True)
    lost = district.open_job("merge")
    district.end(lost, None)
    job = district.open_job("merge")
    assert int(job["metadata"]["labels"]["roster-operator.io/attempt"]) > int(
        lost["metadata"]["labels"]["roster-operator.io/attempt"]
    )
    assert A in job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    district.end(job, merged())
    district.wait_phase("Merged")


def test_every_job_passes_restricted_pod_security(district: Cluster, apiserver: ApiServer) -> None:
    apiserver.kubectl("label", "namespace", district.namespace, "pod-security.kubernetes.io/enforce=restricted")
    district.sync()
    # `end` creates the pod from the Job's template: the API server would refuse one that is not restricted.
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.change(approved=True)
    district.end(district.open_job("merge"), merged())
    district.wait_phase("Merged")


def test_a_quota_that_permits_no_job_is_told(district: Cluster, apiserver: ApiServer) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": district.namespace},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    apiserver.apply(quota)
    # No quota controller runs here that would write this.
    apiserver.kubectl(
        "patch", "resourcequota", "none", "-n", district.namespace, "--subresource=status", "--type=merge",
        "-p", '{"status": {"hard": {"count/jobs.batch": "0"}, "used": {"count/jobs.batch": "0"}}}',
    )  # fmt: skip
    time.sleep(1)
    district.sync()
    assert "exceeded quota" in district.wait_condition("Staged", "JobRefused")["message"]
    assert district.phase() == "Pending"
