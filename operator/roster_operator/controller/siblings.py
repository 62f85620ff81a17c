"""The other syncs of a connection, as far as they end one that waits for a person. Pure.

A newer pull makes a waiting one pointless, unless both plans are equal: then the older one keeps its place. A plan that
another sync has merged since is pointless too. Newer is what was staged later, whenever its object was created.

An undo says nothing of the source, and a pull nothing of what a person wants undone: while both wait, neither ends the
other. An undo that is merged ends the pulls that were staged before it, as they do not bring what it took back. Of two
undos of the same sync the newer one counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from roster_operator.api.connection import RosterConnectionStatus
from roster_operator.api.sync import FINAL, WAITING, Mode, Phase

from .objects import Sync

_UNSETTLED = frozenset({"MergeUnknown", "MergedUnanswered"})
_NEVER = datetime.max.replace(tzinfo=UTC)
_ALIVE = WAITING | {Phase.MERGING, Phase.MERGED}


@dataclass(frozen=True)
class Rival:
    """The sync that ends another. `equal`: their plans are the same. `undo`: it is one."""

    name: str
    equal: bool
    undo: bool = False


def rival_of(sync: Sync, others: Iterable[Sync]) -> Rival | None:
    """Which of the connection's other syncs makes this waiting one pointless, if any does."""
    plan = sync.status.plan
    if plan is None:
        return None
    others = list(others)
    alive = sorted((other for other in others if _counts(other, sync)), key=_order)
    merged = [other for other in alive if _digest(other) == plan.digest and _merged_since(other, sync)]
    if merged:
        return Rival(merged[0].meta.name, equal=True)
    undone = [other for other in others if _undid_since(other, sync)]
    if undone:
        return Rival(undone[0].meta.name, equal=False, undo=True)
    newer = [other for other in alive if _order(other) > _order(sync) and _digest(other) != plan.digest]
    # A delta shows nothing of what vanished: a full pull that waits is not replaced by one.
    newer = [other for other in newer if other.spec.mode is Mode.FULL or sync.spec.mode is not Mode.FULL]
    if newer:
        return Rival(newer[-1].meta.name, equal=False, undo=sync.spec.is_undo)
    for other in reversed([other for other in alive if _order(other) < _order(sync)]):
        if _digest(other) != plan.digest:
            break  # what is older than this one is itself superseded by it
        if other.status.phase in WAITING:
            return Rival(other.meta.name, equal=True)
    return None


def undo_stands(status: RosterConnectionStatus, others: Iterable[Sync]) -> bool:
    """An undo is under way, or was merged and no pull from after it: the next plan may bring back what it takes."""
    others = [other for other in others if other.status.plan is not None or other.status.phase not in FINAL]
    if any(other.spec.is_undo and other.status.phase not in FINAL for other in others):
        return True
    # The connection's status may be a moment behind the syncs.
    merged = [other for other in others if other.status.phase is Phase.MERGED]
    undone = [other.status.times.finished for other in merged if other.spec.is_undo]
    pulled = [other.status.times.pulled for other in merged if not other.spec.is_undo]
    return RosterConnectionStatus(
        last_undone_time=max((at for at in (*undone, status.last_undone_time) if at), default=None),
        last_pulled_time=max((at for at in (*pulled, status.last_pulled_time) if at), default=None),
    ).undone


def _undid_since(other: Sync, sync: Sync) -> bool:
    """It is an undo that was merged after this pull was staged."""
    if sync.spec.is_undo or not other.spec.is_undo or other.status.phase is not Phase.MERGED:
        return False
    if other.status.tenant != sync.status.tenant or other.spec.connection_ref != sync.spec.connection_ref:
        return False
    finished, pulled = other.status.times.finished, sync.status.times.pulled
    return finished is not None and pulled is not None and finished > pulled


def spends(others: Iterable[Sync], digest: str) -> bool:
    """A merge of this digest is done, under way, or may have been done: a connection's approval is spent by it."""
    return any(_digest(other) == digest and _may_be_merged(other) for other in others)


def _may_be_merged(sync: Sync) -> bool:
    failure = sync.status.failure
    return sync.status.phase in {Phase.MERGING, Phase.MERGED} or (failure is not None and failure.reason in _UNSETTLED)


def _counts(other: Sync, sync: Sync) -> bool:
    """It is of the same kind, and has a plan of the same rows that waits, merges or is merged."""
    status = other.status
    if other.spec.undoes != sync.spec.undoes:
        return False
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
