"""A connection whose rows go with it: held, purged, told, let go; and in every trouble let go all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer
from tests.support.jobs import Cluster, staged, until

pytestmark = pytest.mark.apiserver
Body = dict[str, Any]
FINALIZER = "roster-operator.io/purge"
RECEIPT = "0b5b6e0e-8f0c-4f0e-9d52-0a3a3f1f0c11"
PURGED = {
    "step": "purge",
    "outcome": "Purged",
    "purge": {"receipt": RECEIPT, "rows": {"users": 1200, "enrollments": 7800}},
}
NOT_NOW = {
    "step": "purge",
    "outcome": "Failed",
    "failure": {"reason": "DatabaseUnreachable", "message": "No connection to PostgreSQL.", "retryable": True},
}


@pytest.fixture(scope="module")
def quick(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that tries a purge twice, for 20 seconds."""
    settings = {"ROSTER_DISCARD_ATTEMPTS": "2", "ROSTER_PURGE_WINDOW": "20", "ROSTER_RELIST_INTERVAL": "2"}
    folder = tmp_path_factory.mktemp("purges")
    one = Operator(apiserver, "", folder, ROSTER_MAX_JOBS="1000", **settings).start().wait_ready()
    yield one
    assert one.stop() == 0, one.said()
    assert "Traceback" not in one.log.read_text(), one.said()


def connected(cluster: Cluster, **spec: Any) -> Cluster:
    cluster.connect(deletionPolicy="Purge", **spec)
    cluster.make_ready()
    until(lambda: finalizers(cluster) == [FINALIZER], 10, "the finalizer")
    return cluster


@pytest.fixture
def district(cluster: Cluster, quick: Operator) -> Cluster:
    """A connection with deletionPolicy Purge."""
    del quick
    return connected(cluster)


def finalizers(cluster: Cluster) -> list[str] | None:
    body = cluster.get("rosterconnections", "springfield")
    return body["metadata"].get("finalizers", []) if body else None


def gone(cluster: Cluster, seconds: float = 10) -> None:
    until(lambda: finalizers(cluster) is None, seconds, lambda: str(cluster.get("rosterconnections", "springfield")))


def event(cluster: Cluster, reason: str) -> Body:
    return next(one for one in cluster.items("events") if one["reason"] == reason)


def test_its_rows_go_and_then_it_goes_and_the_event_says_what_went(district: Cluster) -> None:
    district.delete("rosterconnections", "springfield")
    job = district.open_job("purge")
    pod = job["spec"]["template"]["spec"]
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert [item["key"] for item in secrets.pop("database")["items"]] == ["merge-url"]
    assert secrets == {}
    task = json.loads(pod["containers"][0]["env"][0]["value"])
    assert task["tenant"] == f"{district.namespace}.springfield"
    assert "spec" not in task
    assert finalizers(district) == [FINALIZER]
    district.end(job, PURGED)
    gone(district)
    told = event(district, "Purged")
    assert "users 1,200" in told["message"]
    assert RECEIPT in told["message"]
    assert told["type"] == "Normal"


def test_one_that_retains_has_no_finalizer_and_goes_at_once(cluster: Cluster, quick: Operator) -> None:
    del quick
    cluster.connect()
    cluster.make_ready()
    assert finalizers(cluster) == []
    cluster.delete("rosterconnections", "springfield")
    gone(cluster, 2)
    assert cluster.jobs("purge") == []


def test_the_policy_is_taken_back_before_and_after_the_deletion(district: Cluster) -> None:
    district.patch("rosterconnections", "springfield", {"spec": {"deletionPolicy": "Retain"}})
    until(lambda: finalizers(district) == [], 10, "no finalizer")
    district.patch("rosterconnections", "springfield", {"spec": {"deletionPolicy": "Purge"}})
    until(lambda: finalizers(district) == [FINALIZER], 10, "the finalizer")
    district.delete("rosterconnections", "springfield")
    district.open_job("purge")
    district.patch("rosterconnections", "springfield", {"spec": {"deletionPolicy": "Retain"}})
    gone(district)


def test_a_database_that_is_gone_holds_it_for_bounded_tries(district: Cluster) -> None:
    district.delete("rosterconnections", "springfield")
    for _ in range(2):
        district.end(district.open_job("purge"), NOT_NOW, failed="BackoffLimitExceeded")
    gone(district)
    told = event(district, "PurgeGaveUp")
    assert told["type"] == "Warning"
    assert "DatabaseUnreachable" in told["message"]
    assert "roster tenant drop" in told["message"]
    assert len(district.jobs("purge")) == 2


def test_a_job_that_never_ends_or_is_never_permitted_holds_it_for_bounded_time(
    district: Cluster, apiserver: ApiServer
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": district.namespace}}
    apiserver.apply(quota | {"spec": {"hard": {"count/jobs.batch": "0"}}})
    # No controller computes what is used: without that, nothing is refused.
    patch = json.dumps({"status": {"hard": {"count/jobs.batch": "0"}, "used": {"count/jobs.batch": "0"}}})
    arguments = ["-n", district.namespace, "--subresource=status", "--type=merge", "-p", patch]
    apiserver.kubectl("patch", "resourcequota", "none", *arguments)
    district.delete("rosterconnections", "springfield")
    gone(district, 90)
    assert "PurgeGaveUp" in district.event_reasons()


def test_a_lost_answer_is_asked_for_again(district: Cluster) -> None:
    district.delete("rosterconnections", "springfield")
    district.delete("jobs", district.open_job("purge")["metadata"]["name"])
    until(lambda: len(district.jobs("purge")) == 1 and district.jobs("purge")[0]["metadata"]["labels"][
        "roster-operator.io/attempt"] == "2", 10, "another Job")  # fmt: skip
    district.end(district.open_job("purge"), PURGED)
    gone(district)


def test_nothing_is_written_beside_the_purge(district: Cluster) -> None:
    """What is being pulled is called off, and a merge under way ends first."""
    district.sync("merges")
    district.end(district.open_job("stage"), staged("a", first=False))
    district.wait_phase("AwaitingApproval", "merges")
    district.change("merges", approvedPlan=district.status("merges")["plan"]["digest"])
    merge = district.open_job("merge")
    district.sync("pulls")
    district.open_job("stage")
    district.delete("rosterconnections", "springfield")
    until(lambda: all(job.get("status", {}).get("conditions") for job in district.jobs("stage")), 10, "no open stage")
    district.wait_phase("Failed", "pulls")
    assert district.jobs("purge") == []
    district.end(merge, {"step": "merge", "outcome": "Merged", "dataVersion": 1})
    district.end(district.open_job("purge"), PURGED)
    gone(district)


def test_a_namespace_that_ends_takes_it_along(district: Cluster, apiserver: ApiServer) -> None:
    apiserver.kubectl("delete", "namespace", district.namespace, "--wait=false")
    district.delete("rosterconnections", "springfield")  # the namespace controller's part
    gone(district)
