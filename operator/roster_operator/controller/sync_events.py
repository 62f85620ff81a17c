"""Which Events a step of a sync is worth. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from roster_operator.api.connection import find
from roster_operator.api.sync import Phase, RosterSyncStatus

from .events import Happening
from .lifecycle import Decision, Step
from .sync_status import approver_text


def happenings(
    before: RosterSyncStatus, after: RosterSyncStatus, decision: Decision, *, undo: bool = False
) -> Iterator[Happening]:
    """What changed between two statuses, as Events. undo: the sync is one."""
    if decision.step is Step.PUBLISH and after.plan:
        totals = after.plan.totals
        yield Happening(
            "Staged",
            f"Plan {after.plan.digest}: create {totals.create}, update {totals.update}, remove {totals.deactivate}, "
            f"invalid {totals.invalid}.",
        )
        if after.plan.recomputed:
            yield Happening("PlanChanged", f"Another merge came between; the plan is now {after.plan.digest}.")
    if decision.step is Step.APPROVE and after.approval:
        by = approver_text(after.approval)
        yield Happening("Approved", f"Plan {after.approval.digest}{by}, via {after.approval.via}.")
    if before.phase is not after.phase:
        yield from _phase(after, undo=undo)
    if _approved_reason(after) == "DigestMismatch" != _approved_reason(before):
        yield Happening("DigestMismatch", _message(after, "Approved"), warning=True)
    if decision.step is Step.TELL and after.failure:
        yield Happening(after.failure.reason, after.failure.message)
    if decision.step is Step.RETRY and after.job:
        yield Happening(
            "TriedAgain",
            f"The {after.job.step} Job left no answer that settles it; attempt {after.job.attempt} is under way.",
            warning=True,
        )
    if decision.step is Step.GIVE_UP:
        yield give_up()


def give_up() -> Happening:
    """The finalizer goes although the discard did not succeed."""
    return Happening(
        "DiscardGaveUp",
        "The staged rows could not be discarded and may be left; `roster discard` with this sync's uid drops them.",
        warning=True,
    )


def _phase(after: RosterSyncStatus, *, undo: bool) -> Iterator[Happening]:
    match after.phase:
        case Phase.STAGING:
            yield Happening("Staging", "The undo is staged from the history." if undo else "The source is pulled.")
        case Phase.AWAITING_APPROVAL:
            yield Happening("AwaitingApproval", _message(after, "Approved") or "Waiting for a person.")
        case Phase.BLOCKED:
            yield Happening("Blocked", _message(after, "Stalled"), warning=True)
        case Phase.MERGED:
            yield Happening("Merged", _message(after, "Complete"))
        case Phase.REJECTED:
            yield Happening("Rejected", _message(after, "Rejected"))
        case Phase.EXPIRED:
            yield Happening("Expired", _message(after, "Expired"), warning=True)
        case Phase.SUPERSEDED:
            yield Happening("Superseded", _message(after, "Superseded"))
        case Phase.FAILED if after.failure:
            yield Happening("Failed", f"{after.failure.reason}: {after.failure.message}", warning=True)
        case _:
            pass


def _approved_reason(status: RosterSyncStatus) -> str:
    condition = find(status.conditions, "Approved")
    return condition.reason if condition else ""


def _message(status: RosterSyncStatus, kind: str) -> str:
    condition = find(status.conditions, kind)
    return condition.message if condition else ""
