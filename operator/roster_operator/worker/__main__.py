"""The entry point of a Job's pod: ROSTER_TASK in, a summary as termination message out, and an exit code.

Exit 0: done, whatever the outcome of a test. 65: failed for good. 75: failed, may be run again.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import pydantic

from roster_operator.api.task import (
    DATABASE_SECRET_PATH,
    EXIT_DONE,
    EXIT_PERMANENT,
    EXIT_RETRY,
    SIS_SECRET_PATH,
    TASK_VARIABLE,
    TERMINATION_MESSAGE_LIMIT,
    TERMINATION_MESSAGE_PATH,
    WEBHOOK_SECRET_PATH,
    WorkerSummary,
    WorkerTask,
)

from .steps import run_step

# Where the worker runs outside a pod, in tests and benchmarks.
_SHORT = 200
MESSAGE_PATH_VARIABLE = "ROSTER_TERMINATION_MESSAGE"
SIS_PATH_VARIABLE = "ROSTER_SIS_SECRET_PATH"
DATABASE_PATH_VARIABLE = "ROSTER_DATABASE_SECRET_PATH"
WEBHOOK_PATH_VARIABLE = "ROSTER_WEBHOOK_SECRET_PATH"


def main() -> int:
    """Run the task of the environment."""
    try:
        task = WorkerTask.model_validate_json(os.environ.get(TASK_VARIABLE, ""))
    except pydantic.ValidationError as error:
        sys.stderr.write(f"{TASK_VARIABLE} is missing or malformed: {error.error_count()} errors\n")
        return EXIT_PERMANENT
    summary = run_step(
        task,
        sis=Path(os.environ.get(SIS_PATH_VARIABLE, SIS_SECRET_PATH)),
        database=Path(os.environ.get(DATABASE_PATH_VARIABLE, DATABASE_SECRET_PATH)),
        signing=Path(os.environ.get(WEBHOOK_PATH_VARIABLE, WEBHOOK_SECRET_PATH)),
    )
    summary.max_rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    text = fit(summary)
    Path(os.environ.get(MESSAGE_PATH_VARIABLE, TERMINATION_MESSAGE_PATH)).write_bytes(text)
    sys.stdout.write(text.decode() + "\n")
    if summary.failure is None:
        return EXIT_DONE
    return EXIT_RETRY if summary.failure.retryable else EXIT_PERMANENT


def fit(summary: WorkerSummary, limit: int = TERMINATION_MESSAGE_LIMIT) -> bytes:
    """The summary as JSON within the limit: the least important parts go first, one by one."""
    small = summary.model_copy(deep=True)
    while len(text := _json(small)) > limit and _shorten(small):
        pass
    return text


def _json(summary: WorkerSummary) -> bytes:
    return summary.model_dump_json(by_alias=True, exclude_none=True).encode()


def _shorten(summary: WorkerSummary) -> bool:
    """Leave out one thing. False where nothing is left that may go."""
    failures = [failure for failure in (summary.failure, summary.test and summary.test.failure) if failure]
    long = next((failure for failure in failures if len(failure.message) > _SHORT), None)
    if summary.plan and summary.plan.taken and summary.plan.taken.without_one():
        pass
    elif summary.issues:
        summary.issues.pop()
    elif summary.test and summary.test.checks:
        summary.test.checks.pop()
    elif summary.counts:
        summary.counts = {}
    elif long is not None:
        long.message = long.message[:_SHORT]
    elif summary.plan and summary.plan.checks:
        summary.plan.checks.popitem()  # the rarest: they come most frequent first
    elif summary.plan and summary.plan.incomplete_reason:
        summary.plan.incomplete_reason = None
    # One limit is enough to hold a sync; the digest and the counts stay whatever happens.
    elif summary.plan and len(summary.plan.held) > 1:
        summary.plan.held.pop()
    elif summary.plan and len(summary.plan.limits) > 1:
        summary.plan.limits.pop()
    else:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
