"""The steps as a Job runs them: from a task to a summary. Each may be run again and then answers the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg

from roster_operator.api.connection import Ledger
from roster_operator.api.limits import PER_SCHOOL, LimitHit
from roster_operator.api.notices import SIGNING_KEY
from roster_operator.api.sync import (
    EntityCounts,
    FieldChanges,
    IssueCount,
    IssueTrend,
    Mode,
    PlanSummary,
    Removals,
    Rewound,
    SchoolsOverLimit,
    Taken,
)
from roster_operator.api.task import (
    DATABASE_SECRET_PATH,
    MERGE_URL_KEY,
    SIS_SECRET_PATH,
    STAGE_URL_KEY,
    WEBHOOK_SECRET_PATH,
    Outcome,
    PurgeReport,
    Step,
    SyncSubject,
    WorkerSummary,
    WorkerTask,
)
from roster_operator.store import ledger, runs, undo
from roster_operator.store.database import connect
from roster_operator.store.errors import AlreadyStagedError, StoreError
from roster_operator.store.merge import PlanChanged, merge
from roster_operator.store.plan import Plan
from roster_operator.store.profile import Profile
from roster_operator.store.purge import purge
from roster_operator.store.runs import RunName

from . import check, expiry, webhook
from .choices import choices_of
from .decisions import beyond, held_for, schools_over
from .failures import WorkerError, failure_of
from .inputs import MountedSecret, mounted_source_secret
from .progress import ProgressLines
from .sources import open_for_test
from .stage import AlreadyMerged, Staged, answer_before, with_limits
from .staging import stage_connection
from .undo import stage_undo

T = TypeVar("T")


def run_step(
    task: WorkerTask,
    *,
    sis: Path = Path(SIS_SECRET_PATH),
    database: Path = Path(DATABASE_SECRET_PATH),
    signing: Path = Path(WEBHOOK_SECRET_PATH),
) -> WorkerSummary:
    """Do the task. Never raises: an error becomes a summary with outcome Failed."""
    started = time.monotonic()
    try:
        summary = _notify(task, signing) if task.step is Step.NOTIFY else _STEPS[task.step](task, sis, database)
    except Exception as error:  # noqa: BLE001  every error ends here, typed, without its text
        summary = _summary(task, Outcome.FAILED)
        summary.failure = failure_of(error)
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


def _test(task: WorkerTask, sis: Path, database: Path) -> WorkerSummary:
    spec = _given(task.spec, "spec")

    secret = mounted_source_secret(sis, spec.secret())
    ends: list[datetime | None] = []
    summary = _summary(task, Outcome.TESTED)

    def claim() -> None:
        with connect(MountedSecret(database, _database_secret(task)).need(STAGE_URL_KEY)) as conn:
            _claim(conn, task)
            summary.ledger = _ledger(conn)
            summary.rewound = _told(ledger.rewound(conn, _known(task)))
            ends.append(expiry.of_logins(conn))

    problem = check.problem_of(claim)
    with open_for_test(spec, secret, task.policy) as source:
        ends.append(expiry.of_secret(secret))
        summary.test = check.look_at(source, problem, check.problem_of(lambda: choices_of(spec)))
    summary.test.credentials_expire = min((end for end in ends if end), default=None)
    summary.version = summary.test.version
    return summary


def _stage(task: WorkerTask, sis: Path, database: Path) -> WorkerSummary:
    name = run_name(task)
    with connect(MountedSecret(database, _database_secret(task)).need(STAGE_URL_KEY)) as conn:
        _claim(conn, task)
        result: Staged | AlreadyMerged | None = answer_before(conn, name, task.limits)
        if result is None and task.unless_merged and runs.merged_before(conn, name):
            result = AlreadyMerged()
        if result is None:
            behind = ledger.rewound(conn, _known(task))
            try:
                result = (
                    _undo(conn, name, task, behind) if name.mode == Mode.UNDO else _pull(conn, name, task, sis, behind)
                )
            except AlreadyStagedError:
                result = answer_before(conn, name, task.limits)
        version = runs.data_version(conn)
    if isinstance(result, AlreadyMerged):
        summary = _summary(task, Outcome.ALREADY_MERGED)
        summary.data_version = version
        return summary
    staged = _given(result, "the staged plan")
    summary = _summary(task, Outcome.STAGED)
    summary.plan = plan_summary(staged.plan, staged.hits)
    summary.issues = issue_counts(staged.plan)
    summary.version = staged.version
    summary.counts = {entity: counts.received for entity, counts in staged.plan.entities.items()}
    return summary


def _pull(
    conn: psycopg.Connection, name: RunName, task: WorkerTask, sis: Path, behind: ledger.Rewound | None
) -> Staged:
    spec = _given(task.spec, "spec")
    runs.set_retention(conn, spec.retention.remove_after_days, spec.retention.history_days)
    return stage_connection(
        conn,
        name,
        spec,
        mounted_source_secret(sis, spec.secret()),
        task.policy,
        attempt=task.attempt,
        limits=task.limits,
        progress=ProgressLines(),
        upload=task.sync.upload if task.sync else None,
        rewound=behind,
    )


def _undo(conn: psycopg.Connection, name: RunName, task: WorkerTask, behind: ledger.Rewound | None) -> Staged:
    sync = _given(task.sync, "sync")
    undone = undo.find(conn, name.namespace, _given(sync.undoes, "undoes"))
    return stage_undo(
        conn, name, undone, attempt=task.attempt, limits=task.limits, overwrite=sync.overwrite, rewound=behind
    )


def _merge(task: WorkerTask, _sis: Path, database: Path) -> WorkerSummary:
    order = _given(task.order, "order")
    approval = {"digest": order.digest, "by": order.by, "via": order.via, "at": order.at.isoformat()}
    approval |= {"note": order.note} if order.note else {}
    with connect(MountedSecret(database, _database_secret(task)).need(MERGE_URL_KEY)) as conn:
        run = run_name(task).run
        result = merge(conn, run, order.digest, with_limits(conn, run, approval, task.limits), _known(task))
        holds = _ledger(conn)
    summary = _summary(task, Outcome.PLAN_CHANGED if isinstance(result, PlanChanged) else Outcome.MERGED)
    summary.plan = plan_summary(result.plan, beyond(result.plan, task.limits))
    summary.issues = issue_counts(result.plan)
    summary.data_version = result.plan.base_version if isinstance(result, PlanChanged) else result.data_version
    summary.ledger = holds
    return summary


def _discard(task: WorkerTask, _sis: Path, database: Path) -> WorkerSummary:
    with connect(MountedSecret(database, _database_secret(task)).need(STAGE_URL_KEY)) as conn:
        state = runs.discard(conn, run_name(task), task.discard_reason)
    return _summary(task, Outcome.MERGED if state == "Merged" else Outcome.DISCARDED)


def _purge(task: WorkerTask, _sis: Path, database: Path) -> WorkerSummary:
    connection = task.connection
    with connect(MountedSecret(database, _database_secret(task)).need(MERGE_URL_KEY)) as conn:
        # The Secret of another district must not cost that one its rows.
        if runs.session_tenant(conn) != task.tenant:
            raise StoreError("TenantMismatch", "The database login belongs to another tenant.", "Correct the Secret.")
        done = purge(conn, task.cluster, connection.namespace, connection.name, connection.uid)
    summary = _summary(task, Outcome.PURGED)
    summary.purge = PurgeReport(receipt=str(done.receipt), rows=done.rows)
    return summary


def _notify(task: WorkerTask, signing: Path) -> WorkerSummary:
    notice = _given(task.notice, "notice")
    use = notice.webhook.secret_ref.secret()
    webhook.post(notice, MountedSecret(signing, use.name, use.keys).need(SIGNING_KEY), task.policy)
    return _summary(task, Outcome.NOTIFIED)


_STEPS: dict[Step, Callable[[WorkerTask, Path, Path], WorkerSummary]] = {
    Step.TEST: _test,
    Step.STAGE: _stage,
    Step.MERGE: _merge,
    Step.DISCARD: _discard,
    Step.PURGE: _purge,
}


def _claim(conn: psycopg.Connection, task: WorkerTask) -> None:
    runs.claim(conn, task.tenant, task.cluster, task.connection.namespace, task.connection.name)


def _known(task: WorkerTask) -> ledger.Ledger | None:
    """What the operator knows of the database. What it knows in another form than ours it does not know."""
    if task.known is None:
        return None
    try:
        run = UUID(task.known.run) if task.known.run else None
        return ledger.Ledger(UUID(task.known.database), task.known.data_version, run)
    except ValueError:
        return None


def _ledger(conn: psycopg.Connection) -> Ledger:
    holds = ledger.found(conn)
    return Ledger(
        database=str(holds.database), data_version=holds.data_version, run=str(holds.run) if holds.run else None
    )


def _told(behind: ledger.Rewound | None) -> Rewound | None:
    return Rewound(known=behind.known, found=behind.found) if behind else None


def run_name(task: WorkerTask) -> RunName:
    """The run that a task is about."""
    sync: SyncSubject = _given(task.sync, "sync")
    return RunName(UUID(sync.uid), task.cluster, task.connection.namespace, sync.name, sync.mode.value)


def plan_summary(plan: Plan, hits: list[LimitHit]) -> PlanSummary:
    """A plan as status shows it: counts only."""
    changes = Profile.from_dict(plan.profile)
    return PlanSummary(
        digest=plan.digest,
        entities={
            entity: EntityCounts(
                received=counts.received,
                create=counts.create,
                update=counts.update,
                deactivate=counts.deactivate,
                reactivate=counts.reactivate,
                unchanged=counts.unchanged,
                invalid=counts.invalid,
                out_of_scope=counts.left_out,
                withheld=counts.withheld,
                held=counts.held,
                linked=counts.linked + counts.unlinked,
                rekeyed=counts.new_key + counts.followed,
                pinned=counts.pinned,
            )
            for entity, counts in plan.entities.items()
        },
        removals=Removals(
            explained=sum(counts.tobedeleted for counts in plan.entities.values()),
            undone=sum(counts.undone for counts in plan.entities.values()),
            concluded=sum(counts.concluded for counts in plan.entities.values()),
            school_closed=sum(counts.school_closed for counts in plan.entities.values()),
            out_of_scope=sum(counts.out_of_scope for counts in plan.entities.values()),
            unexplained=sum(counts.vanished for counts in plan.entities.values()),
        ),
        limits=hits[:16],
        held=held_for(plan)[:8],
        schools_over_limit=_schools_over(plan, hits),
        complete=plan.complete,
        incomplete_reason=plan.incomplete_reason,
        taken=Taken.from_dict(plan.taken) if plan.taken else None,
        first=plan.first,
        rewound=Rewound.from_dict(plan.rewound) if plan.rewound else None,
        checks=_check_totals(plan),
        field_changes=[
            FieldChanges(entity=each.entity, field=each.field, changed=each.changed, emptied=each.emptied)
            for each in changes.fields[:5]
        ],
        new_privileged=changes.new_privileged,
        issue_trend=IssueTrend.from_dict(plan.trend),
    )


def _schools_over(plan: Plan, hits: list[LimitHit]) -> SchoolsOverLimit | None:
    hit = next((hit for hit in (*hits, *held_for(plan)) if hit.limit == PER_SCHOOL), None)
    if hit is None:
        return None
    over = schools_over(plan, hit.max_percent, hit.max_count)
    return SchoolsOverLimit(count=len({each.school for each in over}), worst_percent=min(100, int(100 * over[0].share)))


def _check_totals(plan: Plan) -> dict[str, int]:
    totals: dict[str, int] = {}
    for found in plan.checks:
        totals[found["code"]] = totals.get(found["code"], 0) + found["count"]
    return totals


def issue_counts(plan: Plan) -> list[IssueCount]:
    """The ten most important kinds of problem."""
    return [IssueCount.from_dict(issue) for issue in plan.issues[:10]]


def _summary(task: WorkerTask, outcome: Outcome) -> WorkerSummary:
    return WorkerSummary(
        step=task.step, outcome=outcome, attempt=task.attempt, run=task.sync.uid if task.sync else None
    )


def _database_secret(task: WorkerTask) -> str:
    ref = task.spec.database_secret_ref if task.spec else None
    return ref.name if ref else "for the database"


def _given(value: T | None, what: str) -> T:
    if value is None:
        raise WorkerError("TaskMalformed", f"The task lacks {what}.", "Operator and worker must be of one release.")
    return value
