"""The operator creates and deletes its own Jobs, and no other."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.controller.admission_world import (
    IMAGE,
    Place,
    job,
)
from tests.support.admission import Body

pytestmark = pytest.mark.apiserver


def changed(path: str, value: Any) -> Body:
    """The operator's Job, in which the field at `path` is `value`."""
    body = job()
    *parents, last = path.split(".")
    node: Any = body
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
    if isinstance(node, list):
        node.insert(int(last), value)
    else:
        node[last] = value
    return body


POD = "spec.template.spec"
WORKER = f"{POD}.containers.0"
BAD_JOBS = [
    ("another image", f"{WORKER}.image", "localhost/other:1", "configured image"),
    ("another command", f"{WORKER}.command", ["sh"], "configured image"),
    ("arguments", f"{WORKER}.args", ["-c", "x"], "configured image"),
    ("a second container", f"{POD}.containers.1", {"name": "x", "image": IMAGE}, "configured image"),
    ("an init container", f"{POD}.initContainers", [{"name": "x", "image": "other"}], "configured image"),
    ("a Secret as variables", f"{WORKER}.envFrom", [{"secretRef": {"name": "x"}}], "configured image"),
    ("a Secret as a variable", f"{WORKER}.env.0", {"name": "X", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}, "configured image"),
    ("a hook", f"{WORKER}.lifecycle", {"preStop": {"exec": {"command": ["sh"]}}}, "configured image"),
    ("a token", f"{POD}.automountServiceAccountToken", True, "no service account token"),
    ("another account", f"{POD}.serviceAccountName", "boss", "no service account token"),
    ("a token as a volume", f"{POD}.volumes.0", {"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "no service account token"),
    ("a host path", f"{POD}.volumes.0", {"name": "x", "hostPath": {"path": "/"}}, "no service account token"),
    ("the node's network", f"{POD}.hostNetwork", True, "run restricted"),
    ("the node's processes", f"{POD}.hostPID", True, "run restricted"),
    ("other addresses", f"{POD}.hostAliases", [{"ip": "10.0.0.1", "hostnames": ["sis.example.org"]}], "run restricted"),
    ("root", f"{POD}.securityContext.runAsUser", 0, "run restricted"),
    ("perhaps root", f"{POD}.securityContext.runAsNonRoot", False, "run restricted"),
    ("root in the container", f"{WORKER}.securityContext.runAsUser", 0, "run restricted"),
    ("more rights than its parent", f"{WORKER}.securityContext.allowPrivilegeEscalation", True, "run restricted"),
    ("a capability", f"{WORKER}.securityContext.capabilities.add", ["NET_ADMIN"], "run restricted"),
    ("a writable root", f"{WORKER}.securityContext.readOnlyRootFilesystem", False, "run restricted"),
    ("any system call", f"{POD}.securityContext.seccompProfile", {"type": "Unconfined"}, "run restricted"),
    ("no owner", "metadata.ownerReferences", [], "name their step and their owner"),
    ("another's label", "metadata.labels", {"app": "x"}, "managed-by=roster-operator"),
]  # fmt: skip


def test_the_operator_creates_and_deletes_its_own_jobs(place: Place) -> None:
    body = job()
    done = place.operator.create("jobs", body)
    assert done.code == 201, done.body
    assert place.operator.delete("jobs", body["metadata"]["name"]).code == 200


@pytest.mark.parametrize(("path", "value", "said"), [row[1:] for row in BAD_JOBS], ids=[row[0] for row in BAD_JOBS])
def test_the_operator_creates_no_other_job(stamped: Place, path: str, value: Any, said: str) -> None:
    body = changed(path, value)
    assert stamped.admin.create("jobs", body, dry=True).code == 201, "the API server itself takes it"
    assert said in stamped.operator.create("jobs", body).message


def test_the_operator_deletes_nobody_elses_job(place: Place) -> None:
    body = copy.deepcopy(job())
    body["metadata"]["labels"] = {"app": "x"}
    assert place.deployer.create("jobs", body).code == 201
    assert "managed-by=roster-operator" in place.operator.delete("jobs", body["metadata"]["name"]).message
