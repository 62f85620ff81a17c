"""Who did what in a district: merges, changes by hand, access, uploads, and who read records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

# Each part gives (at, kind, who, what, detail). What is read is the console's own ledger.
_PARTS: dict[str, str] = {
    "merge": (
        "select merged_at, 'merge', coalesce(approval ->> 'by', approval ->> 'via'), name, approval -> 'note'"
        " from roster.sync_run where tenant = %(tenant)s and state = 'Merged'"
    ),
    "ended": (
        "select ended_at, 'ended', null, name, to_jsonb(coalesce(failure, discard_reason))"
        " from roster.sync_run where tenant = %(tenant)s and state in ('Failed', 'Discarded') and ended_at is not null"
    ),
    "byHand": (
        "select changed_at, 'byHand', changed_by, null, to_jsonb(reason) from roster.manual_change"
        " where tenant = %(tenant)s"
    ),
    "granted": (
        "select granted_at, 'granted', granted_by, array_to_string(permissions, ', '), to_jsonb(reason)"
        " from roster.app_access where tenant = %(tenant)s"
    ),
    "revoked": (
        "select revoked_at, 'revoked', revoked_by, null, to_jsonb(reason) from roster.app_access"
        " where tenant = %(tenant)s and revoked_at is not null"
    ),
    "invited": ("select at, 'invited', who, act, to_jsonb(detail) from roster.access_act where tenant = %(tenant)s"),
    "uploaded": (
        "select uploaded_at, 'uploaded', uploaded_by, null, to_jsonb(size) from roster.upload"
        " where tenant = %(tenant)s and complete"
    ),
    "read": "select at, 'read', person, kind, null from roster.reading where tenant = %(tenant)s",
}
KINDS = tuple(_PARTS)


@dataclass(frozen=True)
class Act:
    """One thing that somebody did. who: None where it was the operator itself. detail: as the kind has it."""

    at: datetime
    kind: str
    who: str | None
    what: str | None
    detail: Any


def listing(conn: psycopg.Connection, tenant: str, *, kind: str | None = None, limit: int = 100) -> list[Act]:
    """The newest first. kind: one of KINDS; None: all but readings, which are many."""
    parts = [_PARTS[kind]] if kind else [part for name, part in _PARTS.items() if name != "read"]
    # Each part is cut by itself, so that none is sorted whole.
    query = " union all ".join(f"(select * from ({part}) p order by 1 desc limit %(limit)s)" for part in parts)
    rows = conn.execute(
        f"select * from ({query}) a order by 1 desc, 2, 3 limit %(limit)s".encode(), {"tenant": tenant, "limit": limit}
    ).fetchall()
    return [Act(*row) for row in rows]
