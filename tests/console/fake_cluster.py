"""An API server of a few lines: it knows tokens, who may do what where, and some objects."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = "/apis/roster-operator.io/v1alpha1/namespaces/"
DIGEST = "sha256:" + "9f2c41ab" * 8


@dataclass
class FakeCluster:
    """`rights`: token → namespaces it may read. `verbs`: token → what it may do beyond reading, as "verb resource".
    Objects: (namespace, plural) → bodies."""

    people: dict[str, str] = field(default_factory=lambda: {"ada-token": "ada", "foreign-token": "mallory"})
    rights: dict[str, set[str]] = field(default_factory=lambda: {"ada-token": {"k12", "north"}})
    verbs: dict[str, set[str]] = field(default_factory=dict)
    changed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # target, patch
    objects: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, target, token
    answer: tuple[int, bytes, dict[str, str]] | None = None  # what to say to everything instead

    def __enter__(self) -> FakeCluster:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                cluster.asked.append((self.command, self.path, token))
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                given = json.loads(body) if body else {}
                status, body, headers = cluster.answer or cluster.respond(self.command, self.path, token, given)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_GET  # noqa: N815  the names that http.server calls

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def respond(self, method: str, target: str, token: str, given: Any) -> tuple[int, bytes, dict[str, str]]:
        if token not in self.people:
            return self._say(401, {"message": "Unauthorized"})
        path = urlsplit(target).path
        if path.endswith("/selfsubjectreviews"):
            return self._say(201, {"status": {"userInfo": {"username": self.people[token]}}})
        if path.endswith("/selfsubjectaccessreviews"):
            asked = given["spec"]["resourceAttributes"]
            wanted = f"{asked['verb']} {asked['resource']}"
            return self._say(201, {"status": {"allowed": wanted in self.verbs.get(token, set())}})
        namespace, plural, *name = path.removeprefix(ROOT).split("/")
        if namespace not in self.rights.get(token, set()):
            return self._say(403, {"message": f"secret-detail: {self.people[token]} lacks the role roster-viewer"})
        bodies = self.objects.get((namespace, plural), [])
        if name:
            found = [body for body in bodies if body["metadata"]["name"] == name[0]]
            if method == "PATCH":
                if f"patch {plural}" not in self.verbs.get(token, set()):
                    return self._say(403, {"message": "secret-detail"})
                self.changed.append((target, given))
            return self._say(200, found[0]) if found else self._say(404, {"message": "secret-detail"})
        query = parse_qs(urlsplit(target).query)
        start, limit = int(query.get("continue", ["0"])[0]), int(query["limit"][0])
        rest = str(start + limit) if start + limit < len(bodies) else ""
        return self._say(200, {"items": bodies[start : start + limit], "metadata": {"continue": rest}})

    @staticmethod
    def _say(status: int, body: Any) -> tuple[int, bytes, dict[str, str]]:
        return status, json.dumps(body).encode(), {"Content-Type": "application/json", "Set-Cookie": "who=ada; Path=/"}


def connection(name: str = "springfield", namespace: str = "k12", **status: Any) -> dict[str, Any]:
    """A RosterConnection."""
    auth = {"tokenURL": "https://sis.example/token", "secretRef": {"name": "sis"}}
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterConnection",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "creationTimestamp": "2026-11-01T03:00:00Z",
            "managedFields": [],
        },
        "spec": {"api": {"endpoint": "https://sis.example", "auth": auth}},
        "status": {"conditions": [ready("True", "Tested", "All entities can be read.")]} | status,
    }


def ready(status: str, reason: str, message: str) -> dict[str, Any]:
    """The condition Ready."""
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-24T03:00:00Z",
    }


def sync(
    name: str = "springfield-1", phase: str = "AwaitingApproval", namespace: str = "k12", **changes: Any
) -> dict[str, Any]:
    """A RosterSync with a plan."""
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
        "digest": DIGEST,
        "entities": {"users": users},
        "complete": True,
        "removals": {"explained": 58, "unexplained": 1702},
    }
    status: dict[str, Any] = {"phase": phase, "conditions": [], "plan": plan, **changes}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "00000000-0000-0000-0000-000000000001",
            "creationTimestamp": "2026-11-24T03:00:00Z",
        },
        "spec": {"connectionRef": {"name": "springfield"}},
        "status": status,
    }


HIT = {"limit": "deactivate", "entity": "users", "count": 1760, "of": 12394, "maxPercent": 10, "maxCount": 20}


def blocked(name: str = "springfield-1") -> dict[str, Any]:
    """A sync held by its limits."""
    body = sync(name, "Blocked")
    body["status"]["plan"]["limits"] = [HIT]
    return body
