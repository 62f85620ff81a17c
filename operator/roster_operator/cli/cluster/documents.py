"""What the commands print for programs; docs/reference/cli-json.md is the contract. Pure."""

from __future__ import annotations

from typing import Any

from roster_operator.api.model import API_VERSION, GROUP

from . import sentences
from .objects import Connection, Sync


def connection(one: Connection, waiting: list[Sync]) -> dict[str, Any]:
    """A connection, and the names of its syncs that wait for a person."""
    status, ready = one.status, one.ready
    return {
        "namespace": one.metadata.namespace,
        "name": one.metadata.name,
        "source": one.source,
        "suspended": one.spec.suspend,
        "ready": ready.status if ready else "Unknown",
        "reason": ready.reason if ready else "NotTested",
        "message": ready.message if ready else "",
        "lastTestTime": _time(status.last_test_time),
        "lastSync": status.last_sync,
        "lastMergedTime": _time(status.last_merged_time),
        "nextSync": _time(status.next_sync),
        "waiting": [sync.metadata.name for sync in waiting],
    }


def sync(one: Sync) -> dict[str, Any]:
    """A sync: its phase, and its plan as counts."""
    status = one.status
    return {
        "namespace": one.metadata.namespace,
        "name": one.metadata.name,
        "connection": one.spec.connection_ref.name,
        "mode": one.spec.mode,
        "phase": status.phase.value,
        "reason": sentences.reason(one),
        "headline": sentences.headline(one),
        "waits": one.waits,
        "createdAt": _time(one.metadata.creation_timestamp),
        "plan": status.plan.to_dict() if status.plan else None,
        "issues": [issue.to_dict() for issue in status.issues],
        "approval": status.approval.to_dict() if status.approval else None,
        "failure": status.failure.to_dict() if status.failure else None,
        "times": status.times.to_dict(),
        "dataVersion": status.data_version,
    }


def approval_to_commit(one: Sync, digest: str) -> dict[str, Any]:
    """The change that approves the plan from Git. It goes into the manifest that Git has; it holds no other field."""
    return {
        "apiVersion": f"{GROUP}/{API_VERSION}",
        "kind": "RosterSync",
        "metadata": {"name": one.metadata.name, "namespace": one.metadata.namespace},
        "spec": {"approvedPlan": digest},
    }


def connection_to_commit(one: Connection, spec: dict[str, Any]) -> dict[str, Any]:
    """The part of a connection's manifest that has to read so. It holds no other field."""
    return {
        "apiVersion": f"{GROUP}/{API_VERSION}",
        "kind": "RosterConnection",
        "metadata": {"name": one.metadata.name, "namespace": one.metadata.namespace},
        "spec": spec,
    }


def _time(moment: Any) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
