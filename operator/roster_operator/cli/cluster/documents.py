"""What the commands print for programs; docs/reference/cli-json.md is the contract. Pure."""

from __future__ import annotations

from typing import Any

from roster_operator.api.model import API_VERSION, GROUP
from roster_operator.api.scope import in_order

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


def review_rows(one: Sync) -> list[dict[str, Any]]:
    """A plan as a table with one number a row, for spreadsheets: counts, no record. Empty without a plan."""
    plan = one.status.plan
    if plan is None:
        return []
    rows = [
        ("entities", entity, name, count, "")
        for entity, counts in in_order(plan.entities)
        for name, count in counts.to_dict().items()
    ]
    rows += [("limits", hit.entity, hit.limit, hit.count, hit.sentence) for hit in plan.limits]
    rows += [("held", hit.entity, hit.limit, hit.count, hit.sentence) for hit in plan.held]
    rows += [("removals", "", name, count, "") for name, count in plan.removals.to_dict().items()]
    if plan.schools_over_limit:
        worst = f"{plan.schools_over_limit.worst_percent} % lost in the hardest hit"
        rows.append(("schools", "", "overLimit", plan.schools_over_limit.count, worst))
    if not plan.complete:
        rows.append(("proof", "", "incomplete", 1, plan.incomplete_reason or ""))
    if plan.taken:
        rows.append(("taken", "", "settings", 1, plan.taken.sentence))
    rows += [("fieldChanges", each.entity, each.field, each.changed, "") for each in plan.field_changes]
    rows += [("checks", "", code, count, "") for code, count in sorted(plan.checks.items())]
    rows += [("issues", issue.entity, issue.code, issue.count, issue.severity) for issue in one.status.issues]
    heads = ("section", "entity", "name", "count", "text")
    named = {"sync": one.metadata.name, "digest": plan.digest}
    return [named | dict(zip(heads, row, strict=True)) for row in rows]


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
