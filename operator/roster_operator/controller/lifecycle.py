"""The whole life of a RosterSync, as one table.

Read a row as: in this state, when all these facts hold, take this step; the phase is then that, for this reason. The
rows of a state are asked from top to bottom, and the last one always holds. `decide` is a pure function over the
table; the facts are gathered by `observe.py`, the steps are taken by `sync_reconciler.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from roster_operator.api.sync import Phase


class State(StrEnum):
    """Where a sync stands: its phase, or CLOSING while its staged rows are discarded, or ENDED."""

    PENDING = "Pending"
    STAGING = "Staging"
    AWAITING_APPROVAL = "AwaitingApproval"
    BLOCKED = "Blocked"
    MERGING = "Merging"
    MERGED = "Merged"
    CLOSING = "Closing"  # ended or deleted without a merge: staged rows are discarded
    ENDED = "Ended"  # nothing of it is left to do


class Fact(StrEnum):
    """What is true of a sync, its connection and its Job at one moment."""

    REJECTED = "spec.rejected is set"
    HELD = "the finalizer stands"
    PINNED = "tenant and database are copied to status"
    UNPINNED = "they are not"
    CONNECTION_MISSING = "the connection does not exist"
    CONNECTION_NOT_READY = "the connection's present spec has not been tested well, and the sync is a pull"
    SUSPENDED = "its connection is suspended"
    SKIPPED = "a pause in which nothing is pulled"
    PAUSED = "a pause: nothing is merged"
    AT_CAPACITY = "as many Jobs run as may"
    OTHER_JOBS_STAND = "a Job of another step still exists"

    JOB_FOUND = "the Job about to be created exists: we were killed between creating it and writing so"
    RUNNING = "the Job runs"
    STUCK = "the Job's pod cannot start"
    NEVER_STARTED = "the Job's pod did not start in time"
    LOST = "the Job ended, is gone or overdue, without an answer"
    OUT_OF_ATTEMPTS = "no further attempt is permitted"
    COOLING = "the next attempt is not due yet"
    RETRYABLE = "the answer: failed, and another try may help"
    UNSETTLED = "an earlier attempt of this merge left no answer that settles it"

    STAGED = "the answer: staged, with a plan"
    ALREADY_MERGED = "the answer: merged before"
    MERGED = "the answer: merged"
    PLAN_CHANGED = "the answer: another merge came between, with a new plan"
    DISCARDED = "the answer: nothing staged is left"
    FAILED = "the answer: failed"

    UNTOLD = "status says that the database may hold the merge"

    APPROVED = "the plan is approved"
    DIGEST_MISMATCH = "approvedPlan names another digest"
    DATABASE_REWOUND = "the plan is for a database that was put back, and nobody approved it by its digest"
    BEYOND_LIMITS = "the plan is beyond limits"
    FIRST_NEEDS_REVIEW = "approved in advance, and nothing of the connection was merged before"
    SUPERSEDED = "a newer pull of the connection is staged"
    UNDO_CAME = "an undo of the same sync was staged later; or, for a pull, one was merged since"
    EQUAL_PLAN = "an older sync waits with an equal plan, or merged it since"
    EXPIRED = "it has waited as long as it may"
    OUTLIVED = "it ended long enough ago, and nothing tracks it"
    APPROVED_OLD_PLAN = "the plan was computed again, which only approvedPlan approves"


class Step(StrEnum):
    """What is done about it."""

    NOTHING = "nothing"
    WAIT = "wait, and say for what"
    HOLD = "set the finalizer"
    PIN = "copy tenant and database to status"
    START = "create the Job, then write so"
    RECORD = "write that the Job exists"
    RETRY = "create the next attempt's Job"
    PUBLISH = "put the plan into status"
    APPROVE = "latch the approval"
    FINISH = "end"
    TELL = "say that the database does hold the merge"
    STOP = "delete the Jobs of other steps"
    RELEASE = "remove the finalizer"
    DELETE = "delete the object"
    GIVE_UP = "remove the finalizer, and say that staged rows may be left"


@dataclass(frozen=True)
class Row:
    """One row of the table. An empty reason is taken from the Job's answer; no phase means that it stays."""

    state: State
    when: frozenset[Fact]
    step: Step
    phase: Phase | None = None
    reason: str = ""


def _row(state: State, when: Collection[Fact], step: Step, phase: Phase | None = None, reason: str = "") -> Row:
    return Row(state, frozenset(when), step, phase, reason)


AT_CAPACITY = "JobsAtCapacity"  # a reason by which the operator itself goes
_S, _F = State, Fact

_WAITING = tuple(
    row
    for state in (_S.AWAITING_APPROVAL, _S.BLOCKED)
    for row in (
        _row(state, {_F.REJECTED}, Step.FINISH, Phase.REJECTED, "Rejected"),
        _row(state, {_F.APPROVED, _F.SUSPENDED}, Step.WAIT, Phase.AWAITING_APPROVAL, "Suspended"),
        _row(state, {_F.APPROVED, _F.PAUSED}, Step.WAIT, Phase.AWAITING_APPROVAL, "Paused"),
        _row(state, {_F.APPROVED}, Step.APPROVE, Phase.MERGING, "Approved"),
        # Only what nobody approved is superseded, or expires.
        _row(state, {_F.SUPERSEDED}, Step.FINISH, Phase.SUPERSEDED, "NewerPull"),
        _row(state, {_F.UNDO_CAME}, Step.FINISH, Phase.SUPERSEDED, "NewerUndo"),
        _row(state, {_F.EQUAL_PLAN}, Step.FINISH, Phase.SUPERSEDED, "EqualPlan"),
        _row(state, {_F.EXPIRED}, Step.FINISH, Phase.EXPIRED, "StagedForPassed"),
        _row(state, {_F.DIGEST_MISMATCH, _F.BEYOND_LIMITS}, Step.WAIT, Phase.BLOCKED, "DigestMismatch"),
        _row(state, {_F.DIGEST_MISMATCH}, Step.WAIT, Phase.AWAITING_APPROVAL, "DigestMismatch"),
        _row(state, {_F.DATABASE_REWOUND}, Step.WAIT, Phase.BLOCKED, "DatabaseRewound"),
        _row(state, {_F.BEYOND_LIMITS}, Step.WAIT, Phase.BLOCKED, "BeyondLimits"),
        _row(state, {_F.FIRST_NEEDS_REVIEW}, Step.WAIT, Phase.BLOCKED, "FirstSyncNeedsReview"),
        _row(state, {_F.APPROVED_OLD_PLAN}, Step.WAIT, Phase.AWAITING_APPROVAL, "PlanChanged"),
        _row(state, {}, Step.WAIT, Phase.AWAITING_APPROVAL, "WaitingForApproval"),
    )
)

TABLE: tuple[Row, ...] = (
    # Pending: until its connection is ready and a Job may run.
    _row(_S.PENDING, {_F.REJECTED}, Step.FINISH, Phase.REJECTED, "Rejected"),
    _row(_S.PENDING, {_F.HELD, _F.PINNED, _F.JOB_FOUND}, Step.RECORD, Phase.STAGING, "Staging"),
    _row(_S.PENDING, {_F.CONNECTION_MISSING}, Step.WAIT, Phase.PENDING, "ConnectionNotFound"),
    _row(_S.PENDING, {_F.SUSPENDED}, Step.WAIT, Phase.PENDING, "Suspended"),
    _row(_S.PENDING, {_F.SKIPPED}, Step.WAIT, Phase.PENDING, "Paused"),
    _row(_S.PENDING, {_F.CONNECTION_NOT_READY}, Step.WAIT, Phase.PENDING, "ConnectionNotReady"),
    _row(_S.PENDING, {_F.AT_CAPACITY}, Step.WAIT, Phase.PENDING, AT_CAPACITY),
    _row(_S.PENDING, {_F.HELD, _F.PINNED}, Step.START, Phase.STAGING, "Staging"),
    _row(_S.PENDING, {_F.HELD}, Step.PIN, Phase.PENDING, "Starting"),
    _row(_S.PENDING, {}, Step.HOLD, Phase.PENDING, "Starting"),
    # Staging: the stage Job pulls, checks and plans.
    _row(_S.STAGING, {_F.REJECTED}, Step.FINISH, Phase.REJECTED, "Rejected"),
    _row(_S.STAGING, {_F.UNPINNED}, Step.FINISH, Phase.FAILED, "StatusIncomplete"),
    _row(_S.STAGING, {_F.STAGED, _F.APPROVED}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "Staged"),
    _row(_S.STAGING, {_F.STAGED, _F.DATABASE_REWOUND}, Step.PUBLISH, Phase.BLOCKED, "DatabaseRewound"),
    _row(_S.STAGING, {_F.STAGED, _F.BEYOND_LIMITS}, Step.PUBLISH, Phase.BLOCKED, "BeyondLimits"),
    _row(_S.STAGING, {_F.STAGED, _F.FIRST_NEEDS_REVIEW}, Step.PUBLISH, Phase.BLOCKED, "FirstSyncNeedsReview"),
    _row(_S.STAGING, {_F.STAGED}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "WaitingForApproval"),
    _row(_S.STAGING, {_F.ALREADY_MERGED}, Step.FINISH, Phase.MERGED, "AlreadyMerged"),
    _row(_S.STAGING, {_F.FAILED}, Step.FINISH, Phase.FAILED),
    _row(_S.STAGING, {_F.NEVER_STARTED}, Step.FINISH, Phase.FAILED),
    _row(_S.STAGING, {_F.LOST, _F.OUT_OF_ATTEMPTS}, Step.FINISH, Phase.FAILED),
    _row(_S.STAGING, {_F.LOST, _F.CONNECTION_MISSING}, Step.FINISH, Phase.FAILED, "ConnectionNotFound"),
    _row(_S.STAGING, {_F.LOST}, Step.RETRY, Phase.STAGING, "Staging"),
    _row(_S.STAGING, {_F.STUCK}, Step.WAIT, Phase.STAGING),
    _row(_S.STAGING, {_F.RUNNING}, Step.WAIT, Phase.STAGING, "Staging"),
    _row(_S.STAGING, {_F.JOB_FOUND}, Step.RECORD, Phase.STAGING, "Staging"),
    _row(_S.STAGING, {_F.CONNECTION_MISSING}, Step.FINISH, Phase.FAILED, "ConnectionNotFound"),
    _row(_S.STAGING, {}, Step.START, Phase.STAGING, "Staging"),
    # AwaitingApproval and Blocked: a person's turn, unless approval came in advance.
    *_WAITING,
    # Merging: the merge Job applies exactly the approved plan. A no comes too late, a deletion waits.
    _row(_S.MERGING, {_F.UNPINNED}, Step.FINISH, Phase.FAILED, "StatusIncomplete"),
    _row(_S.MERGING, {_F.MERGED}, Step.FINISH, Phase.MERGED, "Merged"),
    _row(_S.MERGING, {_F.ALREADY_MERGED}, Step.FINISH, Phase.MERGED, "AlreadyMerged"),
    _row(_S.MERGING, {_F.PLAN_CHANGED, _F.DATABASE_REWOUND}, Step.PUBLISH, Phase.BLOCKED, "DatabaseRewound"),
    _row(_S.MERGING, {_F.PLAN_CHANGED, _F.BEYOND_LIMITS}, Step.PUBLISH, Phase.BLOCKED, "BeyondLimits"),
    _row(_S.MERGING, {_F.PLAN_CHANGED}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "PlanChanged"),
    # Only the database knows whether a merge without a clear answer was done: it is asked again, by merging again.
    _row(_S.MERGING, {_F.FAILED, _F.RETRYABLE, _F.OUT_OF_ATTEMPTS}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    _row(_S.MERGING, {_F.FAILED, _F.RETRYABLE, _F.COOLING}, Step.WAIT, Phase.MERGING, "Merging"),
    _row(_S.MERGING, {_F.FAILED, _F.RETRYABLE}, Step.RETRY, Phase.MERGING, "Merging"),
    _row(_S.MERGING, {_F.FAILED, _F.UNSETTLED}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    _row(_S.MERGING, {_F.FAILED}, Step.FINISH, Phase.FAILED),
    _row(_S.MERGING, {_F.NEVER_STARTED, _F.UNSETTLED}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    _row(_S.MERGING, {_F.NEVER_STARTED}, Step.FINISH, Phase.FAILED),
    _row(_S.MERGING, {_F.LOST, _F.OUT_OF_ATTEMPTS}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    _row(_S.MERGING, {_F.LOST, _F.COOLING}, Step.WAIT, Phase.MERGING, "Merging"),
    _row(_S.MERGING, {_F.LOST}, Step.RETRY, Phase.MERGING, "Merging"),
    _row(_S.MERGING, {_F.STUCK}, Step.WAIT, Phase.MERGING),
    _row(_S.MERGING, {_F.RUNNING}, Step.WAIT, Phase.MERGING, "Merging"),
    _row(_S.MERGING, {_F.JOB_FOUND}, Step.RECORD, Phase.MERGING, "Merging"),
    _row(_S.MERGING, {_F.AT_CAPACITY}, Step.WAIT, Phase.MERGING, AT_CAPACITY),
    _row(_S.MERGING, {}, Step.START, Phase.MERGING, "Merging"),
    # Merged: the merge itself dropped the staged rows.
    _row(_S.MERGED, {_F.HELD}, Step.RELEASE),
    _row(_S.MERGED, {_F.OUTLIVED}, Step.DELETE),
    _row(_S.MERGED, {}, Step.NOTHING),
    # Closing: what was staged is discarded, within bounds: a cluster without its database must be able to delete.
    _row(_S.CLOSING, {_F.OTHER_JOBS_STAND}, Step.STOP),
    _row(_S.CLOSING, {_F.DISCARDED}, Step.RELEASE),
    _row(_S.CLOSING, {_F.MERGED, _F.UNTOLD}, Step.TELL),
    _row(_S.CLOSING, {_F.ALREADY_MERGED, _F.UNTOLD}, Step.TELL),
    _row(_S.CLOSING, {_F.MERGED}, Step.RELEASE),
    _row(_S.CLOSING, {_F.ALREADY_MERGED}, Step.RELEASE),
    _row(_S.CLOSING, {_F.FAILED, _F.OUT_OF_ATTEMPTS}, Step.GIVE_UP),
    _row(_S.CLOSING, {_F.NEVER_STARTED, _F.OUT_OF_ATTEMPTS}, Step.GIVE_UP),
    _row(_S.CLOSING, {_F.LOST, _F.OUT_OF_ATTEMPTS}, Step.GIVE_UP),
    _row(_S.CLOSING, {_F.FAILED, _F.COOLING}, Step.WAIT),
    _row(_S.CLOSING, {_F.LOST, _F.COOLING}, Step.WAIT),
    _row(_S.CLOSING, {_F.FAILED}, Step.RETRY),
    _row(_S.CLOSING, {_F.NEVER_STARTED}, Step.RETRY),
    _row(_S.CLOSING, {_F.LOST}, Step.RETRY),
    _row(_S.CLOSING, {_F.STUCK}, Step.WAIT),
    _row(_S.CLOSING, {_F.RUNNING}, Step.WAIT),
    _row(_S.CLOSING, {_F.JOB_FOUND}, Step.RECORD),
    _row(_S.CLOSING, {_F.PINNED, _F.AT_CAPACITY}, Step.WAIT),
    _row(_S.CLOSING, {_F.PINNED}, Step.START),
    _row(_S.CLOSING, {}, Step.RELEASE),  # no tenant in status: no Job was ever created
    # Ended: kept for people to read, until they, its time to live or a history limit delete it.
    _row(_S.ENDED, {_F.OUTLIVED}, Step.DELETE),
    _row(_S.ENDED, {}, Step.NOTHING),
)


@dataclass(frozen=True)
class Decision:
    """The row that holds, and the phase that follows from it."""

    row: Row
    phase: Phase

    @property
    def step(self) -> Step:
        """What is done."""
        return self.row.step


def decide(state: State, phase: Phase, facts: frozenset[Fact]) -> Decision:
    """The first row of `state` whose facts all hold."""
    for row in TABLE:
        if row.state is state and row.when <= facts:
            return Decision(row, row.phase or phase)
    raise AssertionError(f"the table has no last row for {state}")
