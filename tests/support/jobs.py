"""The Job controller's and the kubelet's part, played by a test: a Job's pod ends, and the Job with it.

No Job controller and no kubelet run beside the tests' API server, so that a test says how each Job ends.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import yaml
from tests.support.apiserver import ApiServer

Body = dict[str, Any]
GROUP = "/apis/roster-operator.io/v1alpha1"
# Seconds, for what is set up before a test begins: a busy machine takes ten times as long as a calm one. What a test is
# about has a bound of its own: where it shows that the operator was woken, it is shorter than the pause between looks.
PATIENCE = 90
DIGESTS = {letter: "sha256:" + letter * 64 for letter in "abcdef"}


class Cluster:
    """The administrator's view of one namespace, and the power to end Jobs."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        config = yaml.safe_load(server.kubeconfig.read_text())
        self.namespace = namespace
        self._http = httpx.Client(
            base_url=config["clusters"][0]["cluster"]["server"],
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            verify=ssl.create_default_context(cafile=config["clusters"][0]["cluster"]["certificate-authority"]),
            timeout=20,
        )

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, body: Body | None = None, kind: str = "application/json") -> Body:
        content = json.dumps(body) if body is not None else None
        answer = self._http.request(method, path, content=content, headers={"Content-Type": kind})
        if answer.status_code == 404 and method in {"GET", "DELETE"}:
            return {}
        if answer.is_error:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def watch(self, path: str) -> Iterator[Body]:
        """The events of a watch, until the server ends it."""
        with self._http.stream("GET", path, timeout=None) as answer:
            for line in answer.iter_lines():
                yield json.loads(line)

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        roots = {
            "jobs": "/apis/batch/v1",
            "pods": "/api/v1",
            "events": "/api/v1",
            "rostersyncs": GROUP,
            "rosterconnections": GROUP,
        }
        parts = (roots[plural], "namespaces", self.namespace, plural, name, subresource)
        return "/".join(part for part in parts if part)

    def get(self, plural: str, name: str) -> Body:
        """The object; empty where there is none."""
        return self.request("GET", self.path(plural, name))

    def items(self, plural: str) -> list[Body]:
        return self.request("GET", self.path(plural))["items"]

    def patch(self, plural: str, name: str, patch: Body, subresource: str = "") -> Body:
        return self.request("PATCH", self.path(plural, name, subresource), patch, "application/merge-patch+json")

    def delete(self, plural: str, name: str) -> None:
        self.request("DELETE", self.path(plural, name), {"propagationPolicy": "Background"})

    # What a person does.

    def connect(self, name: str = "springfield", **spec: Any) -> None:
        api = {
            "endpoint": "https://sis.example.org/oneroster",
            "auth": {"tokenURL": "https://sis.example.org/token", "secretRef": {"name": "sis"}},
        }
        body = {"apiVersion": "roster-operator.io/v1alpha1", "kind": "RosterConnection", "metadata": {"name": name}}
        self.request("POST", self.path("rosterconnections"), body | {"spec": {"api": api} | spec})

    def sync(self, name: str = "first", connection: str = "springfield", **spec: Any) -> None:
        body = {"apiVersion": "roster-operator.io/v1alpha1", "kind": "RosterSync", "metadata": {"name": name}}
        self.request("POST", self.path("rostersyncs"), body | {"spec": {"connectionRef": {"name": connection}} | spec})

    def change(self, name: str = "first", **spec: Any) -> None:
        self.patch("rostersyncs", name, {"spec": spec})

    # What is waited for.

    def status(self, name: str = "first") -> Body:
        return self.get("rostersyncs", name).get("status") or {}

    def phase(self, name: str = "first") -> str:
        return self.status(name).get("phase", "")

    def condition(self, kind: str, name: str = "first", plural: str = "rostersyncs") -> Body:
        conditions = (self.get(plural, name).get("status") or {}).get("conditions") or []
        return next((item for item in conditions if item["type"] == kind), {})

    def jobs(self, step: str) -> list[Body]:
        """Jobs of one step, the latest last."""
        label = "roster-operator.io/step"
        found = [job for job in self.items("jobs") if job["metadata"]["labels"].get(label) == step]
        return sorted(found, key=lambda job: int(job["metadata"]["labels"]["roster-operator.io/attempt"]))

    def open_job(self, step: str, seconds: float = 15) -> Body:
        """The Job of this step that has not ended, waited for."""

        def one() -> Body | None:
            return next((job for job in self.jobs(step) if not job.get("status", {}).get("conditions")), None)

        return until(one, seconds, f"a Job of step {step}")

    def wait_phase(self, phase: str, name: str = "first", seconds: float = 15) -> Body:
        until(lambda: self.phase(name) == phase, seconds, lambda: f"{phase}; it is {self.status(name)}")
        return self.status(name)

    def wait_condition(
        self, kind: str, reason: str, name: str = "first", plural: str = "rostersyncs", seconds: float = 15
    ) -> Body:
        def there() -> bool:
            return self.condition(kind, name, plural).get("reason") == reason

        until(there, seconds, lambda: f"{kind} {reason}; it is {self.get(plural, name).get('status')}")
        return self.condition(kind, name, plural)

    def event_reasons(self) -> set[str]:
        return {event["reason"] for event in self.items("events")}

    # What a Job controller and a kubelet do.

    def end(self, job: Body, summary: Body | None, *, failed: str = "") -> None:
        """End a Job: with a summary or none; `failed` is the Job controller's reason."""
        self.pod_of(job, summary, exit_code=65 if failed else 0)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

        def condition(kind: str, reason: str = "") -> Body:
            return {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": now, "lastProbeTime": now}

        if failed:
            status: Body = {
                "failed": 1,
                "conditions": [condition("FailureTarget", failed), condition("Failed", failed)],
            }
        else:
            kinds = ("SuccessCriteriaMet", "Complete")
            status = {"succeeded": 1, "completionTime": now, "conditions": [condition(kind) for kind in kinds]}
        status |= {"startTime": job["metadata"]["creationTimestamp"], "uncountedTerminatedPods": {}}
        self.patch("jobs", job["metadata"]["name"], {"status": status}, "status")

    def pod_of(self, job: Body, message: Body | None, *, exit_code: int = 0, waiting: str = "") -> None:
        """A pod of the Job: ended with this termination message, or waiting for this reason."""
        meta = job["metadata"]
        name = f"{meta['name'][:50]}-{time.monotonic_ns() % 10**9}"
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        template = job["spec"]["template"]
        labels = template["metadata"]["labels"] | {"batch.kubernetes.io/job-name": meta["name"]}
        self.request(
            "POST",
            self.path("pods"),
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
                "spec": template["spec"],
            },
        )
        container = {"name": "worker", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        if waiting:
            state: Body = {"waiting": {"reason": waiting, "message": "no such image"}}
        else:
            text = json.dumps(message) if message is not None else ""
            state = {"terminated": {"exitCode": exit_code, "message": text, "finishedAt": "2026-11-24T12:00:00Z"}}
        phase = "Pending" if waiting else ("Failed" if exit_code else "Succeeded")
        status = {"phase": phase, "containerStatuses": [container | {"state": state}]}
        self.patch("pods", name, {"status": status}, "status")

    def make_ready(self, name: str = "springfield") -> None:
        """The connection's test succeeds."""
        self.end(self.open_job("test"), good_test())
        until(
            lambda: self.condition("Ready", name, "rosterconnections").get("status") == "True",
            PATIENCE,
            "a ready connection",
        )


def good_test(**report: Any) -> Body:
    found = {"ready": True, "reachable": True, "authenticated": True, "tenantClaimed": True, "version": "1.2"}
    return {"step": "test", "outcome": "Tested", "test": found | {"counts": {"users": 1200}} | report}


def plan(letter: str = "a", *, beyond: bool = False, first: bool = True, **counts: int) -> Body:
    entities = {"users": {"received": 1200, "create": 1200} | counts}
    limits = [
        {"limit": "deactivate", "entity": "users", "count": 240, "of": 1200, "maxPercent": 10, "maxCount": 120}
    ]  # fmt: skip
    return {
        "digest": DIGESTS[letter],
        "entities": entities,
        "limits": limits if beyond else [],
        "complete": True,
        "first": first,
    }


def staged(letter: str = "a", **options: Any) -> Body:
    return {"step": "stage", "outcome": "Staged", "plan": plan(letter, **options)}


def merged() -> Body:
    return {"step": "merge", "outcome": "Merged", "dataVersion": 1}


def plan_changed(letter: str, **options: Any) -> Body:
    return {"step": "merge", "outcome": "PlanChanged", "plan": plan(letter, **options)}


def discarded() -> Body:
    return {"step": "discard", "outcome": "Discarded"}


def failed(step: str, reason: str, message: str = "It did not work. Do this next.") -> Body:
    return {"step": step, "outcome": "Failed", "failure": {"reason": reason, "message": message}}


def until(ask: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
    """What `ask` answers as soon as it is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what if isinstance(what, str) else what()}")
