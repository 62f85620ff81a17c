"""Who waits for a place is called in turn, few at a time, and nobody is left out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controller.fake_api import FakeApi
from tests.controller.test_small_parts import sync_body
from tests.controller.values import SETTINGS, connection_body

from roster_operator.api.kinds import CONNECTION, JOB, SYNC
from roster_operator.controller import line as line_module
from roster_operator.controller.connection_reconciler import IN_LINE, reconcile_connection
from roster_operator.controller.context import Context
from roster_operator.controller.events import Recorder
from roster_operator.controller.line import Line, call_forever, called_by_an_end
from roster_operator.controller.metrics import Metrics
from roster_operator.controller.queue import Key
from roster_operator.controller.slots import Slots
from roster_operator.controller.view import View

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CONNECTED = Key(CONNECTION.kind, "k12", "springfield")
PLACES = 4  # two of them for tests


def named(*names: str) -> set[Key]:
    return {Key("RosterSync", "k12", name) for name in names}


def waiting(*names: str, merging: str = "") -> Line:
    line = Line(SYNC)
    for number, name in enumerate(names):
        line.join(("k12", name), NOW + timedelta(seconds=number), merging=name == merging)
    return line


def test_merges_first_and_then_who_waits_longest() -> None:
    line = waiting("a", "b", "c", merging="c")
    assert line.call(2) == named("c", "a")
    assert line.call(1) == named("b"), "who was called is behind who was not"


def test_one_that_never_goes_on_holds_nobody_up() -> None:
    line = waiting(*"abcdef")
    called: set[Key] = set()
    for _ in range(3):
        called |= line.call(2)
    assert called == named(*"abcdef")


def test_who_has_left_is_not_called_and_who_is_seen_again_keeps_the_turn() -> None:
    line = waiting("a", "b")
    line.call(1)
    line.join(("k12", "a"), NOW, merging=False)
    assert line.call(1) == named("b")
    line.leave(("k12", "b"))
    line.leave(("k12", "b"))
    assert line.call(5) == named("a")


def test_the_view_puts_into_the_line_whoever_waits_for_a_place() -> None:
    view = View()
    full = [{"type": "Staged", "status": "False", "reason": "JobsAtCapacity", "lastTransitionTime": NOW.isoformat()}]
    body = sync_body(phase="Pending", conditions=full)
    view.sync_seen(body)
    assert len(view.line) == 1
    view.sync_seen(sync_body(phase="Staging"))
    assert len(view.line) == 0
    view.sync_seen(body)
    view.forget_all_but(set(), set(), set())
    assert len(view.line) == 0


async def test_empty_places_are_found_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "ROUND", 0.01)
    view, added = View(), set[Key]()
    for name in "abc":
        view.line.join(("k12", name), NOW, merging=False)
    view.tests.join(("k12", "springfield"), NOW)
    view.running = {("k12", "job")}

    class Queue:
        def add(self, keys: set[Key]) -> None:
            added.update(keys)

    task = asyncio.create_task(call_forever(view, Queue(), 3))  # type: ignore[arg-type]
    await asyncio.sleep(0.015)
    task.cancel()
    assert added == named("a", "b"), "two of three places are free, and the only one that tests may have is taken"


class House:
    """An operator whose places are full, and a connection that was never tested."""

    def __init__(self, **spec: Any) -> None:
        self.api, self.view = FakeApi(), View()
        self.api.put("rosterconnections", connection_body(**spec))
        self.view.running = {("k12", f"job-{number}") for number in range(PLACES // 2)}
        slots, recorder = Slots(self.view, PLACES), Recorder(self.api, "test")
        self.context = Context(
            self.api, SETTINGS, Metrics(self.view), recorder, slots, self.view, "cluster", lambda _: None
        )

    async def look(self) -> float | None:
        return await reconcile_connection(self.context, CONNECTED)

    def tests(self) -> list[str]:
        return [body["metadata"]["name"] for body in self.api.created if body["kind"] == JOB.kind]

    def an_end(self) -> set[Key]:
        """One of the Jobs ends."""
        self.view.running.pop()
        return called_by_an_end(self.view, PLACES)


async def test_a_test_without_a_place_is_called_by_the_next_job_that_ends() -> None:
    house = House()
    again = await house.look()
    assert house.tests() == []
    assert again is not None
    assert again >= IN_LINE / 2, "it does not look for itself"
    assert house.an_end() == {CONNECTED}
    await house.look()
    assert len(house.tests()) == 1
    assert len(house.view.tests) == 0


async def test_no_test_is_called_while_more_jobs_run_than_tests_may_have() -> None:
    house = House()
    house.view.running |= {("k12", "a-merge")}
    await house.look()
    assert house.an_end() == set()
    assert house.an_end() == {CONNECTED}


@pytest.mark.parametrize("way", ["deleted", "gone at the next look", "not listed", "suspended"])
async def test_a_connection_leaves_the_line_however_it_goes(way: str) -> None:
    house = House()
    await house.look()
    assert len(house.view.tests) == 1
    body = house.api.objects["rosterconnections", "springfield"]
    match way:
        case "deleted":
            house.view.connection_seen(body)
            house.view.connection_seen(body, deleted=True)
        case "gone at the next look":
            house.api.remove("rosterconnections", "springfield")
            await house.look()
        case "not listed":
            house.view.connection_seen(body)
            house.view.forget_all_but(set(), set(), set())
        case _:
            house.api.change("rosterconnections", "springfield", {"spec": {"suspend": True}})
            await house.look()
    assert len(house.view.tests) == 0
