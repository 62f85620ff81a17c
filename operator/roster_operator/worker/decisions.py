"""Pure decisions of a stage: what may be removed, and what goes beyond its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from roster_operator.api.limits import PER_SCHOOL, EntityLimit, Limit, LimitHit, Limits, OnExceed
from roster_operator.store.impact import SchoolLoss
from roster_operator.store.plan import Plan
from roster_operator.store.profile import Profile
from roster_operator.store.window import Before


@dataclass(frozen=True)
class Pull:
    """What came of one entity. `received` counts distinct ids; `reason` says why the pull is not proved complete."""

    pulled: bool
    received: int = 0
    invalid: int = 0
    total: int | None = None  # as the server announced it
    pages: int = 0
    restarts: int = 0
    complete: bool = False
    reason: str | None = None
    delta: bool = False  # only changes were shown: what was not shown has not vanished
    staged: int = 0
    choices: str | None = None  # oneroster.choices.Choices.mark: under which settings it was read

    def to_dict(self) -> dict[str, Any]:
        """As kept in sync_run.pull."""
        return asdict(self)


def judge(pulls: Mapping[str, Pull], active: Mapping[str, int]) -> dict[str, Pull]:
    """An entity that came empty while rows of it are merged is a broken source, not an empty district."""
    return {
        entity: replace(pull, complete=False, reason="came empty, and merged rows exist")
        if pull.pulled and not pull.delta and not pull.received and active.get(entity, 0)
        else pull
        for entity, pull in pulls.items()
    }


def removable(judged: Mapping[str, Pull]) -> list[str]:
    """The entities that may lose records: every pulled one, or none at all where any pull is not proved complete."""
    pulled = {entity: pull for entity, pull in judged.items() if pull.pulled}
    return list(pulled) if all(pull.complete for pull in pulled.values()) else []


# Limits that only a removal can go beyond, so that a plan without its removals is within them.
_OF_REMOVALS = ("inUse", "deactivate", PER_SCHOOL)


def beyond(plan: Plan, limits: Limits) -> list[LimitHit]:
    """The limits that a plan goes beyond, what a removal would hit first."""
    profile = Profile.from_dict(plan.profile)
    return [*_in_use(plan, profile, limits), *_asked(plan, profile, limits), *_schools(plan, limits)]


def holding(plan: Plan, limits: Limits) -> list[LimitHit]:
    """The limits for which a plan's removals wait for a later run; none: they go, or a person has to look."""
    if limits.on_exceed is not OnExceed.HOLD_REMOVALS:
        return []
    return [hit for hit in beyond(plan, limits) if hit.limit in _OF_REMOVALS]


def held_for(plan: Plan) -> list[LimitHit]:
    """The limits for which the plan's removals wait, as they were judged at its stage."""
    return [LimitHit.from_dict(each) for each in plan.held]


def schools_over(plan: Plan, percent: int, floor: int) -> list[SchoolLoss]:
    """What single schools lose beyond this limit, the hardest hit first."""
    return [
        each
        for each in Profile.from_dict(plan.profile).schools
        if each.lost > floor and each.lost * 100 > percent * each.active
    ]


def _in_use(plan: Plan, profile: Profile, limits: Limits) -> list[LimitHit]:
    return [
        LimitHit(limit="inUse", entity=name, count=count, of=plan.entities[name].active, max_percent=0,
                 max_count=limits.in_use)
        for name, count in profile.in_use.items()
        if count > limits.in_use
    ]  # fmt: skip


def _schools(plan: Plan, limits: Limits) -> list[LimitHit]:
    if plan.held:
        return []
    worst: dict[str, SchoolLoss] = {}
    limit = limits.per_school.deactivate
    over = schools_over(plan, limit.percent, limit.floor)
    for each in over:
        worst.setdefault(each.entity, each)
    return [
        LimitHit(
            limit=PER_SCHOOL,
            entity=entity,
            count=each.lost,
            of=each.active,
            max_percent=limit.percent,
            max_count=limit.floor,
            schools=sum(one.entity == entity for one in over),
        )
        for entity, each in worst.items()
    ]


@dataclass(frozen=True)
class _Question:
    """One limit of one entity. `before`: what the merges of the window did beside the plan."""

    limit: str
    entity: str
    count: int
    of: int
    at: Limit | EntityLimit
    before: int = 0
    of_window: int = 0


def _asked(plan: Plan, profile: Profile, limits: Limits) -> list[LimitHit]:
    return [hit for question in _questions(plan, profile, limits) if (hit := _judged(question, profile.window.days))]


def _judged(asked: _Question, days: int) -> LimitHit | None:
    def passed(count: int, of: int) -> bool:
        return count > asked.at.floor and count * 100 > asked.at.percent * of

    count, of, window = asked.count, asked.of, None
    if not passed(count, of):
        # A plan that does nothing of the kind is never held for what was merged before it.
        if not asked.count or not asked.before:
            return None
        count, of, window = asked.count + asked.before, asked.of_window, days
        if not passed(count, of):
            return None
    return LimitHit(
        limit=asked.limit,
        entity=asked.entity,
        count=count,
        of=of,
        max_percent=asked.at.percent,
        max_count=asked.at.floor,
        days=window,
    )


def _questions(plan: Plan, profile: Profile, limits: Limits) -> Iterator[_Question]:
    window = profile.window

    def before(name: str) -> tuple[Before, int]:
        """What the window did to an entity, and how many records it had when the window began."""
        did = window.entities.get(name, Before())
        return did, max(0, plan.entities[name].active + did.lost - did.created)

    for name, entity in plan.entities.items():
        did, had = before(name)
        yield _Question("deactivate", name, entity.losses, entity.active, limits.of(name, "deactivate"), did.lost, had)
    for name, entity in plan.entities.items():
        # What is recognised one by one follows from its person.
        if name not in {"enrollments", "demographics"}:
            yield _Question("rekeyed", name, entity.new_key + entity.rekeyed, entity.active, limits.rekeyed)
    if "users" in plan.entities:
        active, had = plan.entities["users"].active, before("users")[1]
        roles, emails = profile.role_changes, profile.email_changes
        yield _Question("roleChange", "users", roles, active, limits.role_change, window.role_changes, had)
        yield _Question("emailChange", "users", emails, active, limits.email_change, window.email_changes, had)
    for name, entity in plan.entities.items():
        did, had = before(name)
        yield _Question("update", name, entity.update, entity.active, limits.of(name, "update"), did.updated, had)
        yield _Question("invalid", name, entity.invalid, entity.received, limits.of(name, "invalid"))
        # A first merge creates everything, and so does a school that is new.
        if not plan.first:
            new = max(0, entity.create - profile.arrivals.get(name, 0))
            yield _Question("create", name, new, entity.active, limits.of(name, "create"), did.created, had)
