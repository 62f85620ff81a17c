"""The steps as a Job runs them: from a task to a summary. Each may be run again and then answers the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from roster_operator.api.notices import SIGNING_KEY
from roster_operator.api.task import (
    DATABASE_SECRET_PATH,
    SIS_SECRET_PATH,
    WEBHOOK_SECRET_PATH,
    Outcome,
    Step,
    WorkerSummary,
    WorkerTask,
)

from . import database_steps
from .failures import failure_of
from .inputs import MountedSecret
from .tasks import given, summary_of


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
        summary = summary_of(task, Outcome.FAILED)
        summary.failure = failure_of(error)
    summary.seconds = round(time.monotonic() - started, 2)
    return summary


# A merge speaks to no source. Half of its start would go into what only the others need.


def _test(task: WorkerTask, sis: Path, database: Path) -> WorkerSummary:
    from . import source_steps  # noqa: PLC0415

    return source_steps.test(task, sis, database)


def _stage(task: WorkerTask, sis: Path, database: Path) -> WorkerSummary:
    from . import source_steps  # noqa: PLC0415

    return source_steps.stage(task, sis, database)


def _notify(task: WorkerTask, signing: Path) -> WorkerSummary:
    from . import webhook  # noqa: PLC0415

    notice = given(task.notice, "notice")
    use = notice.webhook.secret_ref.secret()
    webhook.post(notice, MountedSecret(signing, use.name, use.keys).need(SIGNING_KEY), task.policy)
    return summary_of(task, Outcome.NOTIFIED)


_STEPS: dict[Step, Callable[[WorkerTask, Path, Path], WorkerSummary]] = {
    Step.TEST: _test,
    Step.STAGE: _stage,
    Step.MERGE: database_steps.merge,
    Step.DISCARD: database_steps.discard,
    Step.PURGE: database_steps.purge,
}
