"""Who is looked at when a place for a Job is free: a few of the syncs that wait for one, never all of them.

Ten thousand that each looked for themselves would keep the operator from everything else. Merges come first, as they
end what staging began; then whoever was made first. A call puts a sync behind those that were called less often, so one
that cannot go on although it was called holds nobody up.
"""

from __future__ import annotations

import asyncio
import heapq
from datetime import datetime
from typing import TYPE_CHECKING

from roster_operator.api.kinds import SYNC

from .queue import Key, WorkQueue

if TYPE_CHECKING:
    from .view import View

CALLED = 2  # for each Job that ends: one for its place, and one more in case that the first does not want it any more
ROUND = 5.0  # seconds between two looks at whether places stand empty while somebody waits


class Line:
    """The syncs that wait for a place, as the watch has shown them."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], tuple[int, bool, datetime]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, name: tuple[str, str], made: datetime, *, merging: bool) -> None:
        """A sync waits; one that waits already keeps its place."""
        self._waiting.setdefault(name, (0, not merging, made))

    def leave(self, name: tuple[str, str]) -> None:
        """It waits no longer."""
        self._waiting.pop(name, None)

    def call(self, count: int = CALLED) -> set[Key]:
        """The next so many."""
        called = heapq.nsmallest(count, self._waiting.items(), key=lambda one: (one[1], one[0]))
        for name, (times, pulls, made) in called:
            self._waiting[name] = (times + 1, pulls, made)
        return {Key(SYNC.kind, *name) for name, _ in called}


async def call_forever(view: View, queue: WorkQueue, places: int) -> None:
    """Where a call was lost, with an operator's Job or a dropped event, places would stand empty."""
    while True:
        await asyncio.sleep(ROUND)
        free = places - len(view.running)
        if free > 0 and len(view.line):
            queue.add(view.line.call(free))
