"""Whoever is killed, and whenever: everything happens once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deploy.demo import parts
from deploy.demo.shell import apply, kubectl
from tests.e2e.districts import USERS, District, Sync
from tests.e2e.ground import LABEL
from tests.e2e.watching import until

pytestmark = pytest.mark.cluster

FORCE = ("--force", "--grace-period=0", "--wait=false")


def test_an_operator_killed_between_job_and_status_creates_no_second_job(district: District) -> None:
    district.open().connect()
    district.until_ready("True", "Tested")
    # The moment is held open: the API server takes the Job, and refuses the status that would tell of it.
    _refuse_phase(district, "Staging")
    sync = district.sync("first")
    until("the Job is there", lambda: sync.jobs("stage"), lambda: district.tell(sync.body))
    assert not sync.body["status"].get("job"), "the status told of the Job already"
    killed = {pod["metadata"]["name"] for pod in district.ground.operator_pods()}
    kubectl("-n", parts.SYSTEM, "delete", "pod", *killed, *FORCE)

    def another() -> bool:
        pods = district.ground.operator_pods()
        return bool(pods) and not killed & {pod["metadata"]["name"] for pod in pods}

    until("another operator", another, lambda: district.tell(sync.body))
    kubectl("delete", "validatingadmissionpolicybinding", district.namespace)
    sync.until("AwaitingApproval", seconds=300)
    assert len(sync.jobs("stage")) == 1
    assert sync.body["status"]["job"]["attempt"] == 1
    sync.patch(approved=True)
    sync.until("Merged")
    assert len(sync.jobs("merge")) == 1
    _merged_once(district)


def test_a_worker_killed_in_mid_merge_runs_again_and_merges_once(district: District) -> None:
    district.open().connect()
    sync = district.sync("first")
    sync.until("AwaitingApproval")
    # The moment is held open: the merge waits in its transaction for the tenant's lock, which the test has.
    with district.ground.database.session() as conn, conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended('roster/' || %s, 0))", (district.tenant,))
        sync.patch(approved=True)
        until("the merge waits for the lock", lambda: _waits(district), lambda: district.tell(sync.body))
        first = _merge_pods(district)
        assert len(first) == 1
        kubectl("-n", district.namespace, "delete", "pod", *first, *FORCE)
        until("another pod", lambda: _merge_pods(district) - first, lambda: district.tell(sync.body))
        assert sync.run()["state"] == "Staged"
        assert district.count("users") == 0
    merged = sync.until("Merged", seconds=300)
    assert merged["status"]["dataVersion"] == 1
    assert len(sync.jobs("merge")) == 1, "the Job itself starts another pod"
    _merged_once(district)


def _merged_once(district: District) -> None:
    assert district.data_version() == 1
    assert district.count("users") == USERS
    creates = (
        "select count(*), count(distinct sourced_id) from roster.change_log where tenant = %s and entity = 'users'"
    )
    assert district.ground.database.rows(creates, district.tenant) == [(USERS, USERS)]
    runs = "select state from roster.sync_run where tenant = %s"
    assert district.ground.database.rows(runs, district.tenant) == [("Merged",)]


def _merge_pods(district: District) -> set[str]:
    return {pod["metadata"]["name"] for pod in district.pods("roster-operator.io/step=merge")}


def _waits(district: District) -> bool:
    waiting = "select count(*) from pg_stat_activity where usename = %s and wait_event_type = 'Lock'"
    return bool(district.ground.database.value(waiting, district.database_login("merge-url")[0]))


# For others the chart's own policy refuses first. The account is put into a group that may patch: it only ever updates.
OPERATOR_ACCOUNT = f"system:serviceaccount:{parts.SYSTEM}:roster-operator"


def _refuse_phase(district: District, phase: str) -> None:
    """Let the API server refuse every status with this phase in the district's namespace, and wait until it does."""
    name = district.namespace
    rule = {
        "apiGroups": ["roster-operator.io"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["rostersyncs/status"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
        },
        "validations": [
            {"expression": f"!has(object.status) || !has(object.status.phase) || object.status.phase != '{phase}'"}
        ],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    apply(json.dumps(_cluster_wide("ValidatingAdmissionPolicy", district, spec)))
    apply(json.dumps(_cluster_wide("ValidatingAdmissionPolicyBinding", district, binding)))
    probe = Sync(district, "probe")
    apply(json.dumps(district.sync_manifest("probe", "no-such-connection")))
    given = json.dumps({"status": {"phase": phase}})

    def refused() -> bool:
        try:
            kubectl(
                "-n", district.namespace, "patch", "rostersync", probe.name, "--subresource=status", "--type=merge",
                "--as", OPERATOR_ACCOUNT, "--as-group", "system:masters", "--dry-run=server", "-p", given,
            )  # fmt: skip
        except parts.DemoError as error:
            return "ValidatingAdmissionPolicy" in str(error)
        return False

    until("the API server refuses", refused, lambda: district.tell(probe.body))
    kubectl("-n", district.namespace, "delete", "rostersync", probe.name, "--timeout=60s")


def _cluster_wide(kind: str, district: District, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": district.namespace, "labels": {LABEL: district.slug}}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}
