"""The table: what is broken, for how long, and how long it may take until everything is at rest again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.faults import operator_breakages as breakages
from tests.faults.operator_kubelet import Fate
from tests.faults.operator_proxy import Call, Fault, refusal
from tests.faults.operator_world import Kept, Place
from tests.support.apiserver import ROOT, operator_rights
from tests.support.jobs import until

from roster_operator.api.task import Step

Breaks = Callable[[Place, Kept], AbstractContextManager[None]]
WELL = {"approved": "Merged", "late": "Merged", "refused": "Rejected", "fresh": "AwaitingApproval"}


@dataclass(frozen=True)
class Case:
    """One row. `lasts` and `patience` are in seconds."""

    name: str
    breaks: Breaks
    lasts: float = 4
    patience: float = 25
    ends: dict[str, str] = field(default_factory=lambda: dict(WELL))
    settings: dict[str, str] = field(default_factory=dict)
    alone: bool = False  # it breaks what all operators share

    @property
    def id(self) -> str:
        return self.name.replace(" ", "-")


def _by(make: Callable[[], Fault]) -> Breaks:
    def breaks(place: Place, _: Kept) -> AbstractContextManager[None]:
        return place.world.proxy.broken_by(place.namespace, make())

    return breaks


def _killed(*, before: bool) -> Breaks:
    @contextmanager
    def breaks(place: Place, kept: Kept) -> Iterator[None]:
        fault = breakages.KilledAtEachWrite(kept.kill, before=before)
        with place.world.proxy.broken_by(place.namespace, fault):
            yield
            place.approve("late")
            place.settles(180)
        sys.stdout.write(f"killed at {len(fault.seen)} kinds of writes: {', '.join(fault.seen)}\n")
        assert {"POST jobs stage", "POST jobs merge", "PATCH rostersyncs status Merged"} <= set(fault.seen)

    return breaks


def _storm(code: int, reason: str, message: str, which: Callable[[Call], bool], **headers: str) -> Breaks:
    @contextmanager
    def breaks(place: Place, _: Kept) -> Iterator[None]:
        storm = breakages.Storm(refusal(code, reason, message, **headers), Random(7), 0.8, which)
        with place.world.proxy.broken_by(place.namespace, storm):
            yield
        assert storm.hits

    return breaks


def _nothing(_: Place, __: Kept) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _a_second_one(place: Place, kept: Kept) -> Iterator[None]:
    """With a Lease of its own: neither knows of the other."""
    name = f"{place.namespace}-second"
    with place.world.operator(place.namespace, name, lease="another") as second:
        until(lambda: "leader 1.0" in second.operator.fetch("/metrics")[1], 20, second.operator.said)
        yield
        place.approve("late")
        place.settles(30)
        written = place.world.proxy.written
        assert written[name], "the second did nothing"
        assert written[place.namespace]
        assert place.wrongs(second) == []


@contextmanager
def _rights_lost(place: Place, _: Kept) -> Iterator[None]:
    rights = operator_rights()
    empty = [one | {"rules": []} if "rules" in one else one for one in rights]
    place.world.server.apply(*empty)
    try:
        yield
    finally:
        place.world.server.apply(*rights)


@contextmanager
def _controllers_stand_still(place: Place, _: Kept) -> Iterator[None]:
    processes: list[subprocess.Popen[bytes]] = place.world.controllers
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@contextmanager
def _deleted_in_the_gap(place: Place, _: Kept) -> Iterator[None]:
    gap = breakages.WatchesGone()
    cluster = place.cluster
    with place.world.proxy.broken_by(place.namespace, gap):
        cluster.patch("rostersyncs", "late", {"metadata": {"annotations": {"touched": "once"}}})
        time.sleep(1)
        yield
        cluster.delete("rostersyncs", "fresh")


def _fates(*fates: Fate) -> Breaks:
    def breaks(place: Place, _: Kept) -> AbstractContextManager[None]:
        for step in Step:
            place.world.kubelet.fate(place.namespace, step, *fates)
        return nullcontext()

    return breaks


def _writes(call: Call) -> bool:
    return call.writes


def _status_writes(call: Call) -> bool:
    return call.writes and call.path.endswith("/status")


def _everything(_: Call) -> bool:
    return True


_quota: dict[str, Any] = {"code": 403, "reason": "Forbidden", "message": 'jobs.batch "x" is forbidden: exceeded quota'}

# A pod that hangs, or never starts, is given up after seconds instead of hours.
_SHORT = {f"ROSTER_{step.upper()}_DEADLINE": "4" for step in Step} | {"ROSTER_DEADLINE_GRACE": "2"}
_HASTY = {"ROSTER_START_DEADLINE": "3"}
_NOT_STARTED = WELL | {"approved": "Failed", "fresh": "Failed"}


def _clock(seconds: int) -> dict[str, str]:
    paths = (ROOT / "tests" / "faults" / "skewed", ROOT / "operator")
    return {"ROSTER_TEST_CLOCK": str(seconds), "PYTHONPATH": ":".join(str(path) for path in paths)}


CASES = (
    Case("nothing is broken", _nothing),
    Case("killed before each kind of write", _killed(before=True)),
    Case("killed after each kind of write", _killed(before=False)),
    Case("two events of three dropped", _by(lambda: breakages.EventsDropped(Random(1), 0.67))),
    Case("every event dropped", _by(lambda: breakages.EventsDropped(Random(1), 1.0)), lasts=6),
    Case("watches silent", _by(breakages.WatchSilent), lasts=8),
    Case("lists stale", _by(breakages.ListsStale), lasts=9),
    Case("410 with a deletion in the gap", _deleted_in_the_gap, ends={k: v for k, v in WELL.items() if k != "fresh"}),
    Case("API frozen", _by(breakages.Frozen)),
    Case("API frozen for longer than the Lease", _by(breakages.Frozen), lasts=12),
    Case("API black-holed", _by(breakages.BlackHole)),
    Case("API slow", _by(lambda: breakages.Slow(0.7)), lasts=6, patience=40),
    Case("409 storm", _storm(409, "Conflict", "the object has been modified", _status_writes)),
    Case("422 storm", _storm(422, "Invalid", "no status today", _status_writes)),
    Case("429 storm", _storm(429, "TooManyRequests", "too many requests", _everything, **{"Retry-After": "1"})),
    Case("500 storm", _storm(500, "InternalError", "etcdserver: leader changed", _everything)),
    Case("403 for every Job", _storm(**_quota, which=lambda call: call.writes and call.plural == "jobs"), patience=60),
    Case("answers of writes lost", _by(lambda: breakages.AnswersLost(Random(3), 0.8))),
    Case("rights lost for 30 s", _rights_lost, lasts=30, patience=40, alone=True),
    Case("Job controller stands still", _controllers_stand_still, lasts=6, alone=True),
    Case("a clock one hour ahead", _nothing, settings=_clock(3600)),
    Case("a clock one hour behind", _nothing, settings=_clock(-3600)),
    Case("two operators at once", _a_second_one),
    Case("nodes lost", _fates(Fate.HANGS), patience=60, settings=_SHORT),
    Case("images that cannot be pulled", _fates(Fate.CANNOT_START), patience=60, settings=_HASTY, ends=_NOT_STARTED),
    Case("pods gone before they were read", _fates(Fate.VANISHES), patience=60),
    Case("pods gone before they worked", _fates(Fate.NEVER_WORKS), patience=60),
    Case("tracebacks instead of answers", _fates(Fate.BABBLES), patience=60),
    Case("database away for a while", _fates(Fate.CANNOT_YET), patience=60),
)
