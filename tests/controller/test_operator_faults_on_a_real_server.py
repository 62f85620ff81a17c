"""The operator killed, doubled, without its definitions: real processes on a real API server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer
from tests.support.jobs import Cluster, merged, staged, until

pytestmark = pytest.mark.apiserver


def test_killed_the_moment_a_job_exists_it_goes_on_with_that_job(cluster: Cluster, operator: Operator) -> None:
    cluster.connect()
    cluster.make_ready()
    cluster.sync()
    job = cluster.open_job("stage")
    operator.kill()
    cluster.end(job, staged())  # while nobody watches
    operator.start()
    cluster.wait_phase("AwaitingApproval", seconds=30)
    assert len(cluster.jobs("stage")) == 1
    cluster.change(approved=True)
    job = cluster.open_job("merge")
    operator.kill()
    operator.start().wait_ready()
    cluster.end(job, merged())
    cluster.wait_phase("Merged", seconds=30)
    assert len(cluster.jobs("merge")) == 1


def test_deleted_while_the_operator_was_away(cluster: Cluster, operator: Operator) -> None:
    cluster.connect()
    cluster.make_ready()
    cluster.sync()
    cluster.end(cluster.open_job("stage"), staged())
    cluster.wait_phase("AwaitingApproval")
    operator.kill()
    cluster.delete("rostersyncs", "first")
    operator.start()
    cluster.open_job("discard", seconds=30)


def test_a_second_one_stands_by_ready_and_takes_over(
    apiserver: ApiServer, namespace: str, cluster: Cluster, operator: Operator, tmp_path: Path
) -> None:
    second = Operator(apiserver, namespace, tmp_path, ROSTER_POD_NAME="second").start()
    try:
        until(lambda: second.fetch("/readyz")[0] == 200, 20, second.said)
        assert "roster_operator_leader 0.0" in second.fetch("/metrics")[1]
        assert second.fetch("/healthz")[0] == 200
        operator.kill()
        until(lambda: "roster_operator_leader 1.0" in second.fetch("/metrics")[1], 20, second.said)
        cluster.connect()
        cluster.open_job("test")
        assert second.stop() == 0
    finally:
        second.kill()


def test_one_that_loses_its_lease_ends(apiserver: ApiServer, namespace: str, operator: Operator) -> None:
    apiserver.kubectl(
        "patch", "lease", namespace, "-n", "default", "--type=merge",
        "-p", '{"spec": {"holderIdentity": "somebody else", "leaseDurationSeconds": 3600}}',
    )  # fmt: skip
    assert operator.wait(20) == 3


def test_without_the_definitions_it_says_so_and_ends(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    from roster_operator.api.model import GROUP

    programs = apiserver.programs
    bare = ApiServer(tmp_path / "bare", apiserver.port + 1, programs)
    bare.folder.mkdir()
    try:
        bare.start()
        bare.operator_kubeconfig.write_text(bare.kubeconfig.read_text())
        one = Operator(bare, namespace, tmp_path).start()
        assert one.wait(30) == 2
        said = one.said()
        assert GROUP in said
        assert "apply crds/" in said
    finally:
        bare.stop()


def test_an_api_server_that_was_away_for_a_while_is_no_reason_to_end(cluster: Cluster, operator: Operator) -> None:
    cluster.connect()
    cluster.make_ready()
    time.sleep(0.2)
    assert operator.fetch("/healthz")[0] == 200
    assert operator.stop() == 0
