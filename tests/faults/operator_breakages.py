"""What can be broken between an operator and its API server, one class each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random

from tests.faults.operator_proxy import Answer, Call, Fault, for_ever, refusal


class KilledAtEachWrite(Fault):
    """The first write of each kind kills the operator: before it arrives, or when it was done and not yet answered."""

    def __init__(self, kill: Callable[[], None], *, before: bool) -> None:
        self._kill = kill
        self._before = before
        self.seen: list[str] = []

    async def before(self, call: Call) -> Answer | None:
        if self._before:
            await self._perhaps(call)
        return None

    async def after(self, call: Call, answer: Answer) -> Answer:
        if not self._before and answer.status < 300:
            await self._perhaps(call)
        return answer

    async def _perhaps(self, call: Call) -> None:
        if not call.writes or (kind := call.kind_of_write) in self.seen:
            return
        self.seen.append(kind)
        await asyncio.to_thread(self._kill)
        raise ConnectionResetError


class Storm(Fault):
    """A share of the calls that `which` names gets this answer instead of being done."""

    def __init__(self, answer: Answer, chance: Random, share: float, which: Callable[[Call], bool]) -> None:
        self._answer = answer
        self._chance = chance
        self._share = share
        self._which = which
        self.hits = 0

    async def before(self, call: Call) -> Answer | None:
        if call.of_lease or not self._which(call) or self._chance.random() >= self._share:
            return None
        self.hits += 1
        return self._answer


class AnswersLost(Fault):
    """A share of the writes is done, and the answer is an error all the same."""

    def __init__(self, chance: Random, share: float) -> None:
        self._chance = chance
        self._share = share

    async def after(self, call: Call, answer: Answer) -> Answer:
        if call.writes and self._chance.random() < self._share:
            return refusal(500, "InternalError", "etcdserver: request timed out")
        return answer


class Slow(Fault):
    """Every call takes so much longer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def before(self, call: Call) -> Answer | None:
        await asyncio.sleep(self._seconds)
        return None


class Frozen(Fault):
    """Nothing is answered until it is over; then everything is done."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def before(self, call: Call) -> Answer | None:
        await self._over.wait()
        return None

    async def event(self, call: Call, line: bytes) -> bytes | None:
        await self._over.wait()
        return line

    async def lifted(self) -> None:
        self._over.set()


class BlackHole(Fault):
    """What is sent arrives nowhere; when it is over, the connections of that time are reset."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def before(self, call: Call) -> Answer | None:
        await self._over.wait()
        raise ConnectionResetError

    async def event(self, call: Call, line: bytes) -> bytes | None:
        await self._over.wait()
        raise ConnectionResetError

    async def lifted(self) -> None:
        self._over.set()


class EventsDropped(Fault):
    """A share of what the watches should show is swallowed."""

    def __init__(self, chance: Random, share: float) -> None:
        self._chance = chance
        self._share = share
        self.dropped = 0

    async def event(self, call: Call, line: bytes) -> bytes | None:
        if self._chance.random() < self._share:
            self.dropped += 1
            return None
        return line


class WatchSilent(Fault):
    """A watch that has said something since this began, or was opened, never says anything again."""

    async def event(self, call: Call, line: bytes) -> bytes | None:
        await for_ever()
        return None


class WatchesGone(Fault):
    """Every watch ends with a 410, and the next ones wait until it is over: what happens in between is never seen."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self._told: set[int] = set()

    async def before(self, call: Call) -> Answer | None:
        if call.watches or call.lists:
            await self._over.wait()
        return None

    async def event(self, call: Call, line: bytes) -> bytes | None:
        if self._over.is_set():
            return line
        if id(call) in self._told:
            raise ConnectionResetError
        self._told.add(id(call))
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"

    async def lifted(self) -> None:
        self._over.set()


class ListsStale(Fault):
    """A list answers what the same list answered the first time."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], Answer] = {}
        self.stale = 0

    async def before(self, call: Call) -> Answer | None:
        answer = self._first.get(_question(call)) if call.lists else None
        self.stale += answer is not None
        return answer

    async def after(self, call: Call, answer: Answer) -> Answer:
        if call.lists and answer.status == 200:
            self._first.setdefault(_question(call), answer)
        return answer


def _question(call: Call) -> tuple[str, str, str]:
    return call.operator, call.path, json.dumps(call.query, sort_keys=True)
