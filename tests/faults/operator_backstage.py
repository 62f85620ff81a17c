"""An event loop in a thread of its own, for what goes on behind a test's back: proxy, kubelet, watchers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Backstage:
    """A loop that runs until `close`; `call` waits for a coroutine's result, `start` does not."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="backstage", daemon=True)
        self._thread.start()
        self._tasks: list[Any] = []

    def call(self, work: Coroutine[Any, Any, T], seconds: float = 30) -> T:
        """Its result. Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have it run until the end."""
        self._tasks.append(asyncio.run_coroutine_threadsafe(work, self.loop))

    def broken(self) -> None:
        """Raise what a task behind the stage died of, if one did."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        self.call(_cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


async def _cancel_all() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
