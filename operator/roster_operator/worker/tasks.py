"""What every step needs of its task."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

import psycopg

from roster_operator.api.connection import Ledger
from roster_operator.api.sync import Rewound
from roster_operator.api.task import Outcome, SyncSubject, WorkerSummary, WorkerTask
from roster_operator.store import ledger, runs
from roster_operator.store.runs import RunName

from .failures import WorkerError

T = TypeVar("T")


def claim(conn: psycopg.Connection, task: WorkerTask) -> None:
    runs.claim(conn, task.tenant, task.cluster, task.connection.namespace, task.connection.name)


def known(task: WorkerTask) -> ledger.Ledger | None:
    """What the operator knows of the database. What it knows in another form than ours it does not know."""
    if task.known is None:
        return None
    try:
        run = UUID(task.known.run) if task.known.run else None
        return ledger.Ledger(UUID(task.known.database), task.known.data_version, run)
    except ValueError:
        return None


def holding(conn: psycopg.Connection) -> Ledger:
    holds = ledger.found(conn)
    return Ledger(
        database=str(holds.database), data_version=holds.data_version, run=str(holds.run) if holds.run else None
    )


def told(behind: ledger.Rewound | None) -> Rewound | None:
    return Rewound(known=behind.known, found=behind.found) if behind else None


def run_name(task: WorkerTask) -> RunName:
    """The run that a task is about."""
    sync: SyncSubject = given(task.sync, "sync")
    return RunName(UUID(sync.uid), task.cluster, task.connection.namespace, sync.name, sync.mode.value)


def summary_of(task: WorkerTask, outcome: Outcome) -> WorkerSummary:
    return WorkerSummary(
        step=task.step, outcome=outcome, attempt=task.attempt, run=task.sync.uid if task.sync else None
    )


def database_secret(task: WorkerTask) -> str:
    ref = task.spec.database_secret_ref if task.spec else None
    return ref.name if ref else "for the database"


def given(value: T | None, what: str) -> T:
    if value is None:
        raise WorkerError("TaskMalformed", f"The task lacks {what}.", "Operator and worker must be of one release.")
    return value
