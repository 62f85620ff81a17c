"""`doctor` and `report` on a real API server, for people who may see much and little."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli import kubectl_people as people
from tests.cli.kubectl_people import DIGEST, GROUP, READ
from tests.support.apiserver import ApiServer

pytestmark = pytest.mark.apiserver

MUCH = [
    *READ,
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
    {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get"]},
]


def operator(server: ApiServer, namespace: str, renewed: datetime) -> None:
    """An operator as the chart installs it, without a kubelet to run it."""
    name = f"op-{namespace}"
    labels = {"app.kubernetes.io/name": "roster-operator", "app.kubernetes.io/component": "operator", "of": namespace}
    container = {"name": "operator", "image": "x", "env": [{"name": "ROSTER_LEASE_NAME", "value": name}]}
    server.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"of": namespace}},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "holderIdentity": "operator-pod",
                "leaseDurationSeconds": 30,
                "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        },
    )
    ready = json.dumps({"status": {"replicas": 1, "availableReplicas": 1, "readyReplicas": 1, "updatedReplicas": 1}})
    server.kubectl("-n", namespace, "patch", "deployment", name, "--subresource=status", "--type=merge", "-p", ready)


def by_check(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in document["findings"]}


def test_doctor_names_each_problem_and_what_to_do(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, MUCH, everywhere=True)
    operator(apiserver, namespace, datetime.now(UTC))
    people.connection(apiserver, namespace, ready="False")
    people.sync(apiserver, namespace)
    found = by_check(ada.json("doctor", code=1))
    assert found["definition rostersyncs"]["state"] == "ok"
    assert found[f"operator {namespace}/op-{namespace}"]["message"] == "1 of 1 replicas are available."
    assert found[f"leader op-{namespace}"]["message"] == "operator-pod is at work."
    assert found["connection springfield"]["state"] == "problem"
    assert "TokenRejected" in found["connection springfield"]["message"]
    assert found["database Secret of springfield"]["message"] == "There is no Secret roster-database."
    assert found["sync springfield-1"]["step"] == "`roster review springfield-1`"

    apiserver.kubectl(
        "-n", namespace, "create", "secret", "generic", "roster-database", "--from-literal=stage-url=canary"
    )
    people.connection(apiserver, namespace)
    operator(apiserver, namespace, datetime.now(UTC) - timedelta(minutes=10, seconds=30))
    text = ada("doctor", code=1).stdout
    assert "ok       database Secret of springfield: The Secret roster-database is there." in text
    assert "operator-pod holds the Lease, and renewed it 10 minutes ago." in text
    assert "canary" not in text


def test_doctor_says_what_one_may_not_see(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    stranger = people.person(apiserver, namespace, tmp_path, [], "stranger")
    document = stranger.json("doctor")
    found = by_check(document)
    assert found["definition rostersyncs"]["state"] == "ok"  # by discovery
    assert found["operator"]["state"] == "unknown"
    assert found["districts"]["message"].startswith("You may not list rosterconnections")
    missing = [each["message"] for each in document["findings"] if each["check"] == "your rights"]
    assert "You may not patch rostersyncs." in missing


def test_a_report_holds_no_secret_and_no_name(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, MUCH)
    people.connection(apiserver, namespace)
    apiserver.kubectl(
        "-n", namespace, "create", "secret", "generic", "roster-database", "--from-literal=stage-url=canary-secret"
    )
    approval = {
        "digest": DIGEST,
        "at": "2026-11-24T04:00:00Z",
        "via": "approvedPlan",
        "by": "canary.person@example.org",
    }
    said = {
        "type": "Approved",
        "status": "True",
        "reason": "ApprovedPlan",
        "message": f"Plan {DIGEST} was approved by canary.person@example.org (unverified), via approvedPlan.",
        "lastTransitionTime": "2026-11-24T04:00:00Z",
    }
    people.sync(apiserver, namespace, phase="Merging", approval=approval, conditions=[said])
    note = f"{GROUP}/approved-by=canary.person@example.org"
    apiserver.kubectl("-n", namespace, "annotate", "rostersync", "springfield-1", note)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "one", "namespace": namespace},
        "involvedObject": {"kind": "RosterSync", "namespace": namespace, "name": "springfield-1"},
        "type": "Normal",
        "reason": "Approved",
        "message": "Plan by canary.person@example.org (unverified)",
    }
    apiserver.apply(event)
    path = tmp_path / "bundle.zip"
    document = ada.json("report", "--file", str(path))
    assert any("deployments" in reason or "pods" in reason for reason in document["missing"])
    with zipfile.ZipFile(path) as bundle:
        parts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    whole = "\n".join(parts.values())
    assert "canary" not in whole
    assert "system:serviceaccount" not in whole
    kept = json.loads(parts["syncs.json"])[0]
    assert kept["status"]["plan"]["digest"] == DIGEST
    assert kept["status"]["approval"]["via"] == "approvedPlan"
    assert json.loads(parts["connections.json"])[0]["spec"]["api"]["endpoint"] == "https://sis.example/…"
    assert json.loads(parts["events.json"])[0]["reason"] == "Approved"
    assert "FileNotWritten" in ada("report", "--file", str(path), code=1).stderr
