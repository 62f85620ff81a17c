"""An API server in memory: names, versions, generations, finalizers, merge patches. And a kill at any write.

It stands where the real one would be too slow: some thousand lives of a sync, each with its own order of events. What
the real one does is asked in the tests marked `apiserver`.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from roster_operator.api.kinds import Kind
from roster_operator.controller.client import Api, ApiError
from roster_operator.controller.objects import Body


class Killed(BaseException):
    """The process ended here."""


class FakeApi(Api):
    """Objects by (plural, name), in one namespace."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Body] = {}
        self.created: list[Body] = []
        self.writes_until_kill: int | None = None
        self.kill_before = False
        self.terminating = False
        self._version = 0

    # What the operator calls.

    async def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        return copy.deepcopy(self.objects.get((kind.plural, name)))

    async def items(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Body]:
        for (plural, _), body in list(self.objects.items()):
            if plural == kind.plural and _matches(body, labels):
                yield copy.deepcopy(body)

    async def create(self, kind: Kind, body: Body) -> Body:
        if kind.plural == "events":
            return body
        self._may_die(before=True)
        key = (kind.plural, body["metadata"]["name"])
        if key in self.objects:
            raise ApiError(409, "AlreadyExists", "exists")
        if self.terminating:
            raise ApiError(403, "Forbidden", "the namespace is being terminated", ("NamespaceTerminating",))
        stored = self.put(kind.plural, body)
        self.created.append(copy.deepcopy(stored))
        self._may_die(before=False)
        return copy.deepcopy(stored)

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Body, *, subresource: str = "") -> Body:
        self._may_die(before=True)
        body = self.objects.get((kind.plural, name))
        if body is None:
            raise ApiError(404, "NotFound", f"{kind.plural} not found")
        asked = patch.get("metadata", {}).get("resourceVersion")
        if asked not in (None, body["metadata"]["resourceVersion"]):
            raise ApiError(409, "Conflict", "changed")
        self.change(kind.plural, name, {part: value for part, value in patch.items() if part != "metadata"})
        if "finalizers" in patch.get("metadata", {}):
            body["metadata"]["finalizers"] = patch["metadata"]["finalizers"]
            self._sweep(kind.plural, name)
        self._may_die(before=False)
        return copy.deepcopy(body)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        self._may_die(before=True)
        self.remove(kind.plural, name)
        self._may_die(before=False)

    # What the world does.

    def put(self, plural: str, body: Body) -> Body:
        self._version += 1
        meta = {
            "namespace": "k12",
            "uid": f"uid-{self._version}",
            "generation": 1,
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        stored = copy.deepcopy(body)
        stored["metadata"] = meta | stored["metadata"] | {"resourceVersion": str(self._version)}
        self.objects[plural, stored["metadata"]["name"]] = stored
        return stored

    def change(self, plural: str, name: str, patch: Body) -> None:
        body = self.objects[plural, name]
        before = copy.deepcopy(body.get("spec"))
        _merge(body, patch)
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        if body.get("spec") != before:
            body["metadata"]["generation"] += 1

    def remove(self, plural: str, name: str) -> None:
        body = self.objects.get((plural, name))
        if body is None:
            return
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        body["metadata"].setdefault("deletionTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        self._sweep(plural, name)

    def _sweep(self, plural: str, name: str) -> None:
        meta = self.objects[plural, name]["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            del self.objects[plural, name]

    def _may_die(self, *, before: bool) -> None:
        if self.writes_until_kill is None or before is not self.kill_before:
            return
        self.writes_until_kill -= 1
        if self.writes_until_kill < 0:
            self.writes_until_kill = None
            raise Killed


def _merge(target: Body, patch: Body) -> None:
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            inner: Any = target.get(name)
            if not isinstance(inner, dict):
                target[name] = inner = {}
            _merge(inner, value)
        else:
            target[name] = copy.deepcopy(value)


def _matches(body: Body, labels: str) -> bool:
    have = body["metadata"].get("labels") or {}
    for term in filter(None, labels.split(",")):
        if "!=" in term:
            name, value = term.split("!=")
            if have.get(name) == value:
                return False
        else:
            name, value = term.split("=")
            if have.get(name) != value:
                return False
    return True
