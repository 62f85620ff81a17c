"""The life of a RosterConnection's test, as one table, like lifecycle.py.

A test is due when the spec changed, when somebody asked for it, when the interval is over, and again soon after it
failed. One test runs at a time; one of an older spec is called off.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from roster_operator.api.kinds import TEST_REQUESTED_AT

from .objects import Connection, parse_duration
from .results import JobKind, JobState
from .settings import Settings
from .table import Row, first, row, those_true


class Fact(StrEnum):
    """What is true of a connection and its test."""

    DELETING = "it is being deleted"
    TESTING = "status names a test Job"
    OF_OLD_SPEC = "the spec changed since that Job was created"
    RUNNING = "the Job runs"
    STUCK = "the Job's pod cannot start"
    ENDED = "the Job ended, with or without an answer"
    GONE = "the Job is gone"
    DUE = "a test is due"
    SUSPENDED = "it is suspended"
    AT_CAPACITY = "as many Jobs run as may"


class Step(StrEnum):
    """What is done about it."""

    NOTHING = "nothing"
    WAIT = "wait"
    CALL_OFF = "delete the Job and forget it"
    CONCLUDE = "write what the test found"
    START = "create the Job, then write so"


TABLE: tuple[Row[Fact, Step], ...] = (
    row({Fact.DELETING}, Step.NOTHING),  # its Jobs go with it
    row({Fact.TESTING, Fact.OF_OLD_SPEC}, Step.CALL_OFF),
    row({Fact.TESTING, Fact.ENDED}, Step.CONCLUDE),
    row({Fact.TESTING, Fact.GONE}, Step.CALL_OFF),
    row({Fact.TESTING, Fact.STUCK}, Step.WAIT),
    row({Fact.TESTING, Fact.RUNNING}, Step.WAIT),
    row({Fact.DUE, Fact.SUSPENDED}, Step.NOTHING),
    row({Fact.DUE, Fact.AT_CAPACITY}, Step.WAIT),
    row({Fact.DUE}, Step.START),
    row((), Step.NOTHING),
)


@dataclass(frozen=True)
class TestSnapshot:
    """All that was read about one connection at one moment."""

    __test__ = False  # not a test of pytest's

    now: datetime
    connection: Connection
    job: JobState | None  # the Job that status names; None where there is none
    job_generation: int | None  # of the spec that the Job was created for
    slot: bool = True


def decide(snapshot: TestSnapshot) -> Step:
    """The first row whose facts all hold."""
    facts = facts_of(snapshot)
    return first(TABLE, facts)


def facts_of(snapshot: TestSnapshot) -> frozenset[Fact]:
    """Everything that is true of `snapshot`."""
    connection, job = snapshot.connection, snapshot.job
    ended = job is not None and job.kind in {JobKind.DONE, JobKind.LOST, JobKind.NEVER_STARTED}
    truths = {
        Fact.DELETING: connection.meta.deleting,
        Fact.TESTING: connection.status.test_job is not None,
        Fact.OF_OLD_SPEC: snapshot.job_generation not in (None, connection.meta.generation),
        Fact.RUNNING: job is not None and job.kind is JobKind.RUNNING,
        Fact.STUCK: job is not None and job.kind is JobKind.STUCK,
        Fact.ENDED: ended,
        Fact.GONE: job is None,
        Fact.DUE: trigger(connection, snapshot.now) is not None,
        Fact.SUSPENDED: connection.spec.suspend,
        Fact.AT_CAPACITY: not snapshot.slot,
    }
    return those_true(truths)


def requested(connection: Connection) -> str | None:
    """The value of the annotation that asks for a test, as far as status can echo it."""
    value = connection.meta.annotations.get(TEST_REQUESTED_AT)
    return value[:64] if value else None


def trigger(connection: Connection, now: datetime) -> str | None:
    """What makes a test due, in words that are the same until that test has ended; None where none is due."""
    status, ready = connection.status, connection.ready
    asked = requested(connection)
    due = status.next_test_time
    new_spec = ready is None or ready.observed_generation != connection.meta.generation
    asked_for = asked is not None and asked != status.last_handled_test_request
    if not (new_spec or asked_for or due is None or now >= due):
        return None
    return f"{connection.meta.generation}/{asked or ''}/{due.isoformat() if due else ''}"


def next_test(connection: Connection, *, passed: bool, now: datetime, settings: Settings) -> datetime:
    """When the next test is due: after the interval, or soon after a failure and later the longer it lasts.

    The jitter is the connection's own, so that ten thousand connections spread and tests see the same every time.
    """
    share = int.from_bytes(hashlib.sha256(connection.meta.uid.encode()).digest()[:4], "big") / 2**32
    if passed:
        return _whole(now + parse_duration(connection.spec.test_interval) * (0.9 + 0.1 * share))
    ready = connection.ready
    failing = now - ready.last_transition_time if ready and ready.status == "False" else timedelta()
    pause = min(max(failing.total_seconds() / 2, settings.test_retry_min), settings.test_retry_max)
    return _whole(now + timedelta(seconds=pause * (0.8 + 0.2 * share)))


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
