"""Who waits for a place is called in turn, few at a time, and nobody is left out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.controller.test_small_parts import sync_body

from roster_operator.controller import line as line_module
from roster_operator.controller.line import Line, call_forever
from roster_operator.controller.queue import Key
from roster_operator.controller.view import View

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def named(*names: str) -> set[Key]:
    return {Key("RosterSync", "k12", name) for name in names}


def waiting(*names: str, merging: str = "") -> Line:
    line = Line()
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
    view.running = {("k12", "job")}

    class Queue:
        def add(self, keys: set[Key]) -> None:
            added.update(keys)

    task = asyncio.create_task(call_forever(view, Queue(), 3))  # type: ignore[arg-type]
    await asyncio.sleep(0.015)
    task.cancel()
    assert added == named("a", "b")
