"""A watch that says nothing: what a full list shows that it had to tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from tests.controller.values import NOW, metadata

from roster_operator.api.kinds import SYNC, Kind
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.queue import Key, WorkQueue
from roster_operator.controller.relist import relist
from roster_operator.controller.settings import Settings
from roster_operator.controller.silence import Silence
from roster_operator.controller.view import View

Body = dict[str, Any]


def test_a_watch_owes_what_a_list_shows_until_it_says_anything() -> None:
    silence = Silence()
    assert set(silence.seconds().values()) == {0.0}
    silence.owed(SYNC)
    time.sleep(0.02)
    silence.owed(SYNC)  # another list: owed since the first
    assert silence.seconds()["rostersyncs"] >= 0.02
    assert silence.seconds()["jobs"] == 0.0
    silence.heard(SYNC)
    assert set(silence.seconds().values()) == {0.0}


def test_a_list_that_shows_nothing_new_owes_nothing() -> None:
    view, silence = View(), Silence()
    body: Body = {"metadata": metadata("first"), "spec": {"connectionRef": {"name": "springfield"}}}

    async def nothing(_: Key) -> None:
        return None

    queue = WorkQueue(nothing, Metrics(view))
    settings = Settings(image="x")

    class Listed:
        def now(self) -> datetime:
            return NOW

        async def items(self, kind: Kind, namespace: str | None, labels: str = "") -> AsyncIterator[Body]:
            if kind is SYNC:
                yield body

    async def lists() -> list[float]:
        api: Any = Listed()
        await relist(api, view, queue, settings)  # the first list: no watch runs yet
        found = [silence.seconds()["rostersyncs"]]
        await relist(api, view, queue, settings, silence)
        found.append(silence.seconds()["rostersyncs"])
        body["metadata"]["resourceVersion"] = "77"
        await relist(api, view, queue, settings, silence)
        await asyncio.sleep(0.01)
        return [*found, silence.seconds()["rostersyncs"]]

    first, same, changed = asyncio.run(lists())
    assert (first, same) == (0.0, 0.0)
    assert changed > 0
