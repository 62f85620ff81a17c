"""The work queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from roster_operator.controller.client import ApiError
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.queue import Again, Key, WorkQueue
from roster_operator.controller.view import View

ONE, TWO = Key("RosterSync", "k12", "one"), Key("RosterSync", "k12", "two")


@contextlib.asynccontextmanager
async def running(handler: Callable[[Key], Awaitable[float | None]], workers: int = 4) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(handler, Metrics(View()))
    tasks = [asyncio.create_task(queue.run()) for _ in range(workers)]
    yield queue
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled(queue: WorkQueue) -> None:
    for _ in range(200):
        await asyncio.sleep(0.005)
        if queue.idle:
            return
    raise AssertionError("the queue does not come to rest")


async def test_a_key_is_handled_by_one_worker_at_a_time_and_once_more_when_added_meanwhile() -> None:
    under_way, most, calls = 0, 0, 0

    async def handler(_: Key) -> None:
        nonlocal under_way, most, calls
        under_way += 1
        calls += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1

    async with running(handler) as queue:
        queue.add([ONE])
        await asyncio.sleep(0.005)
        for _ in range(10):
            queue.add([ONE])
        await settled(queue)
    assert (most, calls) == (1, 2)


async def test_other_keys_do_not_wait_for_a_slow_one() -> None:
    done: list[str] = []

    async def handler(key: Key) -> None:
        await asyncio.sleep(0.2 if key == ONE else 0)
        done.append(key.name)

    async with running(handler, workers=2) as queue:
        queue.add([ONE, TWO])
        await asyncio.sleep(0.05)
        assert done == ["two"]


async def test_a_handler_that_fails_is_called_again_later_and_later() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def handler(_: Key) -> None:
        times.append(loop.time())
        if len(times) < 3:
            raise ApiError(422, "Invalid", "status")

    async with running(handler) as queue:
        queue.add([ONE])
        await asyncio.sleep(2.0)
    assert len(times) == 3
    assert 0.2 < times[1] - times[0] < 0.6
    assert 0.4 < times[2] - times[1] < 1.1


async def test_a_conflict_is_no_failure() -> None:
    calls = 0

    async def handler(_: Key) -> None:
        nonlocal calls
        calls += 1
        if calls < 5:
            raise Again

    async with running(handler) as queue:
        queue.add([ONE])
        await asyncio.sleep(1.5)
    assert calls == 5


async def test_an_earlier_wish_stands_against_a_later_one() -> None:
    calls = 0

    async def handler(_: Key) -> float | None:
        nonlocal calls
        calls += 1
        return None

    async with running(handler) as queue:
        queue.add_later(ONE, 60)
        queue.add_later(ONE, 0.05)
        queue.add_later(ONE, 60)
        await asyncio.sleep(0.15)
    assert calls == 1


async def test_ten_thousand_keys_are_each_handled_once() -> None:
    seen: set[str] = set()

    async def handler(key: Key) -> None:
        assert key.name not in seen
        seen.add(key.name)

    async with running(handler, workers=8) as queue:
        queue.add(Key("RosterConnection", "k12", str(number)) for number in range(10_000))
        async with asyncio.timeout(10):
            while len(seen) < 10_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
