"""What is kept of an approval."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from roster_operator.api.limits import Limits
from roster_operator.store import runs
from roster_operator.store.plan import Plan
from roster_operator.store.window import BEYOND

from .decisions import beyond


def with_limits(conn: psycopg.Connection, run: UUID, approval: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """An approval with the limits that the approved plan goes beyond. The window of later plans begins after it: what a
    person let through is not counted against the next nights."""
    found = runs.find(conn, run)
    hits = beyond(Plan.from_run(found), limits) if found is not None and found.state == "Staged" else []
    return approval | ({BEYOND: sorted({hit.limit for hit in hits})} if hits else {})
