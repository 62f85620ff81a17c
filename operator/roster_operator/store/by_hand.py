"""What every change by hand begins with, and leaves in the history: who, why, and the row as it was."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from .errors import StoreError
from .runs import jsonb


def begin(conn: psycopg.Connection, tenant: str, by: str, reason: str | None) -> tuple[int, UUID]:
    """Take the merge's lock and count a change. Gives the new data version, and the run that its entries carry.

    Raises StoreError(TenantUnknown).
    """
    conn.execute("select roster.lock_tenant(%s)", (tenant,))
    row = conn.execute(
        "update roster.tenant set data_version = data_version + 1 where tenant = %s returning data_version", (tenant,)
    ).fetchone()
    if row is None:
        raise StoreError("TenantUnknown", "There is no such tenant.", "`roster tenant list` shows them.")
    made = conn.execute(
        "insert into roster.manual_change (tenant, data_version, changed_by, reason) values (%s, %s, %s, %s)"
        " returning run",
        (tenant, row[0], by, reason),
    ).fetchone()
    assert made is not None
    return int(row[0]), made[0]


def log(
    conn: psycopg.Connection, tenant: str, version: int, run: UUID, action: str, entity: str, sourced_id: str, old: Any
) -> None:
    """One entry of the history. old: the row before, or None where there was none."""
    conn.execute(
        "insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (tenant, version, run, entity, action, sourced_id, None if old is None else jsonb(old)),
    )
