"""Which connections need no look at the start: ten thousand live reads would find nothing. Pure.

A full list shows whole objects, so what a look would come to can be told from them, as long as nothing at all is under
way. Whatever is in doubt is looked at. A connection that is left alone is looked at when something of it is due, and
within the hour all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from roster_operator.api.kinds import PURGE_FINALIZER, TEST_REQUESTED_AT
from roster_operator.api.sync import Mode, Phase

from .objects import Body, parse_time
from .scheduled import HISTORY
from .view import SyncRecord


@dataclass(frozen=True, slots=True)
class Quiet:
    """A connection of which nothing is due before `due`, if its syncs are as its status says."""

    due: datetime
    last_sync: str | None
    last_merged: datetime | None
    last_tested: datetime

    def agrees(self, syncs: Iterable[tuple[str, SyncRecord]]) -> bool:
        """The status tells of these syncs all that there is to tell, and none of them is under way."""
        known = list(syncs)
        if not all(item.settled for _, item in known):
            return False
        if sum(1 for _, item in known if item.scheduled_by) > HISTORY:
            return False
        newest = max(known, key=lambda one: (one[1].created, one[0]), default=None)
        if newest is not None and newest[0] != self.last_sync:
            return False
        if any(item.staged and item.staged > self.last_tested for _, item in known):
            return False
        # An undo, and an approval on the connection itself, have more to tell.
        if any(item.mode == Mode.UNDO or item.via == "connectionPlan" for _, item in known):
            return False
        merged = max((item.finished for _, item in known if item.phase is Phase.MERGED and item.finished), default=None)
        return merged is None or (self.last_merged is not None and self.last_merged >= merged)


def quiet_of(body: Body, now: datetime) -> Quiet | None:
    """From a listed connection; None where it is to be looked at now."""
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    generation = meta.get("generation", 1)
    ready = next((item for item in status.get("conditions") or () if item.get("type") == "Ready"), {})
    asked = (meta.get("annotations") or {}).get(TEST_REQUESTED_AT)
    auto, tested, test, sync = (
        spec.get("automaticSync"),
        status.get("lastTestTime"),
        status.get("nextTestTime"),
        status.get("nextSync"),
    )
    held = PURGE_FINALIZER in (meta.get("finalizers") or ())
    calm = (
        not meta.get("deletionTimestamp")
        and status.get("observedGeneration") == generation
        and ready.get("status") == "True"
        and ready.get("observedGeneration") == generation
        and not status.get("testJob")
        and not status.get("pendingPlan")
        and (not asked or asked[:64] == status.get("lastHandledTestRequest"))
        and held == (spec.get("deletionPolicy") == "Purge")
        and not spec.get("suspend")
        and not spec.get("approvedPlan")
        and (auto is None or (sync is not None and not auto.get("pause")))
    )
    if not calm or not tested or not test:
        return None
    due = min(parse_time(moment) for moment in (test, sync) if moment)
    merged = status.get("lastMergedTime")
    if due <= now:
        return None
    return Quiet(due, status.get("lastSync"), parse_time(merged) if merged else None, parse_time(tested))
