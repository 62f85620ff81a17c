"""Whether the plan that status shows may be merged. Pure: a spec and a plan go in, a verdict comes out.

The rules, in the order in which they are asked:

1. `approvedPlan`, where given, decides alone: equal to the plan's digest it approves, also beyond limits; else nothing
   is merged, whatever `approved` says.
   The connection's `approvedPlan` approves the plan with its digest in the same way, and does not hold others up: it
   stays in Git long after its plan was merged.
2. A plan beyond its limits waits for `approvedPlan`.
   So does a plan on a database that was put back: whatever was approved before was for another database.
3. `approved: true` on a plan that another merge changed counts no more: the person saw another plan.
4. `approved: true` that stood before the plan was published is approval in advance. It counts from a connection's
   second merge on; the first needs eyes.
5. `approved: true` counts if it was set in a later generation than the one at which the plan was published.
6. A plan that a schedule brought is approved by the connection's policy, where that is WithinLimits: never a first one,
   never one whose pull was not proved complete, and never while an undo waits or no pull from after it is merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roster_operator.api.sync import PublishedPlan, RosterSyncSpec


class Verdict(StrEnum):
    """What the spec says about a plan."""

    APPROVED = "Approved"
    WAITS = "WaitingForApproval"
    DIGEST_MISMATCH = "DigestMismatch"
    DATABASE_REWOUND = "DatabaseRewound"
    BEYOND_LIMITS = "BeyondLimits"
    FIRST_NEEDS_REVIEW = "FirstSyncNeedsReview"
    PLAN_CHANGED = "PlanChanged"
    NOT_COMPLETE = "NotProvedComplete"
    UNDO_STANDS = "UndoStands"


@dataclass(frozen=True)
class Judgement:
    """A verdict, and by what an approval came: approved, approvedPlan, inAdvance, policy or connectionPlan."""

    verdict: Verdict
    via: str = ""


def judge(
    spec: RosterSyncSpec,
    generation: int,
    plan: PublishedPlan,
    *,
    policy: bool = False,
    standing: str | None = None,
    undo_stands: bool = False,
) -> Judgement:
    """Judge `plan` by `spec` as it stands at `generation`.

    `policy`: within limits, no person is needed. `standing`: the digest that the connection approves and that is not
    spent. `undo_stands`: an undo is under way, or was merged since the last pull.
    """
    if spec.approved_plan is not None:
        if spec.approved_plan == plan.digest:
            return Judgement(Verdict.APPROVED, "approvedPlan")
        return Judgement(Verdict.DIGEST_MISMATCH)
    if standing == plan.digest:
        return Judgement(Verdict.APPROVED, "connectionPlan")
    if plan.rewound is not None:
        return Judgement(Verdict.DATABASE_REWOUND)
    if plan.limits:
        return Judgement(Verdict.BEYOND_LIMITS)
    if plan.recomputed:
        return Judgement(Verdict.PLAN_CHANGED)
    if not spec.approved:
        return _by_policy(plan, undo_stands=undo_stands) if policy else Judgement(Verdict.WAITS)
    if plan.in_advance:
        return Judgement(Verdict.FIRST_NEEDS_REVIEW) if plan.first else Judgement(Verdict.APPROVED, "inAdvance")
    if generation > plan.generation:
        return Judgement(Verdict.APPROVED, "approved")
    return Judgement(Verdict.WAITS)


def _by_policy(plan: PublishedPlan, *, undo_stands: bool) -> Judgement:
    if plan.first:
        return Judgement(Verdict.FIRST_NEEDS_REVIEW)
    if undo_stands:
        return Judgement(Verdict.UNDO_STANDS)
    return Judgement(Verdict.APPROVED, "policy") if plan.complete else Judgement(Verdict.NOT_COMPLETE)


def has_approval(spec: RosterSyncSpec) -> bool:
    """The sync carries an approval, whatever it is worth."""
    return spec.approved or spec.approved_plan is not None
