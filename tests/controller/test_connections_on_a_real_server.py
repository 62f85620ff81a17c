"""The tests of connections, with the real operator process on a real API server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.jobs import Cluster, good_test, until

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("shared")]
REFUSED = {
    "ready": False,
    "reachable": True,
    "authenticated": False,
    "tenantClaimed": None,
    "failure": {"reason": "TokenRejected", "message": "The token endpoint refused the client. Check the Secret sis."},
}


def condition(cluster: Cluster, kind: str = "Ready") -> dict[str, Any]:
    return cluster.condition(kind, "springfield", "rosterconnections")


def status(cluster: Cluster) -> dict[str, Any]:
    return cluster.get("rosterconnections", "springfield").get("status") or {}


def test_a_new_connection_is_tested(cluster: Cluster) -> None:
    cluster.connect()
    job = cluster.open_job("test")
    until(lambda: condition(cluster).get("status") == "Unknown", 30, "Unknown while it is tested")
    cluster.end(job, good_test())
    until(lambda: condition(cluster).get("status") == "True", 30, "ready")
    found = status(cluster)
    assert found["version"] == "1.2"
    assert found["counts"] == {"users": 1200}
    assert found["observedGeneration"] == 1
    assert "nextTestTime" in found
    assert condition(cluster, "TenantClaimed")["status"] == "True"


def test_a_failed_test_says_what_to_do_and_a_corrected_secret_heals_it(cluster: Cluster) -> None:
    cluster.connect()
    cluster.end(cluster.open_job("test"), good_test(**REFUSED))
    until(lambda: condition(cluster).get("reason") == "TokenRejected", 30, "not ready")
    assert condition(cluster)["message"].endswith("Check the Secret sis.")
    assert condition(cluster, "Reachable")["status"] == "True"
    assert condition(cluster, "Authenticated")["status"] == "False"
    assert condition(cluster, "TenantClaimed")["status"] == "Unknown"
    until(lambda: "TestFailed" in cluster.event_reasons(), 30, "the event")
    # Nobody asks: it is tried again by itself.
    cluster.end(cluster.open_job("test"), good_test())
    until(lambda: condition(cluster).get("status") == "True", 30, "ready")


def test_a_test_that_is_asked_for_runs_at_once_and_is_answered(cluster: Cluster) -> None:
    cluster.connect()
    cluster.make_ready()
    patch = {"metadata": {"annotations": {"roster-operator.io/test-requested-at": "now"}}}
    cluster.patch("rosterconnections", "springfield", patch)
    job = cluster.open_job("test")
    assert "lastHandledTestRequest" not in status(cluster)
    assert condition(cluster)["status"] == "True"
    cluster.end(job, good_test())
    until(lambda: status(cluster).get("lastHandledTestRequest") == "now", 30, "the echo")


def test_a_changed_spec_calls_the_old_test_off(cluster: Cluster) -> None:
    cluster.connect()
    old = cluster.open_job("test")["metadata"]["name"]
    cluster.patch("rosterconnections", "springfield", {"spec": {"api": {"pageSize": 500}}})
    until(lambda: not cluster.get("jobs", old), 30, "the old Job is gone")
    job = cluster.open_job("test")
    assert job["metadata"]["name"] != old
    assert job["metadata"]["annotations"]["roster-operator.io/generation"] == "2"
    cluster.end(job, good_test())
    until(lambda: condition(cluster).get("observedGeneration") == 2, 30, "ready for the new spec")


def test_a_sync_does_not_start_on_a_spec_that_was_not_tested(cluster: Cluster) -> None:
    cluster.connect()
    cluster.make_ready()
    cluster.patch("rosterconnections", "springfield", {"spec": {"api": {"endpoint": "https://other.example.org"}}})
    cluster.sync()
    cluster.wait_condition("Staged", "ConnectionNotReady")
    assert cluster.jobs("stage") == []


def test_a_test_without_an_answer_is_a_failed_one(cluster: Cluster) -> None:
    cluster.connect()
    cluster.end(cluster.open_job("test"), None)
    until(lambda: condition(cluster).get("reason") == "WorkerLost", 30, "not ready")


def test_a_connection_can_be_deleted_at_any_time(cluster: Cluster) -> None:
    cluster.connect()
    cluster.open_job("test")
    cluster.delete("rosterconnections", "springfield")
    until(lambda: not cluster.get("rosterconnections", "springfield"), 30, "it is gone")
