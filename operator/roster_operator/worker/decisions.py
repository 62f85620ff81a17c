"""Pure decisions of a stage: what may be removed, and what goes beyond its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from roster_operator.api.limits import LimitHit, Limits
from roster_operator.store.plan import Plan


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
    """The limits that a plan goes beyond: by count AND by per cent of the active merged rows."""
    limit = limits.deactivate
    return [
        LimitHit(
            limit="deactivate",
            entity=name,
            count=entity.deactivate,
            of=entity.active,
            max_percent=limit.percent,
            max_count=limit.floor,
        )
        for name, entity in plan.entities.items()
        if entity.deactivate > limit.floor and entity.deactivate * 100 > limit.percent * entity.active
    ]
