"""The steps that need the database alone: merge, discard and purge."""

from __future__ import annotations

from pathlib import Path

from roster_operator.api.task import MERGE_URL_KEY, STAGE_URL_KEY, Outcome, PurgeReport, WorkerSummary, WorkerTask
from roster_operator.store import runs
from roster_operator.store.database import connect
from roster_operator.store.errors import StoreError
from roster_operator.store.merge import PlanChanged
from roster_operator.store.merge import merge as store_merge
from roster_operator.store.purge import purge as store_purge

from .approvals import with_limits
from .decisions import beyond
from .inputs import MountedSecret
from .summaries import issue_counts, plan_summary
from .tasks import database_secret, given, holding, known, run_name, summary_of


def merge(task: WorkerTask, _sis: Path, database: Path) -> WorkerSummary:
    order = given(task.order, "order")
    approval = {"digest": order.digest, "by": order.by, "via": order.via, "at": order.at.isoformat()}
    approval |= {"note": order.note} if order.note else {}
    with connect(MountedSecret(database, database_secret(task)).need(MERGE_URL_KEY)) as conn:
        run = run_name(task).run
        result = store_merge(conn, run, order.digest, with_limits(conn, run, approval, task.limits), known(task))
        holds = holding(conn)
    summary = summary_of(task, Outcome.PLAN_CHANGED if isinstance(result, PlanChanged) else Outcome.MERGED)
    summary.plan = plan_summary(result.plan, beyond(result.plan, task.limits))
    summary.issues = issue_counts(result.plan)
    summary.data_version = result.plan.base_version if isinstance(result, PlanChanged) else result.data_version
    summary.ledger = holds
    return summary


def discard(task: WorkerTask, _sis: Path, database: Path) -> WorkerSummary:
    with connect(MountedSecret(database, database_secret(task)).need(STAGE_URL_KEY)) as conn:
        state = runs.discard(conn, run_name(task), task.discard_reason)
    return summary_of(task, Outcome.MERGED if state == "Merged" else Outcome.DISCARDED)


def purge(task: WorkerTask, _sis: Path, database: Path) -> WorkerSummary:
    connection = task.connection
    with connect(MountedSecret(database, database_secret(task)).need(MERGE_URL_KEY)) as conn:
        # The Secret of another district must not cost that one its rows.
        if runs.session_tenant(conn) != task.tenant:
            raise StoreError("TenantMismatch", "The database login belongs to another tenant.", "Correct the Secret.")
        done = store_purge(conn, task.cluster, connection.namespace, connection.name, connection.uid)
    summary = summary_of(task, Outcome.PURGED)
    summary.purge = PurgeReport(receipt=str(done.receipt), rows=done.rows)
    return summary
