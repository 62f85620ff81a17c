"""The status of a RosterSync after a step, its conditions and its sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from roster_operator.api.connection import DatabaseRef, find
from roster_operator.api.kinds import APPROVAL_NOTE, APPROVED_BY, NOTE_LENGTH
from roster_operator.api.limits import LimitHit
from roster_operator.api.sync import (
    FINAL,
    WAITING,
    Approval,
    Failure,
    JobRef,
    Phase,
    PublishedPlan,
    RosterSyncStatus,
    UndoConflicts,
)
from roster_operator.api.task import Outcome

from .approval import Verdict
from .conditions import Wanted, plain, settle
from .lifecycle import AT_CAPACITY, Decision, State, Step
from .objects import Sync
from .observe import MERGE_UNKNOWN, Snapshot
from .results import JobKind


@dataclass(frozen=True)
class Effects:
    """What acting on a decision brought, for the status to tell."""

    job: JobRef | None = None  # the Job that now exists
    tenant: str | None = None
    database: str | None = None
    refusal: str = ""  # why the API server would not create the Job


def next_status(snapshot: Snapshot, decision: Decision, effects: Effects) -> RosterSyncStatus:
    """The whole status as it should be after `decision`."""
    sync, now = snapshot.sync, snapshot.now
    status = sync.status.model_copy(deep=True)
    summary = snapshot.job.summary if snapshot.job else None
    status.observed_generation = sync.meta.generation
    status.phase = decision.phase
    status.plan = snapshot.plan if decision.step is Step.PUBLISH else snapshot.published
    status.times.started = status.times.started or now
    if effects.job:
        status.job = effects.job
    match decision.step:
        case Step.PIN if effects.tenant and effects.database:
            status.tenant = effects.tenant
            status.database = DatabaseRef(name=effects.database)
        case Step.PUBLISH if summary:
            status.issues = summary.issues
            status.times.staged = now
            status.times.pulled = status.times.pulled or now
            status.approval = None  # an approval of the plan before this one is spent
        case Step.APPROVE if status.plan and snapshot.judgement:
            by, note = (_written(snapshot, snapshot.judgement.via, key) for key in (APPROVED_BY, APPROVAL_NOTE))
            status.approval = Approval(
                digest=status.plan.digest,
                at=now,
                via=snapshot.judgement.via,
                by=plain(by, 256) if by else None,
                # On a connection the policy holds who may write the plan, and not yet who is named.
                verified=bool(by) and snapshot.approvers_verified and snapshot.judgement.via != "connectionPlan",
                note=plain(note, NOTE_LENGTH) if note else None,
            )
            status.times.approved = now
        case Step.FINISH:
            status.times.finished = now
            if summary and summary.data_version is not None:
                status.data_version = summary.data_version
                status.database_id = summary.ledger.database if summary.ledger else None
            if decision.phase is Phase.FAILED:
                status.failure = failure_of(snapshot, decision)
        case Step.TELL:
            status.failure = Failure(
                reason="MergedUnanswered",
                message="The merge was done, and the database holds it; only its answer was lost on the way. The "
                "application has the new roster. Nothing is left to do for this sync.",
            )
        case _:
            pass
    status.conditions = settle(
        sync.status.conditions, _conditions(snapshot, decision, status, effects), now, sync.meta.generation
    )
    return status


def _written(snapshot: Snapshot, via: str, annotation: str) -> str | None:
    """Who says to have approved, and what they noted: it stands beside the words that approve."""
    if via == "policy":
        return None
    spoken = snapshot.connection if via == "connectionPlan" and snapshot.connection else snapshot.sync
    return spoken.meta.annotations.get(annotation)


def failure_of(snapshot: Snapshot, decision: Decision) -> Failure:
    """Why it failed: in the worker's words, or in ours where there are none."""
    job = snapshot.job
    if not decision.row.reason and job and job.summary and job.summary.failure:
        return job.summary.failure
    if decision.row.reason == "ConnectionNotFound":
        return Failure(
            reason="ConnectionNotFound",
            message="The connection was deleted during staging. Create it again, and then another RosterSync.",
            retryable=True,
        )
    if decision.row.reason == "StatusIncomplete":
        return Failure(
            reason="StatusIncomplete",
            message="status.tenant and status.database are gone: something else wrote this status. "
            "Create another RosterSync; `roster discard` with the uid of this one drops what it staged.",
        )
    if decision.row.reason == MERGE_UNKNOWN:
        return _merge_unknown(snapshot)
    reason = job.reason if job else "WorkerLost"
    what = job.message if job else "its Job is gone"
    if reason == "PodNotStarted":
        text = f"The Job's pod did not start: {what}. Correct that, then create another RosterSync."
    else:
        losses = snapshot.sync.status.job.losses + 1 if snapshot.sync.status.job else 1
        step = snapshot.order.step if snapshot.order else "step"
        text = (
            f"The {step} Job ended {losses} times without an answer; the last time {what}. "
            "See the events and logs of its pods, then create another RosterSync."
        )
    return Failure(reason=reason, message=plain(text), retryable=True)


def _merge_unknown(snapshot: Snapshot) -> Failure:
    """Nobody could be asked whether the merge was done."""
    job, ref = snapshot.job, snapshot.sync.status.job
    last = job.message if job else "its Job is gone"
    if job and job.summary and job.summary.failure:
        last = f"{job.summary.failure.reason}: {job.summary.failure.message}"
    text = (
        f"The database may hold this merge or not: in {ref.losses + 1 if ref else 1} attempts no answer settled it. "
        "The discard that follows asks the database once more. Put right what stopped the merge, then create another "
        f"RosterSync: it shows what, if anything, is left to merge. The last attempt: {last}"
    )
    return Failure(reason=MERGE_UNKNOWN, message=plain(text), retryable=True)


def _conditions(snapshot: Snapshot, decision: Decision, status: RosterSyncStatus, effects: Effects) -> Iterator[Wanted]:
    yield from _staged(snapshot, decision, status, effects)
    if status.plan:
        yield _undoes(status.plan, snapshot.sync, status) if snapshot.sync.spec.is_undo else _valid(status.plan, status)
        yield _within_limits(status.plan)
    yield from _approved(snapshot, status)
    yield from _end(snapshot, decision, status)


def _staged(snapshot: Snapshot, decision: Decision, status: RosterSyncStatus, effects: Effects) -> Iterator[Wanted]:
    if status.plan:
        what = "undo" if snapshot.sync.spec.is_undo else "pull"
        yield Wanted("Staged", True, "Staged", f"The {what} is staged and planned; nothing of it is merged by itself.")
    elif _is_discarded(snapshot, status):
        yield Wanted("Staged", False, *_discarding(snapshot))
    elif status.phase is Phase.PENDING:
        reason, text = _pending(snapshot, decision, effects)
        yield Wanted("Staged", False, reason, text)
    elif status.phase is Phase.STAGING:
        undo = snapshot.sync.spec.is_undo
        what = "The history is read and turned round" if undo else "The source is pulled and planned"
        reason, text = _running(snapshot, what, "Staging")
        yield Wanted("Staged", False, reason, text)
    elif status.phase is Phase.FAILED and status.failure:
        yield Wanted("Staged", False, status.failure.reason, status.failure.message)
    elif status.phase is Phase.REJECTED:
        yield Wanted("Staged", False, "Rejected", "Rejected before it was staged.")


def _is_discarded(snapshot: Snapshot, status: RosterSyncStatus) -> bool:
    return snapshot.state is State.CLOSING and status.phase not in FINAL


def _discarding(snapshot: Snapshot) -> tuple[str, str]:
    return _running(snapshot, "It was deleted; what was staged is discarded", "Discarding")


def _pending(snapshot: Snapshot, decision: Decision, effects: Effects) -> tuple[str, str]:
    name = snapshot.sync.spec.connection_ref.name
    if effects.refusal:
        return "JobRefused", f"The API server refused the Job: {effects.refusal}"
    match decision.row.reason:
        case "ConnectionNotFound":
            return (
                decision.row.reason,
                f"There is no RosterConnection {name} in this namespace. It starts when there is.",
            )
        case "Suspended" | "Paused" if hold := snapshot.hold:
            return hold.reason, f"{hold.message} The sync starts after that."
        case "ConnectionNotReady":
            ready = snapshot.connection.ready if snapshot.connection else None
            why = f" ({ready.reason}: {ready.message})" if ready else " (not tested yet)"
            return decision.row.reason, f"RosterConnection {name} is not ready{why}. It starts when it is."
        case "JobsAtCapacity":
            return (
                decision.row.reason,
                "As many Jobs run as the operator's configuration permits. It starts after them.",
            )
        case reason:
            return reason, "About to start."


def _running(snapshot: Snapshot, text: str, reason: str) -> tuple[str, str]:
    job = snapshot.job
    if job and job.kind is JobKind.STUCK:
        return job.reason, f"The Job's pod does not start: {job.message}"
    if job and job.kind is JobKind.LOST:
        return reason, f"{text} once more: the last time, {job.message}."
    return reason, f"{text}."


def _valid(plan: PublishedPlan, status: RosterSyncStatus) -> Wanted:
    if not plan.complete:
        why = plan.incomplete_reason or "the pull could not be proved complete"
        return Wanted("Valid", True, "NotProvedComplete", f"{why}: {_kept(plan)}.")
    invalid = plan.totals.invalid
    if invalid:
        kinds = ", ".join(f"{issue.code} {issue.count}" for issue in status.issues[:5])
        return Wanted(
            "Valid", True, "WithIssues", f"{invalid:,} records are skipped ({kinds}); merged rows stay as they are."
        )
    return Wanted("Valid", True, "Valid", f"Every record is valid, and the pull is complete.{_odd(plan)}")


def _undoes(plan: PublishedPlan, sync: Sync, status: RosterSyncStatus) -> Wanted:
    """What of the other sync's work is taken back, and what is not."""
    what = f"{plan.totals.received:,} records were changed by {sync.spec.undoes}"
    conflicts, gone = (
        sum(issue.count for issue in status.issues if issue.code == code) for code in ("UndoConflict", "UndoRecordGone")
    )
    if not conflicts and not gone:
        return Wanted("Valid", True, "Valid", f"{what}, and nothing else has changed them since.{_odd(plan)}")
    overwrite = sync.spec.undo_conflicts is UndoConflicts.OVERWRITE
    then = "get the older values all the same" if overwrite else "stay as they are (undoConflicts: Leave)"
    text = f"{what}. {conflicts:,} were changed again since and {then}" if conflicts else what
    lost = f"; {gone:,} are gone and cannot come back" if gone else ""
    return Wanted("Valid", True, "WithConflicts" if conflicts else "WithIssues", f"{text}{lost}.")


def _kept(plan: PublishedPlan) -> str:
    gone = plan.removals.out_of_scope
    return (
        f"nothing is removed but {gone:,} records that are out of scope" if gone else "nothing is removed by this plan"
    )


def _odd(plan: PublishedPlan) -> str:
    """What the checks found, the most frequent first."""
    most = sorted(plan.checks.items(), key=lambda item: (-item[1], item[0]))[:3]
    return f" Worth a look: {', '.join(f'{code} {count:,}' for code, count in most)}." if most else ""


def _within_limits(plan: PublishedPlan) -> Wanted:
    if not plan.limits:
        if plan.held:
            waiting = sum(counts.held for counts in plan.entities.values())
            text = f"Without {waiting:,} removals, which wait, the plan is within its limits: {limits_text(plan.held)}."
            return Wanted("WithinLimits", True, "RemovalsHeld", f"{text} The next sync plans them again.{_scope(plan)}")
        return Wanted("WithinLimits", True, "WithinLimits", f"The plan is within its limits.{_scope(plan)}")
    return Wanted(
        "WithinLimits",
        False,
        _beyond(plan),
        f"{limits_text(plan.limits)}.{_scope(plan)} Only approvedPlan: {plan.digest} lets it through; "
        "rejected ends it.",
    )


def _beyond(plan: PublishedPlan) -> str:
    """New sourcedIds are no removals: who reads only the reason is not to look for a school that is gone."""
    return "Rekeyed" if any(hit.limit == "rekeyed" for hit in plan.limits) else Verdict.BEYOND_LIMITS


def _scope(plan: PublishedPlan) -> str:
    gone = plan.removals.out_of_scope
    return f" {gone:,} records go because the connection's scope no longer takes them." if gone else ""


def limits_text(hits: list[LimitHit]) -> str:
    """What goes beyond which limit, with figures."""
    return "; ".join(hit.sentence for hit in hits[:3]) + (f"; and {len(hits) - 3} more" if len(hits) > 3 else "")


def approver_text(approval: Approval) -> str:
    """By whom, as far as anybody said so, with a space before it."""
    return f" by {approval.by}{'' if approval.verified else ' (unverified)'}" if approval.by else ""


def _approved(snapshot: Snapshot, status: RosterSyncStatus) -> Iterator[Wanted]:
    plan = status.plan
    if status.approval:
        text = f"Plan {status.approval.digest} was approved"
        by = approver_text(status.approval)
        yield Wanted("Approved", True, _reason(status.approval.via), f"{text}{by}, via {status.approval.via}.")
    elif plan and status.phase in WAITING and snapshot.judgement:
        verdict = snapshot.judgement.verdict
        if verdict is Verdict.APPROVED and (hold := snapshot.hold):
            text = f"{hold.message} The approved plan is merged after that."
            yield Wanted("Approved", False, hold.reason, text)
            return
        # Approved, but not latched yet: the next look does that.
        reason = Verdict.WAITS if verdict is Verdict.APPROVED else verdict
        yield Wanted("Approved", False, reason, _what_is_needed(reason, plan, snapshot))


def _reason(via: str) -> str:
    return via[:1].upper() + via[1:]


def _what_is_needed(verdict: Verdict, plan: PublishedPlan, snapshot: Snapshot) -> str:
    spec = snapshot.sync.spec
    match verdict:
        case Verdict.DIGEST_MISMATCH:
            return (
                f"approvedPlan is {spec.approved_plan}, the staged plan is {plan.digest}. Nothing is merged. "
                "Review the staged plan, then set approvedPlan to its digest."
            )
        case Verdict.BEYOND_LIMITS:
            return f"The plan is beyond its limits: only approvedPlan: {plan.digest} approves it."
        case Verdict.DATABASE_REWOUND:
            known, found = (plan.rewound.known, plan.rewound.found) if plan.rewound else (0, 0)
            return (
                f"The database is older than it was: it holds version {found} of this district's data, and held {known}"
                ". A backup was restored, or a fail-over lost commits. Nothing is merged by itself. If this is the "
                f"right database, review the plan, which brings it up to the source, then set approvedPlan: "
                f"{plan.digest}. See the runbook RosterDatabaseRewound."
            )
        case Verdict.FIRST_NEEDS_REVIEW:
            return (
                "Nothing of this connection was merged before, so approval in advance does not count. Review the plan, "
                f"then set approvedPlan: {plan.digest} (or approved to false, and then to true)."
            )
        case Verdict.PLAN_CHANGED:
            return (
                "Another merge came between, and the plan was computed again from the same staged rows. "
                f"Review it, then set approvedPlan: {plan.digest}; approved: true was for the plan before."
            )
        case Verdict.NOT_COMPLETE:
            return (
                "The connection approves plans within limits by itself, but not of a pull that could not be proved "
                f"complete. Review it, then set approvedPlan: {plan.digest}, or wait for the next pull."
            )
        case Verdict.UNDO_STANDS:
            return (
                "An undo waits, or was merged since the last pull, and this plan may bring back what it takes away: "
                f"the connection's policy does not approve it. Review it, then set approvedPlan: {plan.digest}."
            )
        case _:
            return f"Waiting for a person: approved: true, approvedPlan: {plan.digest}, or rejected."


def _end(snapshot: Snapshot, decision: Decision, status: RosterSyncStatus) -> Iterator[Wanted]:
    rejected = snapshot.sync.spec.rejected
    match status.phase:
        case Phase.MERGING if _is_discarded(snapshot, status):
            yield Wanted("Complete", False, *_discarding(snapshot))
        case Phase.MERGING:
            reason, text = _running(snapshot, "The approved plan is merged", "Merging")
            if decision.row.reason == AT_CAPACITY:
                reason, text = AT_CAPACITY, "As many Jobs run as permitted; the merge starts after them."
            yield Wanted("Complete", False, reason, text)
            if rejected:
                yield Wanted(
                    "Rejected", False, "TooLate", "The plan was approved and is being merged: it cannot be rejected."
                )
        case Phase.MERGED:
            again = _was_merged_before(snapshot, status)
            text = (
                "A sync of this name was merged before: nothing was pulled."
                if again
                else _undone_text(snapshot)
                if snapshot.sync.spec.is_undo
                else "The approved plan is merged."
            )
            yield Wanted("Complete", True, "AlreadyMerged" if again else "Merged", text)
        case Phase.REJECTED:
            yield Wanted("Rejected", True, "Rejected", rejected.reason if rejected else "Rejected.")
        case Phase.EXPIRED | Phase.SUPERSEDED:
            gone = _gone_by(snapshot, decision, status.phase)
            yield gone
            if status.phase is Phase.EXPIRED:  # nobody decided, and the application still has the old roster
                yield Wanted("Stalled", True, gone.reason, gone.message)
        case Phase.FAILED if status.failure:
            yield Wanted("Failed", True, status.failure.reason, status.failure.message)
            yield Wanted("Stalled", True, status.failure.reason, status.failure.message)
        case Phase.BLOCKED if status.plan and snapshot.judgement:
            reason = snapshot.judgement.verdict
            if reason in {Verdict.APPROVED, Verdict.WAITS}:
                reason = Verdict.BEYOND_LIMITS
            text = _what_is_needed(reason, status.plan, snapshot)
            if status.plan.limits:
                text = f"{limits_text(status.plan.limits)}. {text}"
            named = _beyond(status.plan) if reason is Verdict.BEYOND_LIMITS else reason
            yield Wanted("Stalled", True, named, text)
        case _:
            pass


def _gone_by(snapshot: Snapshot, decision: Decision, phase: Phase) -> Wanted:
    """Why nobody's decision is waited for any more."""
    before = find(snapshot.sync.status.conditions, phase.value)
    if before:
        return Wanted(before.type, True, before.reason, before.message)
    if phase is Phase.EXPIRED:
        text = (
            f"Nobody decided within stagedFor ({snapshot.sync.spec.staged_for}). What was staged is discarded and "
            "nothing of it is merged. Create another RosterSync."
        )
    else:
        rival = snapshot.rival.name if snapshot.rival else "another"
        text = f"{_overtaken(snapshot, decision.row.reason, rival)} What was staged here is discarded."
    return Wanted(phase.value, True, decision.row.reason, text)


def _overtaken(snapshot: Snapshot, reason: str, rival: str) -> str:
    match reason:
        case "EqualPlan":
            return f"RosterSync {rival} has the same plan: decide on that one."
        case "NewerUndo" if snapshot.sync.spec.is_undo:
            return f"RosterSync {rival} undoes the same sync and was staged later: decide on that one."
        case "NewerUndo":
            return f"RosterSync {rival} has undone a merge since this was pulled. Create another RosterSync."
        case _:
            return f"RosterSync {rival} was pulled later: decide on that one."


def _undone_text(snapshot: Snapshot) -> str:
    return (
        f"What {snapshot.sync.spec.undoes} did is taken back. The next pull brings again whatever the source still "
        "says: it waits for a person, and a delta reads everything."
    )


def _was_merged_before(snapshot: Snapshot, status: RosterSyncStatus) -> bool:
    complete = find(snapshot.sync.status.conditions, "Complete")
    if snapshot.sync.status.phase is Phase.MERGED and complete:
        return complete.reason == "AlreadyMerged"
    summary = snapshot.job.summary if snapshot.job else None
    # Without an approval of its own, it was not this object's merge.
    return summary is not None and summary.outcome is Outcome.ALREADY_MERGED and status.approval is None


def waiting_reason(status: RosterSyncStatus) -> str:
    """Why the sync is in its phase, in one word: for metrics and for the connection's summary."""
    wanted = {
        Phase.PENDING: ("Staged",),
        Phase.STAGING: ("Staged",),
        Phase.AWAITING_APPROVAL: ("Approved",),
        Phase.BLOCKED: ("Stalled",),
        Phase.MERGING: ("Complete",),
        Phase.MERGED: ("Complete",),
        Phase.REJECTED: ("Rejected",),
        Phase.EXPIRED: ("Expired",),
        Phase.SUPERSEDED: ("Superseded",),
        Phase.FAILED: ("Failed",),
    }[status.phase]
    for condition in status.conditions:
        if condition.type in wanted:
            return condition.reason
    return ""
