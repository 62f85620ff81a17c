"""The work queue: a set of keys, each handled by one worker at a time.

A key that is added while it is handled is handled once more afterwards. A handler that fails is tried again after a
growing pause with jitter; one that asks for it is called again after the time it named.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

if TYPE_CHECKING:
    from .metrics import Metrics

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
HEARTBEAT = 5.0  # seconds between two signs of life of an idle worker


class Key(NamedTuple):
    """One object to look at."""

    kind: str
    namespace: str
    name: str


class Again(Exception):  # noqa: N818  not an error: a wish
    """Raised by a handler when somebody else wrote in between: soon again, and nothing is wrong."""


Handler = Callable[[Key], Awaitable[float | None]]


class WorkQueue:
    """Keys in, handler calls out. Give `run` to as many tasks as there should be workers."""

    def __init__(self, handler: Handler, metrics: Metrics) -> None:
        self._handler = handler
        self._metrics = metrics
        self._ready: dict[Key, float] = {}  # key -> when it became ready; ordered
        self._busy: set[Key] = set()
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}  # key -> its earliest time in _later
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()
        self.last_beat = time.monotonic()

    def add(self, keys: Iterable[Key]) -> None:
        """Have these looked at as soon as a worker is free."""
        now = time.monotonic()
        for key in keys:
            if key not in self._ready:
                self._make_ready(key, now)
                self._metrics.adds.labels(key.kind).inc()
        self._wake.set()

    def add_later(self, key: Key, seconds: float) -> None:
        """Have it looked at in so many seconds; an earlier wish for the same key stands."""
        due = time.monotonic() + max(seconds, 0.0)
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._later, (due, key))
            self._wake.set()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing is ready and nothing is under way."""
        return not self._ready and not self._busy

    async def run(self) -> None:
        """One worker, until it is cancelled."""
        while True:
            key, added = await self._next()
            self._metrics.queue_time.labels(key.kind).observe(time.monotonic() - added)
            try:
                await self._handle(key)
            finally:
                self._busy.discard(key)
                self._wake.set()

    async def _handle(self, key: Key) -> None:
        started = time.monotonic()
        controller = key.kind.lower()
        active = self._metrics.active_workers.labels(controller)
        active.inc()
        try:
            again = await self._handler(key)
        except asyncio.CancelledError:
            raise
        except Again:
            result = "requeue"
            self._metrics.retries.labels(key.kind).inc()
            self.add_later(key, random.uniform(0.05, 0.3))  # noqa: S311  jitter, no secret
        except Exception as error:
            result = "error"
            pause = self._pause(key)
            self._metrics.reconcile_errors.labels(controller).inc()
            self._metrics.retries.labels(key.kind).inc()
            log.warning("%s %s/%s: %s; again in %.1f s", *key, _words(error), pause, exc_info=_is_a_bug(error))
            self.add_later(key, pause)
        else:
            self._failures.pop(key, None)
            result = "success" if again is None else "requeue_after"
            if again is not None:
                self.add_later(key, again)
        finally:
            active.dec()
        self._metrics.reconciles.labels(controller, result).inc()
        self._metrics.reconcile_time.labels(controller).observe(time.monotonic() - started)

    def _pause(self, key: Key) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return min(FIRST_PAUSE * 2.0 ** min(failures, 16), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311

    async def _next(self) -> tuple[Key, float]:
        while True:
            self.last_beat = now = time.monotonic()
            self._move_due(now)
            for key, added in self._ready.items():
                if key not in self._busy:
                    self._take(key)
                    self._busy.add(key)
                    return key, added
            # Nothing is awaited between the look above and here, so no wish is missed.
            self._wake.clear()
            pause = min(self._later[0][0] - now, HEARTBEAT) if self._later else HEARTBEAT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(pause, 0.001)):
                    await self._wake.wait()

    def _move_due(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:  # else an earlier wish came first
                del self._due[key]
                self._make_ready(key, now)

    def _make_ready(self, key: Key, now: float) -> None:
        if key not in self._ready:
            self._ready[key] = now
            self._metrics.depth.labels(key.kind).inc()

    def _take(self, key: Key) -> None:
        if self._ready.pop(key, None) is not None:
            self._metrics.depth.labels(key.kind).dec()


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        # Its own text quotes what it refused.
        places = ", ".join(".".join(str(part) for part in problem["loc"]) for problem in error.errors()[:5])
        return f"fields that this version cannot read: {places}"
    return f"{type(error).__name__}: {error}"


def _is_a_bug(error: Exception) -> bool:
    return type(error).__name__ not in {"ApiError", "ApiUnavailable", "ValidationError"}
