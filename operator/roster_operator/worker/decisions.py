"""Pure decisions of a stage: what may be removed, and what goes beyond its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from roster_operator.api.limits import Limit, LimitHit, Limits
from roster_operator.store.plan import EntityPlan, Plan
from roster_operator.store.profile import Profile


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


def beyond(plan: Plan, limits: Limits) -> list[LimitHit]:
    """The limits that a plan goes beyond, what a removal would hit first."""
    profile = Profile.from_dict(plan.profile)
    users = plan.entities.get("users", EntityPlan())
    asked: list[tuple[str, str, int, int, Limit]] = []
    for name, entity in plan.entities.items():
        asked.append(("deactivate", name, entity.losses, entity.active, limits.deactivate))
    asked.append(("roleChange", "users", profile.role_changes, users.active, limits.role_change))
    asked.append(("emailChange", "users", profile.email_changes, users.active, limits.email_change))
    for name, entity in plan.entities.items():
        asked.append(("update", name, entity.update, entity.active, limits.update))
        asked.append(("invalid", name, entity.invalid, entity.received, limits.invalid))
        # A first merge creates everything.
        if not plan.first:
            asked.append(("create", name, entity.create, entity.active, limits.create))
    in_use = [
        LimitHit(limit="inUse", entity=name, count=count, of=plan.entities[name].active, max_percent=0,
                 max_count=limits.in_use)
        for name, count in profile.in_use.items()
        if count > limits.in_use
    ]  # fmt: skip
    return in_use + [
        LimitHit(limit=what, entity=name, count=count, of=of, max_percent=limit.percent, max_count=limit.floor)
        for what, name, count, of, limit in asked
        if count > limit.floor and count * 100 > limit.percent * of
    ]
