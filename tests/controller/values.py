"""Bodies and typed values for tests of pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from roster_operator.api.kinds import STAGED_FINALIZER
from roster_operator.api.sync import PublishedPlan
from roster_operator.controller.objects import Connection, Sync
from roster_operator.controller.settings import Settings

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
SETTINGS = Settings(image="localhost/roster-operator:test")
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
Body = dict[str, Any]


def stamp(moment: datetime = NOW, **ago: float) -> str:
    return (moment - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(name: str, **changes: Any) -> Body:
    base = {"namespace": "k12", "name": name, "uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    return base | {"creationTimestamp": stamp(hours=1)} | changes


def connection_body(name: str = "springfield", *, status: Body | None = None, **spec: Any) -> Body:
    api = {
        "endpoint": "https://sis.example.org",
        "auth": {"tokenURL": "https://sis.example.org/token", "secretRef": {"name": "sis"}},
    }
    return {"metadata": metadata(name), "spec": {"api": api} | spec, "status": status or {}}


def ready(generation: int = 1, status: str = "True") -> Body:
    condition = {
        "type": "Ready",
        "status": status,
        "reason": "Tested",
        "lastTransitionTime": stamp(hours=1),
        "observedGeneration": generation,
    }
    return {"conditions": [condition], "nextTestTime": stamp(hours=-23)}


def connection(name: str = "springfield", *, status: Body | None = None, **spec: Any) -> Connection:
    return Connection.of(connection_body(name, status=ready() if status is None else status, **spec))


def sync(
    *, status: Body | None = None, held: bool = False, deleted: bool = False, meta: Body | None = None, **spec: Any
) -> Sync:
    more = dict(meta or {})
    if held:
        more["finalizers"] = [STAGED_FINALIZER]
    if deleted:
        more["deletionTimestamp"] = stamp(minutes=1)
    return Sync.of(
        {
            "metadata": metadata("first", **more),
            "spec": {"connectionRef": {"name": "springfield"}} | spec,
            "status": status or {},
        }
    )


def published(digest: str = A, **fields: Any) -> PublishedPlan:
    return PublishedPlan.from_dict({"digest": digest, "complete": True, "generation": 1} | fields)


def hit() -> Body:
    return {"limit": "deactivate", "entity": "users", "count": 240, "of": 1200, "maxPercent": 10, "maxCount": 120}
