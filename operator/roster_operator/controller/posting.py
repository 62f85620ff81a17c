"""What a webhook is told, one Job for each, and what becomes of it. Pure.

One Job of a connection at a time, the oldest occasion first: a receiver gets them in order, unless one has to be tried
again. Status remembers what was posted, beside what was mailed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from roster_operator.api.notices import TOLD_KEPT, Notified, Notify, Posted
from roster_operator.api.task import Outcome

from .notices import ATTEMPTS, Occurrence, again, asked
from .results import JobKind, JobState

LOOK = 15.0  # seconds between two looks at a Job under way, or at a full house


@dataclass(frozen=True)
class Begin:
    """A Job that is to be made now."""

    occurrence: Occurrence
    attempt: int


def under_way(notified: Notified) -> Posted | None:
    """What a Job is sending."""
    return next((entry for entry in notified.posted if entry.job), None)


def due(notify: Notify, found: Sequence[Occurrence], notified: Notified, now: datetime) -> list[Begin]:
    """What may be sent now, the oldest first; nothing while a Job is under way."""
    if notify.webhook is None or under_way(notified):
        return []
    known = {entry.key: entry for entry in notified.posted}
    result: list[Begin] = []
    for one in reversed(asked(notify, found)):
        entry = known.get(one.key)
        if entry is None and one.ripe <= now:
            result.append(Begin(one, 1))
        elif entry is not None and entry.next is not None and entry.next <= now:
            result.append(Begin(one, entry.attempts + 1))
    return result


def begun(notified: Notified, begin: Begin, job: str, found: Iterable[Occurrence]) -> Notified:
    """Its Job was made."""
    return _put(notified, Posted(key=begin.occurrence.key, job=job, attempts=begin.attempt), found)


def ended(entry: Posted, job: JobState, now: datetime) -> tuple[Posted, str]:
    """What is remembered after a look at the Job; and why it is given up, if it is."""
    if job.kind in {JobKind.RUNNING, JobKind.STUCK}:
        return entry, ""
    failure = job.summary.failure if job.summary else None
    if job.summary and job.summary.outcome is Outcome.NOTIFIED:
        return Posted(key=entry.key), ""
    if entry.attempts < ATTEMPTS and (failure is None or failure.retryable):
        return entry.model_copy(update={"job": None, "next": again(entry.attempts, now)}), ""
    why = f"{failure.reason}: {failure.message}" if failure else f"{job.reason}: {job.message}"
    return Posted(key=entry.key), why


def refused(notified: Notified, begin: Begin, found: Iterable[Occurrence], now: datetime) -> tuple[Notified, bool]:
    """The API server would not have its Job; and whether it is given up."""
    last = begin.attempt >= ATTEMPTS
    entry = Posted(key=begin.occurrence.key)
    if not last:
        entry = entry.model_copy(update={"attempts": begin.attempt, "next": again(begin.attempt, now)})
    return _put(notified, entry, found), last


def replaced(notified: Notified, entry: Posted) -> Notified:
    """With this entry in place of the one of its key."""
    posted = [entry if one.key == entry.key else one for one in notified.posted]
    return notified.model_copy(update={"posted": posted})


def wake(notify: Notify, found: Sequence[Occurrence], notified: Notified, now: datetime) -> float | None:
    """Seconds until something may be due by itself."""
    if notify.webhook is None:
        return None
    if under_way(notified):
        return LOOK
    known = {entry.key: entry for entry in notified.posted}
    moments: list[datetime] = []
    for one in asked(notify, found):
        entry = known.get(one.key)
        if entry is None:
            moments.append(one.ripe)
        elif entry.next is not None:
            moments.append(entry.next)
    return max((min(moments) - now).total_seconds(), 1.0) if moments else None


def _put(notified: Notified, entry: Posted, found: Iterable[Occurrence]) -> Notified:
    stands = {one.key for one in found}
    others = [one for one in notified.posted if one.key != entry.key]
    # What no longer stands is forgotten last: it may be a stale look that does not see it.
    posted = [*sorted(others, key=lambda one: one.key in stands), entry]
    return notified.model_copy(update={"posted": posted[-TOLD_KEPT:]})
