"""The one place where an error becomes a Failure: a reason, a sentence, a next step, and nothing of the data."""

from __future__ import annotations

import re

import psycopg

from roster_operator.api.sync import Failure
from roster_operator.oneroster.errors import OneRosterError
from roster_operator.store.errors import StoreError, translate

_UNPRINTABLE = re.compile(r"[^ -~]+")
_LONGEST = 1000


class WorkerError(Exception):
    """A step could not begin or go on, for a reason of the worker's own."""

    def __init__(self, reason: str, message: str, next_step: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.next_step = next_step
        self.retryable = retryable


class DeltaNotEnoughError(WorkerError):
    """Only a whole pull can tell whether records have come under another sourcedId. Nothing is staged.

    It is raised where everything can be read in place of the changes, for whoever does that."""

    def __init__(self) -> None:
        super().__init__(
            "DeltaNotEnough",
            "The changes show what may be merged already under another sourcedId, so everything has to be read.",
            "Run a full sync.",
        )


def failure_of(error: BaseException) -> Failure:
    """Typed errors speak for themselves; of any other only the type's name is told, since its text may hold rows."""
    if isinstance(error, psycopg.Error):
        error = translate(error)
    if isinstance(error, OneRosterError):
        place = f" ({error.entity}{f', page {error.page}' if error.page else ''})" if error.entity else ""
        return failure(str(error.reason), f"{error.message}{place}", error.next_step, retryable=error.retryable)
    if isinstance(error, (StoreError, WorkerError)):
        return failure(error.reason, error.message, error.next_step, retryable=error.retryable)
    if isinstance(error, MemoryError):
        return failure("OutOfMemory", "The worker ran out of memory.", "Give the Jobs more memory.", retryable=True)
    return failure(
        "InternalError",
        f"The worker met an error that it does not know ({type(error).__name__}).",
        "Report this with the Job's log.",
        retryable=True,
    )


def failure(reason: str, message: str, next_step: str = "", *, retryable: bool = False) -> Failure:
    """A Failure whose text is safe for a status: printable ASCII, bounded."""
    text = _UNPRINTABLE.sub("?", f"{message} {next_step}".strip())
    return Failure(reason=reason, message=text[:_LONGEST], retryable=retryable)
