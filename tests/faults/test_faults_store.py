"""Worker, connection and server are killed at each named point of stage, merge, undo and discard.

Whatever was killed, I1 to I9 hold at once; the step is run again, as the Job controller does it, and ends as if nothing
had happened. At the end of each row a worker that was frozen there goes on after another one has done its work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.faults.store_cases import Case, task
from tests.faults.store_ground import Ground
from tests.faults.store_points import ACTS, POINTS, Act, Point, unnamed

from roster_operator.api.task import WorkerSummary

pytestmark = [pytest.mark.store, pytest.mark.timeout(120)]
GONE = {"DatabaseUnreachable", "DatabaseUnavailable"}


def killed(case: Case, point: Point) -> None:
    worker, stop = case.frozen(point)
    worker.kill()
    case.ground.wire.cut()
    stop.go_on()


def cut(case: Case, point: Point) -> None:
    worker, stop = case.frozen(point)
    case.ground.wire.cut()
    stop.go_on()
    gone(worker.end())


def server_killed(case: Case, point: Point) -> None:
    worker, stop = case.frozen(point)
    case.ground.server.kill()
    case.ground.wire.cut()
    stop.go_on()
    case.ground.server.start()
    gone(worker.end())
    case.place = case.ground.again(case.place)


def gone(said: WorkerSummary | None) -> None:
    """It says that it does not know, and never that it did or did not."""
    assert said is not None
    assert said.failure is not None
    assert (said.failure.reason in GONE, said.failure.retryable) == (True, True), said.failure


def late(case: Case, point: Point) -> None:
    """Another one does the work, as far as it comes, and then the frozen one goes on."""
    worker, stop = case.frozen(point)
    second = case.begin()
    # It may have to wait for the first one's lock: then the first one goes on after a moment.
    release = threading.Timer(3.0, stop.go_on)
    release.start()
    said = second.end()
    release.cancel()
    stop.go_on()
    first = worker.end()
    case.ends(said)
    assert first is not None
    if first.failure is not None:
        assert (case.act.step, first.failure.reason) == ("stage", "Fenced"), first.failure
    else:
        case.ends(first)


Fault = Callable[[Case, Point], None]
FAULTS: tuple[Fault, ...] = (killed, cut, server_killed, late)
# After the end of the work a second fault finds nothing to disturb, so each has a row of its own.
ROWS = [
    pytest.param(point, faults, id=f"{point.id}{': ' + faults[0].__name__ if point.done else ''}")
    for point in POINTS
    for faults in ([(each,) for each in FAULTS] if point.done else [FAULTS])
]


@pytest.mark.parametrize(("point", "faults"), ROWS)
def test_nothing_is_lost_or_doubled(
    town: Ground, point: Point, faults: tuple[Callable[[Case, Point], None], ...]
) -> None:
    with town.copy(point.act.before) as place:
        case = Case(town, place, point.act)
        for fault in faults:
            fault(case, point)
            assert case.wrongs() == []
        case.as_undisturbed()


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_every_statement_that_writes_is_stopped_at(town: Ground, act: Act) -> None:
    with town.copy(act.before) as place:
        town.wire.heard.clear()
        said = place.run(task(town, place, act, 2))
        assert said.failure is None
        assert len(town.wire.heard) > 1
        assert list(unnamed(act, town.wire.heard)) == []
