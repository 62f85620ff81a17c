"""The end of a RosterConnection whose rows go with it (deletionPolicy: Purge), as one table, like lifecycle.py.

A finalizer stands while the policy says Purge. It always goes: with the purge, when the policy is taken back, or after
bounded tries with an Event that says what is left. A cluster without its database must still be able to delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from roster_operator.api.connection import DeletionPolicy
from roster_operator.api.task import Outcome

from .objects import Connection
from .results import JobKind, JobState
from .settings import Settings
from .table import Row, first, row, those_true


class Fact(StrEnum):
    """What is true of a connection and its purge."""

    HELD = "our finalizer stands"
    DELETING = "it is being deleted"
    PURGES = "its policy says Purge"
    PURGED = "the Job says that the rows are gone"
    RUNNING = "the Job runs"
    STUCK = "the Job's pod cannot start"
    ENDED = "the Job ended otherwise, or is gone"
    COOLING = "it ended a moment ago"
    OUT_OF_ATTEMPTS = "as many Jobs were tried as may"
    OVERDUE = "it has been tried for as long as it may"
    STAGING = "a stage Job of one of its syncs runs"
    MERGING = "a merge Job of one of its syncs runs"
    AT_CAPACITY = "as many Jobs run as may"


class Step(StrEnum):
    """What is done about it."""

    NOTHING = "nothing"
    HOLD = "set the finalizer"
    RELEASE = "remove the finalizer"
    REPORT = "tell what went, and remove the finalizer"
    GIVE_UP = "tell that rows are left, and remove the finalizer"
    WAIT = "wait"
    STOP = "delete the stage Jobs: what they would bring is purged anyway"
    START = "create the Job, then write so"
    RETRY = "create another Job, then write so"


_F = Fact
TABLE: tuple[Row[Fact, Step], ...] = (
    row({_F.DELETING, _F.HELD, _F.PURGED}, Step.REPORT),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.OVERDUE}, Step.GIVE_UP),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.ENDED, _F.OUT_OF_ATTEMPTS}, Step.GIVE_UP),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.RUNNING}, Step.WAIT),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.STUCK}, Step.WAIT),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.ENDED, _F.COOLING}, Step.WAIT),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.ENDED}, Step.RETRY),
    # Nothing may be written beside the purge, or after it.
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.STAGING}, Step.STOP),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.MERGING}, Step.WAIT),
    row({_F.DELETING, _F.HELD, _F.PURGES, _F.AT_CAPACITY}, Step.WAIT),
    row({_F.DELETING, _F.HELD, _F.PURGES}, Step.START),
    row({_F.DELETING, _F.HELD}, Step.RELEASE),  # Retain, since it was deleted or before
    row({_F.DELETING}, Step.NOTHING),
    row({_F.PURGES, _F.HELD}, Step.NOTHING),
    row({_F.PURGES}, Step.HOLD),
    row({_F.HELD}, Step.RELEASE),
    row((), Step.NOTHING),
)


@dataclass(frozen=True)
class PurgeSnapshot:
    """All that was read about one connection's end at one moment. `busy`: steps of its syncs whose Jobs run."""

    now: datetime
    connection: Connection
    job: JobState | None
    busy: frozenset[str] = frozenset()
    slot: bool = True


def decide(snapshot: PurgeSnapshot, settings: Settings) -> Step:
    """The first row whose facts all hold."""
    facts = facts_of(snapshot, settings)
    return first(TABLE, facts)


def facts_of(snapshot: PurgeSnapshot, settings: Settings) -> frozenset[Fact]:
    """Everything that is true of `snapshot`."""
    connection, job, now = snapshot.connection, snapshot.job, snapshot.now
    begun = connection.status.purge
    window = timedelta(seconds=settings.purge_window)
    purged = job is not None and job.summary is not None and job.summary.outcome is Outcome.PURGED
    kind = job.kind if job else None
    pause = timedelta(seconds=min(settings.retry_delay, settings.retry_delay_max))
    truths = {
        Fact.HELD: connection.purge_held,
        Fact.DELETING: connection.meta.deleting,
        Fact.PURGES: connection.spec.deletion_policy is DeletionPolicy.PURGE,
        Fact.PURGED: purged,
        Fact.RUNNING: kind is JobKind.RUNNING,
        Fact.STUCK: kind is JobKind.STUCK,
        Fact.ENDED: kind in {JobKind.DONE, JobKind.LOST, JobKind.NEVER_STARTED} and not purged,
        Fact.COOLING: job is not None and job.ended is not None and now - job.ended < pause,
        Fact.OUT_OF_ATTEMPTS: begun is not None and begun.attempt >= settings.discard_attempts,
        Fact.OVERDUE: connection.meta.deleted is not None and now - connection.meta.deleted > window,
        Fact.STAGING: "stage" in snapshot.busy,
        Fact.MERGING: "merge" in snapshot.busy,
        Fact.AT_CAPACITY: not snapshot.slot,
    }
    return those_true(truths)
