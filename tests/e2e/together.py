"""Scenarios spend their time waiting, so they run side by side, and each test reports its own.

A scenario is a test whose one argument is `district`. The first of them starts all that were selected; each then waits
for its own result. What fails, fails in its own test, with its own traceback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

FIXTURE = "district"


def is_scenario(item: pytest.Item) -> bool:
    """Whether a test is one that runs beside others."""
    here = item.path.is_relative_to(Path(__file__).parent)
    return here and isinstance(item, pytest.Function) and FIXTURE in item.fixturenames


def slug(name: str) -> str:
    """What a scenario's namespace is called after: the test's name without what all have in common."""
    return name.removeprefix("test_").replace("_", "-")[:40].strip("-")


class Together:
    """All scenarios of a session, under way."""

    def __init__(self, items: Iterable[pytest.Item], make: Callable[[str], Any], width: int) -> None:
        self.seconds: dict[str, float] = {}
        self._make = make
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="scenario")
        self._futures: dict[str, Future[None]] = {
            item.nodeid: self._pool.submit(self._run, item, slug(item.name))
            for item in items
            if isinstance(item, pytest.Function) and is_scenario(item)
        }

    def _run(self, item: pytest.Function, name: str) -> None:
        begun = time.monotonic()
        try:
            item.obj(self._make(name))
        finally:
            self.seconds[item.nodeid] = time.monotonic() - begun

    def result(self, item: pytest.Function) -> None:
        """Wait for a scenario; raises what it raised. Asked again, it is run again, in a district of its own."""
        future = self._futures.pop(item.nodeid, None)
        if future is None:
            self._run(item, f"again-{slug(item.name)}"[:40].strip("-"))
        else:
            future.result()

    def end(self) -> None:
        """Begin no further one, and wait for those under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)
