"""Who is looked at when a place for a Job is free: a few of those that wait for one, never all of them.

Ten thousand that each looked for themselves would keep the operator from everything else. Syncs and tests have a line
each. Merges come first, as they end what staging began; then whoever was made first. A call puts one behind those that
were called less often, so one that cannot go on although it was called holds nobody up.
"""

from __future__ import annotations

import asyncio
import heapq
from datetime import datetime
from typing import TYPE_CHECKING

from roster_operator.api.kinds import Kind

from .queue import Key, WorkQueue

if TYPE_CHECKING:
    from .view import View

CALLED = 2  # for each Job that ends: one for its place, and one more in case that the first does not want it any more
ROUND = 5.0  # seconds between two looks at whether places stand empty while somebody waits


def places_of_tests(places: int) -> int:
    """How many of the places tests may take."""
    return max(1, places // 2)


class Line:
    """The objects of a kind that wait for a place."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind.kind
        self._waiting: dict[tuple[str, str], tuple[int, bool, datetime]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, name: tuple[str, str], made: datetime, *, merging: bool = False) -> None:
        """One waits; one that waits already keeps its place."""
        self._waiting.setdefault(name, (0, not merging, made))

    def leave(self, name: tuple[str, str]) -> None:
        """It waits no longer."""
        self._waiting.pop(name, None)

    def call(self, count: int = CALLED) -> set[Key]:
        """The next so many."""
        called = heapq.nsmallest(count, self._waiting.items(), key=lambda one: (one[1], one[0]))
        for name, (times, pulls, made) in called:
            self._waiting[name] = (times + 1, pulls, made)
        return {Key(self._kind, *name) for name, _ in called}


def called_by_an_end(view: View, places: int) -> set[Key]:
    """Who is looked at when a Job has ended: the next syncs, and the next tests, if they may take its place."""
    tests = view.tests.call() if len(view.running) < places_of_tests(places) else set[Key]()
    return view.line.call() | tests


async def call_forever(view: View, queue: WorkQueue, places: int) -> None:
    """Where a call was lost, with an operator's Job or a dropped event, places would stand empty."""
    while True:
        await asyncio.sleep(ROUND)
        for line, most in ((view.line, places), (view.tests, places_of_tests(places))):
            free = most - len(view.running)
            if free > 0 and len(line):
                queue.add(line.call(free))
