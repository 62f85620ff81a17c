"""The other syncs of a connection, as far as they end one that waits for a person. Pure.

A newer pull makes a waiting one pointless, unless both plans are equal: then the older one keeps its place. A plan that
another sync has merged since is pointless too. Newer is what was staged later, whenever its object was created.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from roster_operator.api.sync import WAITING, Mode, Phase

from .objects import Sync

_UNSETTLED = frozenset({"MergeUnknown", "MergedUnanswered"})
_NEVER = datetime.max.replace(tzinfo=UTC)
_ALIVE = WAITING | {Phase.MERGING, Phase.MERGED}


@dataclass(frozen=True)
class Rival:
    """The sync that ends another. `equal`: their plans are the same."""

    name: str
    equal: bool


def rival_of(sync: Sync, others: Iterable[Sync]) -> Rival | None:
    """Which of the connection's other syncs makes this waiting one pointless, if any does."""
    plan = sync.status.plan
    if plan is None:
        return None
    alive = sorted((other for other in others if _counts(other, sync)), key=_order)
    merged = [other for other in alive if _digest(other) == plan.digest and _merged_since(other, sync)]
    if merged:
        return Rival(merged[0].meta.name, equal=True)
    newer = [other for other in alive if _order(other) > _order(sync) and _digest(other) != plan.digest]
    # A delta shows nothing of what vanished: a full pull that waits is not replaced by one.
    newer = [other for other in newer if other.spec.mode is Mode.FULL or sync.spec.mode is not Mode.FULL]
    if newer:
        return Rival(newer[-1].meta.name, equal=False)
    for other in reversed([other for other in alive if _order(other) < _order(sync)]):
        if _digest(other) != plan.digest:
            break  # what is older than this one is itself superseded by it
        if other.status.phase in WAITING:
            return Rival(other.meta.name, equal=True)
    return None


def spends(others: Iterable[Sync], digest: str) -> bool:
    """A merge of this digest is done, under way, or may have been done: a connection's approval is spent by it."""
    return any(_digest(other) == digest and _may_be_merged(other) for other in others)


def _may_be_merged(sync: Sync) -> bool:
    failure = sync.status.failure
    return sync.status.phase in {Phase.MERGING, Phase.MERGED} or (failure is not None and failure.reason in _UNSETTLED)


def _counts(other: Sync, sync: Sync) -> bool:
    """It has a plan of the same rows that waits, is merged, or was merged by this very object."""
    status = other.status
    if other.meta.uid == sync.meta.uid or status.plan is None or status.phase not in _ALIVE:
        return False
    if status.tenant != sync.status.tenant or other.spec.connection_ref != sync.spec.connection_ref:
        return False
    return status.phase is Phase.MERGED or not other.meta.deleting


def _merged_since(other: Sync, sync: Sync) -> bool:
    finished, staged = other.status.times.finished, sync.status.times.staged
    return other.status.phase is Phase.MERGED and finished is not None and staged is not None and finished > staged


def _digest(sync: Sync) -> str:
    return sync.status.plan.digest if sync.status.plan else ""


def _order(sync: Sync) -> tuple[datetime, datetime, str]:
    return sync.status.times.pulled or sync.status.times.staged or _NEVER, sync.meta.created, sync.meta.name
