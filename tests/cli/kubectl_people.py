"""People with a kubeconfig of their own, and districts to look at, on the tests' API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.support.apiserver import ApiServer

RBAC = "rbac.authorization.k8s.io"
GROUP = "roster-operator.io"
DIGEST = "sha256:" + "9f2c41ab" * 8
OTHER = "sha256:" + "0d" * 32
HIT = {"limit": "deactivate", "entity": "users", "count": 1760, "of": 12394, "maxPercent": 10, "maxCount": 20}
READ = [{"apiGroups": [GROUP], "resources": ["rosterconnections", "rostersyncs"], "verbs": ["get", "list"]}]
EDIT = [*READ, {"apiGroups": [GROUP], "resources": ["rosterconnections", "rostersyncs"], "verbs": ["create", "patch"]}]


@dataclass
class Person:
    """A service account that runs the program with its own kubeconfig."""

    kubeconfig: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "KUBECONFIG")}
        done = subprocess.run(
            [sys.executable, "-m", "roster_operator.cli", *arguments],
            env={**environment, "KUBECONFIG": str(self.kubeconfig), **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return json.loads(self(*arguments, "-o", "json", code=code).stdout)


def person(
    server: ApiServer,
    namespace: str,
    folder: Path,
    rules: list[dict[str, Any]],
    name: str = "ada",
    *,
    everywhere: bool = False,
) -> Person:
    """A service account with these rights in the namespace, or in the whole cluster; none with no rules."""
    server.kubectl("-n", namespace, "create", "serviceaccount", name)
    if rules:
        where = {"name": f"{name}-{namespace}"} | ({} if everywhere else {"namespace": namespace})
        kind = "ClusterRole" if everywhere else "Role"
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        ref = {"apiGroup": RBAC, "kind": kind, "name": where["name"]}
        server.apply(
            {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": where, "rules": rules},
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": f"{kind}Binding",
                "metadata": where,
                "roleRef": ref,
                "subjects": [subject],
            },
        )
    token = server.kubectl("-n", namespace, "create", "token", name).stdout.strip()
    return Person(kubeconfig_of(server, namespace, folder / f"{name}.kubeconfig", {"token": token}))


def kubeconfig_of(server: ApiServer, namespace: str, path: Path, user: dict[str, Any]) -> Path:
    """A kubeconfig for this user, whose context names the namespace."""
    known = yaml.safe_load(server.kubeconfig.read_text())
    known["users"] = [{"name": "person", "user": user}]
    known["contexts"] = [{"name": "test", "context": {"cluster": "test", "user": "person", "namespace": namespace}}]
    path.write_text(yaml.safe_dump(known))
    return path


def connection(server: ApiServer, namespace: str, name: str = "springfield", ready: str = "True") -> None:
    """A RosterConnection that was tested."""
    server.apply(
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "RosterConnection",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "api": {
                    "endpoint": "https://sis.example",
                    "auth": {"tokenURL": "https://sis.example/token", "secretRef": {"name": "sis"}},
                }
            },
        }
    )
    good = ready == "True"
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "Tested" if good else "TokenRejected",
        "message": "The source answers as it should."
        if good
        else "The client id or secret is wrong. Correct the Secret.",
        "lastTransitionTime": "2026-11-24T03:00:00Z",
        "observedGeneration": 1,
    }
    status(
        server, namespace, "rosterconnection", name,
        {"version": "1.2", "lastTestTime": "2026-11-24T03:00:00Z", "conditions": [condition]},
    )  # fmt: skip


SCHEDULE = {"schedule": "0 3 * * *", "timeZone": "America/Chicago", "approval": "Manual"}


def schedule(server: ApiServer, namespace: str, name: str = "springfield", **more: Any) -> None:
    """Let a connection sync by itself."""
    server.kubectl(
        "-n", namespace, "patch", f"rosterconnections.{GROUP}", name, "--type=merge",
        "-p", json.dumps({"spec": {"automaticSync": {**SCHEDULE, **more}}}),
    )  # fmt: skip


def sync(server: ApiServer, namespace: str, name: str = "springfield-1", phase: str = "Blocked", **more: Any) -> None:
    """A RosterSync of springfield with a plan."""
    server.apply(
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "RosterSync",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"connectionRef": {"name": "springfield"}},
        }
    )
    status(server, namespace, "rostersync", name, sync_status(phase, **more))


def sync_status(phase: str = "Blocked", digest: str = DIGEST, **more: Any) -> dict[str, Any]:
    """The status of a sync with a plan: beyond its limits where it is Blocked."""
    users = {
        "received": 12400,
        "create": 120,
        "update": 310,
        "deactivate": 1760,
        "reactivate": 0,
        "unchanged": 10210,
        "invalid": 3,
    }
    plan = {
        "digest": digest,
        "shortDigest": digest[:15],
        "generation": 1,
        "entities": {"users": users},
        "totals": users,
        "complete": True,
        "removals": {"explained": 58, "unexplained": 1702},
        "limits": [HIT] if phase == "Blocked" else [],
    }
    issues = [{"code": "DanglingReference", "severity": "error", "entity": "enrollments", "count": 3}]
    return {"phase": phase, "observedGeneration": 1, "plan": plan, "issues": issues} | more


def status(server: ApiServer, namespace: str, kind: str, name: str, value: dict[str, Any]) -> None:
    """Write a status, as the operator does."""
    server.kubectl(
        "-n", namespace, "patch", f"{kind}s.{GROUP}", name, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": value}),
    )  # fmt: skip
