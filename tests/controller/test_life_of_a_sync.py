"""The table: that it is whole, and what it says in each situation that has a name."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

from itertools import combinations

import pytest

from roster_operator.api.sync import FINAL, Phase
from roster_operator.controller.lifecycle import TABLE, Fact, State, Step, decide

F, S = Fact, State

# In this state, with these facts: this step, and the phase that follows.
SITUATIONS: list[tuple[str, State, set[Fact], Step, Phase | None, str]] = [
    ("waits for a connection that is not there", S.PENDING, {F.CONNECTION_MISSING}, Step.WAIT, Phase.PENDING, "ConnectionNotFound"),
    ("waits for a connection that fails", S.PENDING, {F.CONNECTION_NOT_READY}, Step.WAIT, Phase.PENDING, "ConnectionNotReady"),
    ("waits for a free place", S.PENDING, {F.AT_CAPACITY}, Step.WAIT, Phase.PENDING, "JobsAtCapacity"),
    ("sets the finalizer first", S.PENDING, set(), Step.HOLD, Phase.PENDING, "Starting"),
    ("then copies what a discard will need", S.PENDING, {F.HELD}, Step.PIN, Phase.PENDING, "Starting"),
    ("and only then creates the Job", S.PENDING, {F.HELD, F.PINNED}, Step.START, Phase.STAGING, "Staging"),
    ("finds the Job it was killed over", S.PENDING, {F.HELD, F.PINNED, F.JOB_FOUND, F.CONNECTION_MISSING}, Step.RECORD, Phase.STAGING, "Staging"),
    ("is rejected before anything ran", S.PENDING, {F.REJECTED, F.HELD, F.PINNED}, Step.FINISH, Phase.REJECTED, "Rejected"),
    ("publishes a plan", S.STAGING, {F.STAGED}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "WaitingForApproval"),
    ("publishes a plan beyond limits as Blocked", S.STAGING, {F.STAGED, F.BEYOND_LIMITS}, Step.PUBLISH, Phase.BLOCKED, "BeyondLimits"),
    ("a plan for a database that was put back is Blocked", S.STAGING, {F.STAGED, F.DATABASE_REWOUND, F.BEYOND_LIMITS}, Step.PUBLISH, Phase.BLOCKED, "DatabaseRewound"),
    ("on a database that was put back it waits", S.BLOCKED, {F.DATABASE_REWOUND, F.BEYOND_LIMITS}, Step.WAIT, Phase.BLOCKED, "DatabaseRewound"),
    ("an exact approval in advance does not block", S.STAGING, {F.STAGED, F.BEYOND_LIMITS, F.APPROVED}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "Staged"),
    ("was merged before", S.STAGING, {F.ALREADY_MERGED}, Step.FINISH, Phase.MERGED, "AlreadyMerged"),
    ("no answer: another attempt", S.STAGING, {F.LOST}, Step.RETRY, Phase.STAGING, "Staging"),
    ("no answer three times", S.STAGING, {F.LOST, F.OUT_OF_ATTEMPTS}, Step.FINISH, Phase.FAILED, ""),
    ("an answer on the last attempt counts", S.STAGING, {F.STAGED, F.OUT_OF_ATTEMPTS}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "WaitingForApproval"),
    ("no pod in time", S.STAGING, {F.NEVER_STARTED}, Step.FINISH, Phase.FAILED, ""),
    ("rejected while staging", S.STAGING, {F.REJECTED, F.STAGED}, Step.FINISH, Phase.REJECTED, "Rejected"),
    ("somebody wrote its status empty", S.MERGING, {F.UNPINNED, F.RUNNING}, Step.FINISH, Phase.FAILED, "StatusIncomplete"),
    ("waits for a person", S.AWAITING_APPROVAL, set(), Step.WAIT, Phase.AWAITING_APPROVAL, "WaitingForApproval"),
    ("is approved", S.AWAITING_APPROVAL, {F.APPROVED}, Step.APPROVE, Phase.MERGING, "Approved"),
    ("a newer pull takes its place", S.AWAITING_APPROVAL, {F.SUPERSEDED}, Step.FINISH, Phase.SUPERSEDED, "NewerPull"),
    ("an undo takes its place", S.BLOCKED, {F.UNDO_CAME, F.BEYOND_LIMITS}, Step.FINISH, Phase.SUPERSEDED, "NewerUndo"),
    ("what is approved is merged all the same", S.AWAITING_APPROVAL, {F.APPROVED, F.UNDO_CAME}, Step.APPROVE, Phase.MERGING, "Approved"),
    ("an equal plan waits already", S.BLOCKED, {F.EQUAL_PLAN, F.BEYOND_LIMITS}, Step.FINISH, Phase.SUPERSEDED, "EqualPlan"),
    ("what is approved is not superseded", S.AWAITING_APPROVAL, {F.APPROVED, F.SUPERSEDED, F.EXPIRED}, Step.APPROVE, Phase.MERGING, "Approved"),
    ("nor what merges", S.MERGING, {F.SUPERSEDED, F.EXPIRED, F.RUNNING}, Step.WAIT, Phase.MERGING, "Merging"),
    ("nobody decided in time", S.AWAITING_APPROVAL, {F.EXPIRED}, Step.FINISH, Phase.EXPIRED, "StagedForPassed"),
    ("its time is over", S.ENDED, {F.OUTLIVED}, Step.DELETE, None, ""),
    ("merged, and its time is over", S.MERGED, {F.OUTLIVED}, Step.DELETE, None, ""),
    ("no beats yes", S.AWAITING_APPROVAL, {F.APPROVED, F.REJECTED}, Step.FINISH, Phase.REJECTED, "Rejected"),
    ("another digest merges nothing", S.AWAITING_APPROVAL, {F.DIGEST_MISMATCH}, Step.WAIT, Phase.AWAITING_APPROVAL, "DigestMismatch"),
    ("another digest, beyond limits", S.BLOCKED, {F.DIGEST_MISMATCH, F.BEYOND_LIMITS}, Step.WAIT, Phase.BLOCKED, "DigestMismatch"),
    ("beyond limits, with the exact digest", S.BLOCKED, {F.BEYOND_LIMITS, F.APPROVED}, Step.APPROVE, Phase.MERGING, "Approved"),
    ("a first sync is reviewed after all", S.BLOCKED, set(), Step.WAIT, Phase.AWAITING_APPROVAL, "WaitingForApproval"),
    ("merges", S.MERGING, set(), Step.START, Phase.MERGING, "Merging"),
    ("a no comes too late", S.MERGING, {F.REJECTED, F.RUNNING}, Step.WAIT, Phase.MERGING, "Merging"),
    ("the plan changed: it waits again", S.MERGING, {F.PLAN_CHANGED}, Step.PUBLISH, Phase.AWAITING_APPROVAL, "PlanChanged"),
    ("a lost merge is asked again", S.MERGING, {F.LOST}, Step.RETRY, Phase.MERGING, "Merging"),
    ("but not at once", S.MERGING, {F.LOST, F.COOLING}, Step.WAIT, Phase.MERGING, "Merging"),
    ("a merge that nobody could ask about", S.MERGING, {F.LOST, F.COOLING, F.OUT_OF_ATTEMPTS}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    ("the database was away", S.MERGING, {F.FAILED, F.RETRYABLE}, Step.RETRY, Phase.MERGING, "Merging"),
    ("the database was away all the time", S.MERGING, {F.FAILED, F.RETRYABLE, F.OUT_OF_ATTEMPTS}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    ("refused at once: nothing was merged", S.MERGING, {F.FAILED}, Step.FINISH, Phase.FAILED, ""),
    ("refused after an attempt was lost: who knows", S.MERGING, {F.FAILED, F.UNSETTLED}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    ("no pod, after an attempt was lost", S.MERGING, {F.NEVER_STARTED, F.UNSETTLED}, Step.FINISH, Phase.FAILED, "MergeUnknown"),
    ("the discard finds the merge that nobody knew of", S.CLOSING, {F.MERGED, F.UNTOLD, F.PINNED}, Step.TELL, None, ""),
    ("after the merge the finalizer goes", S.MERGED, {F.HELD}, Step.RELEASE, None, ""),
    ("closing stops the stage Job first", S.CLOSING, {F.OTHER_JOBS_STAND, F.PINNED}, Step.STOP, None, ""),
    ("then discards", S.CLOSING, {F.PINNED}, Step.START, None, ""),
    ("then lets go", S.CLOSING, {F.DISCARDED, F.PINNED}, Step.RELEASE, None, ""),
    ("lets go at once where nothing was begun", S.CLOSING, {F.HELD}, Step.RELEASE, None, ""),
    ("tries again, later", S.CLOSING, {F.FAILED, F.COOLING, F.PINNED}, Step.WAIT, None, ""),
    ("tries again", S.CLOSING, {F.FAILED, F.PINNED}, Step.RETRY, None, ""),
    ("gives up, and says so", S.CLOSING, {F.FAILED, F.OUT_OF_ATTEMPTS, F.PINNED}, Step.GIVE_UP, None, ""),
    ("a discard that finds it merged lets go", S.CLOSING, {F.MERGED, F.PINNED}, Step.RELEASE, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "facts", "step", "phase", "reason"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS]
)
def test_situation(state: State, facts: set[Fact], step: Step, phase: Phase | None, reason: str) -> None:
    decision = decide(state, Phase.PENDING, frozenset(facts))
    assert (decision.step, decision.row.phase, decision.row.reason) == (step, phase, reason)


def test_every_state_has_a_last_row_that_always_holds() -> None:
    for state in State:
        rows = [row for row in TABLE if row.state is state]
        assert rows[-1].when == frozenset()


def test_no_row_is_hidden_behind_one_above_it() -> None:
    for number, row in enumerate(TABLE):
        above = [other for other in TABLE[:number] if other.state is row.state and other.when <= row.when]
        assert not above, f"{row} never holds: {above[0]} comes first"


def test_every_row_is_reached_by_its_own_facts() -> None:
    for row in TABLE:
        assert decide(row.state, Phase.PENDING, row.when).row is row


def test_only_an_approved_plan_begins_to_merge() -> None:
    for row in TABLE:
        if row.phase is Phase.MERGING and row.state is not State.MERGING:
            assert Fact.APPROVED in row.when
            assert row.step is Step.APPROVE


def test_with_any_facts_nothing_but_an_approval_leads_to_merging() -> None:
    others = [fact for fact in Fact if fact is not Fact.APPROVED]
    for state in (State.PENDING, State.STAGING, State.AWAITING_APPROVAL, State.BLOCKED, State.CLOSING, State.ENDED):
        for size in range(4):
            for facts in combinations(others, size):
                assert decide(state, Phase.PENDING, frozenset(facts)).phase is not Phase.MERGING


def test_what_has_ended_stays_as_it_is() -> None:
    for row in TABLE:
        if row.state in {State.ENDED, State.MERGED, State.CLOSING}:
            assert row.phase is None
    for final in FINAL:
        assert decide(State.ENDED, final, frozenset(Fact)).phase is final
