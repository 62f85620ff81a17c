"""A plan as a status shows it. Pure."""

from __future__ import annotations

from roster_operator.api.limits import PER_SCHOOL, LimitHit
from roster_operator.api.sync import (
    EntityCounts,
    FieldChanges,
    IssueCount,
    IssueTrend,
    PlanSummary,
    Removals,
    Rewound,
    SchoolsOverLimit,
    Taken,
)
from roster_operator.store.plan import Plan
from roster_operator.store.profile import Profile

from .decisions import held_for, schools_over


def plan_summary(plan: Plan, hits: list[LimitHit]) -> PlanSummary:
    """A plan as status shows it: counts only."""
    changes = Profile.from_dict(plan.profile)
    return PlanSummary(
        digest=plan.digest,
        entities={
            entity: EntityCounts(
                received=counts.received,
                create=counts.create,
                update=counts.update,
                deactivate=counts.deactivate,
                reactivate=counts.reactivate,
                unchanged=counts.unchanged,
                invalid=counts.invalid,
                out_of_scope=counts.left_out,
                withheld=counts.withheld,
                held=counts.held,
                linked=counts.linked + counts.unlinked,
                rekeyed=counts.new_key + counts.followed,
                pinned=counts.pinned,
            )
            for entity, counts in plan.entities.items()
        },
        removals=Removals(
            explained=sum(counts.tobedeleted for counts in plan.entities.values()),
            undone=sum(counts.undone for counts in plan.entities.values()),
            concluded=sum(counts.concluded for counts in plan.entities.values()),
            school_closed=sum(counts.school_closed for counts in plan.entities.values()),
            out_of_scope=sum(counts.out_of_scope for counts in plan.entities.values()),
            unexplained=sum(counts.vanished for counts in plan.entities.values()),
        ),
        limits=hits[:16],
        held=held_for(plan)[:8],
        schools_over_limit=_schools_over(plan, hits),
        complete=plan.complete,
        incomplete_reason=plan.incomplete_reason,
        taken=Taken.from_dict(plan.taken) if plan.taken else None,
        first=plan.first,
        rewound=Rewound.from_dict(plan.rewound) if plan.rewound else None,
        checks=_check_totals(plan),
        field_changes=[
            FieldChanges(entity=each.entity, field=each.field, changed=each.changed, emptied=each.emptied)
            for each in changes.fields[:5]
        ],
        new_privileged=changes.new_privileged,
        issue_trend=IssueTrend.from_dict(plan.trend),
    )


def _schools_over(plan: Plan, hits: list[LimitHit]) -> SchoolsOverLimit | None:
    hit = next((hit for hit in (*hits, *held_for(plan)) if hit.limit == PER_SCHOOL), None)
    if hit is None:
        return None
    over = schools_over(plan, hit.max_percent, hit.max_count)
    return SchoolsOverLimit(count=len({each.school for each in over}), worst_percent=min(100, int(100 * over[0].share)))


def _check_totals(plan: Plan) -> dict[str, int]:
    totals: dict[str, int] = {}
    for found in plan.checks:
        totals[found["code"]] = totals.get(found["code"], 0) + found["count"]
    return totals


def issue_counts(plan: Plan) -> list[IssueCount]:
    """The ten most important kinds of problem."""
    return [IssueCount.from_dict(issue) for issue in plan.issues[:10]]
