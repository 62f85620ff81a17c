"""The ledger: what the database knows of each run, and of the tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from .database import scalar
from .errors import NotStagedError


@dataclass(frozen=True)
class RunName:
    """Which RosterSync a run belongs to. `run` is its uid."""

    run: UUID
    cluster: str
    namespace: str
    name: str
    mode: str = "Full"


@dataclass(frozen=True)
class Run:
    """One row of sync_run."""

    tenant: str
    run: UUID
    namespace: str
    name: str
    mode: str
    state: str
    attempt: int
    token: int
    source_version: str | None
    pull: dict[str, Any] | None
    removable: list[str]
    plan: dict[str, Any] | None
    issues: list[dict[str, Any]] | None
    digest: str | None
    base_version: int | None
    data_version: int | None
    started_at: datetime
    staged_at: datetime | None
    merged_at: datetime | None
    pinned: list[str]  # entities of which the tenant has pins
    succeeded: list[str]  # entities of which this run proposes that ids succeed others
    undoes: UUID | None = None  # the run that this one takes back


_COLUMNS = (
    "tenant, run, namespace, name, mode, state, attempt, token, source_version, pull, removable, plan, issues, digest,"
    " base_version, data_version, started_at, staged_at, merged_at, undoes,"
    " array(select distinct p.entity from roster.pin p where p.tenant = sync_run.tenant) as pinned,"
    " array(select distinct x.entity from roster.proposed_succession x where x.tenant = sync_run.tenant"
    " and x.run = sync_run.run) as succeeded"
)


def session_tenant(conn: psycopg.Connection) -> str:
    """The tenant of the login. Raises StoreError(NotATenantLogin)."""
    return str(scalar(conn, "select roster.require_tenant()"))


def find(conn: psycopg.Connection, run: UUID) -> Run | None:
    """The run, or None where the database does not know it."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        cursor.execute(f"select {_COLUMNS} from roster.sync_run where run = %s".encode(), (run,))
        return cursor.fetchone()


def get(conn: psycopg.Connection, run: UUID) -> Run:
    """The run. Raises NotStagedError where the database does not know it."""
    found = find(conn, run)
    if found is None:
        raise NotStagedError(retryable=True)
    return found


def latest(conn: psycopg.Connection, limit: int = 20) -> list[Run]:
    """The tenant's newest runs, newest first."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        query = f"select {_COLUMNS} from roster.sync_run order by started_at desc limit %s"
        cursor.execute(query.encode(), (limit,))
        return cursor.fetchall()


def merged_at(conn: psycopg.Connection, data_version: int) -> Run | None:
    """The run whose merge made this version of the tenant's data, if a run's did."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        query = f"select {_COLUMNS} from roster.sync_run where state = 'Merged' and data_version = %s"
        cursor.execute(query.encode(), (data_version,))
        return cursor.fetchone()


def merged_under(conn: psycopg.Connection, namespace: str, name: str) -> Run | None:
    """The run that was merged last under this RosterSync's name, if one was."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        query = (
            f"select {_COLUMNS} from roster.sync_run where tenant = (select roster.session_tenant())"
            " and namespace = %s and name = %s and state = 'Merged' order by data_version desc limit 1"
        )
        cursor.execute(query.encode(), (namespace, name))
        return cursor.fetchone()


def merged_before(conn: psycopg.Connection, name: RunName) -> bool:
    """Whether another run under this RosterSync's name was merged (a manifest that is created again)."""
    return bool(
        scalar(
            conn,
            "select exists (select from roster.sync_run"
            " where namespace = %s and name = %s and run <> %s and state = 'Merged')",
            name.namespace,
            name.name,
            name.run,
        )
    )


def data_version(conn: psycopg.Connection) -> int:
    """How many merges the tenant has had."""
    return int(str(scalar(conn, "select data_version from roster.tenant")))


def database_id(conn: psycopg.Connection) -> str:
    """The identity that goes into every digest."""
    return str(scalar(conn, "select database_id from roster.meta"))


def claim(conn: psycopg.Connection, tenant: str, cluster: str, namespace: str, name: str) -> None:
    """Take the tenant for this connection, or find it taken by it already. Raises StoreError(TenantTaken)."""
    conn.execute("select roster.claim_tenant(%s, %s, %s, %s)", (tenant, cluster, namespace, name))


def set_retention(conn: psycopg.Connection, remove_after_days: int, history_days: int) -> None:
    """What `roster reap` goes by for this tenant, in days."""
    conn.execute("select roster.set_retention(%s, %s)", (remove_after_days, history_days))


def discard(conn: psycopg.Connection, name: RunName, reason: str | None) -> str:
    """Drop what is staged. Gives the run's state: Discarded, or Merged where there was nothing left to discard."""
    return str(
        scalar(
            conn,
            "select roster.discard(%s, %s, %s, %s, %s, %s)",
            name.run,
            name.cluster,
            name.namespace,
            name.name,
            name.mode,
            reason,
        )
    )


def jsonb(value: object) -> Jsonb:
    """For parameters."""
    return Jsonb(value)
