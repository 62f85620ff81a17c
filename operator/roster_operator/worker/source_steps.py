"""The steps that read a source: test and stage."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import psycopg

from roster_operator.api.sync import Mode
from roster_operator.api.task import STAGE_URL_KEY, Outcome, WorkerSummary, WorkerTask
from roster_operator.store import ledger, runs, undo
from roster_operator.store.database import connect
from roster_operator.store.errors import AlreadyStagedError
from roster_operator.store.runs import RunName

from . import check, expiry
from .choices import choices_of
from .inputs import MountedSecret, mounted_source_secret
from .progress import ProgressLines
from .sources import open_for_test
from .stage import AlreadyMerged, Staged, answer_before
from .staging import stage_connection
from .summaries import issue_counts, plan_summary
from .tasks import claim, database_secret, given, holding, known, run_name, summary_of, told
from .undo import stage_undo


def test(task: WorkerTask, sis: Path, database: Path) -> WorkerSummary:
    spec = given(task.spec, "spec")

    secret = mounted_source_secret(sis, spec.secret())
    ends: list[datetime | None] = []
    summary = summary_of(task, Outcome.TESTED)

    def reach() -> None:
        with connect(MountedSecret(database, database_secret(task)).need(STAGE_URL_KEY)) as conn:
            claim(conn, task)
            summary.ledger = holding(conn)
            summary.rewound = told(ledger.rewound(conn, known(task)))
            ends.append(expiry.of_logins(conn))

    problem = check.problem_of(reach)
    with open_for_test(spec, secret, task.policy) as source:
        ends.append(expiry.of_secret(secret))
        summary.test = check.look_at(source, problem, check.problem_of(lambda: choices_of(spec)))
    summary.test.credentials_expire = min((end for end in ends if end), default=None)
    summary.version = summary.test.version
    return summary


def stage(task: WorkerTask, sis: Path, database: Path) -> WorkerSummary:
    name = run_name(task)
    with connect(MountedSecret(database, database_secret(task)).need(STAGE_URL_KEY)) as conn:
        claim(conn, task)
        result: Staged | AlreadyMerged | None = answer_before(conn, name, task.limits)
        if result is None and task.unless_merged and runs.merged_before(conn, name):
            result = AlreadyMerged()
        if result is None:
            behind = ledger.rewound(conn, known(task))
            try:
                result = (
                    _undo(conn, name, task, behind) if name.mode == Mode.UNDO else _pull(conn, name, task, sis, behind)
                )
            except AlreadyStagedError:
                result = answer_before(conn, name, task.limits)
        version = runs.data_version(conn)
    if isinstance(result, AlreadyMerged):
        summary = summary_of(task, Outcome.ALREADY_MERGED)
        summary.data_version = version
        return summary
    staged = given(result, "the staged plan")
    summary = summary_of(task, Outcome.STAGED)
    summary.plan = plan_summary(staged.plan, staged.hits)
    summary.issues = issue_counts(staged.plan)
    summary.version = staged.version
    summary.counts = {entity: counts.received for entity, counts in staged.plan.entities.items()}
    return summary


def _pull(
    conn: psycopg.Connection, name: RunName, task: WorkerTask, sis: Path, behind: ledger.Rewound | None
) -> Staged:
    spec = given(task.spec, "spec")
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
    sync = given(task.sync, "sync")
    undone = undo.find(conn, name.namespace, given(sync.undoes, "undoes"))
    return stage_undo(
        conn, name, undone, attempt=task.attempt, limits=task.limits, overwrite=sync.overwrite, rewound=behind
    )
