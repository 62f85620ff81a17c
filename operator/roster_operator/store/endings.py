"""Runs that are staged and never merged, ended by the owner: overdue, or in the way of an erasure."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import psycopg


def staged(conn: psycopg.Connection, tenant: str, *, days: int = 0) -> list[UUID]:
    """A tenant's runs that are staged or being staged and began so many days ago, locked until the transaction ends."""
    found = conn.execute(
        "select run from roster.sync_run where tenant = %s and state in ('Staging', 'Sealed', 'Staged')"
        " and started_at <= now() - make_interval(days => %s) for update",
        (tenant, days),
    ).fetchall()
    return [run for (run,) in found]


def end(conn: psycopg.Connection, tenant: str, runs: Iterable[UUID], reason: str) -> None:
    """Discard runs: their tables go, and the ledger keeps the reason."""
    for run in runs:
        conn.execute("select roster.drop_stage(%s, %s)", (tenant, run))
        conn.execute(
            "update roster.sync_run set state = 'Discarded', discard_reason = %s, ended_at = now()"
            " where tenant = %s and run = %s",
            (reason, tenant, run),
        )
