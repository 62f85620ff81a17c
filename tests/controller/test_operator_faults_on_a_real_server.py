"""The operator killed, doubled, without its definitions: real processes on a real API server."""

from __future__ import annotations

import signal
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


def test_an_api_server_that_stands_still_for_a_while_is_waited_for(
    apiserver: ApiServer, namespace: str, cluster: Cluster, tmp_path: Path
) -> None:
    lease = {"ROSTER_LEASE_DURATION": "30", "ROSTER_LEASE_RENEW_DEADLINE": "20", "ROSTER_LEASE_RETRY": "1"}
    one = Operator(apiserver, namespace, tmp_path, **lease).start().wait_ready()
    server = apiserver.processes[-1]
    try:
        cluster.connect()
        cluster.make_ready()
        server.send_signal(signal.SIGSTOP)
        time.sleep(5)
        assert one.fetch("/healthz")[0] == 200
        server.send_signal(signal.SIGCONT)
        cluster.sync()
        cluster.open_job("stage", seconds=30)
        assert one.stop() == 0
    finally:
        server.send_signal(signal.SIGCONT)
        one.kill()


REFUSAL = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}
    resourceRules:
      - {{apiGroups: [roster-operator.io], apiVersions: ["*"], operations: [UPDATE], resources: [rostersyncs/status]}}
  validations:
    - {{expression: "false", message: no status today, reason: Invalid}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [Deny]}}
"""


def test_a_status_that_is_refused_is_tried_again_and_nothing_runs_twice(
    apiserver: ApiServer, cluster: Cluster, operator: Operator
) -> None:
    cluster.connect()
    cluster.make_ready()
    cluster.sync()
    job = cluster.open_job("stage")
    cluster.wait_phase("Staging")
    manifest = REFUSAL.format(name=cluster.namespace)
    apiserver.kubectl("apply", "-f", "-", given=manifest)

    def refused() -> bool:
        arguments = ("patch", "rsync", "first", "-n", cluster.namespace, "--subresource=status", "--type=merge")
        return apiserver.kubectl(*arguments, "-p", '{"status": {"dataVersion": 9}}', check=False).returncode != 0

    until(refused, 20, "the policy holds")
    cluster.end(job, staged())
    until(lambda: 'reconcile_errors_total{controller="rostersync"}' in operator.fetch("/metrics")[1], 20, operator.said)
    assert cluster.phase() == "Staging"
    apiserver.kubectl("delete", "-f", "-", given=manifest)
    cluster.wait_phase("AwaitingApproval", seconds=40)
    assert len(cluster.jobs("stage")) == 1
    assert "422" in operator.said()
