"""A fault run: people, districts, pods, operator and API server do what chance says, and nothing wrong may come of it.

FAULT_STEPS: how many things happen (200; 10,000 before a release). FAULT_SEED: what chance begins with; printed, so
that a run can be begun again. Threads and processes keep their own time, so the same seed gives the same acts, and
not the same microseconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from random import Random
from secrets import randbelow

import pytest
from tests.faults import operator_breakages as breakages
from tests.faults.operator_districts import BEYOND
from tests.faults.operator_kubelet import Fate
from tests.faults.operator_proxy import Fault, refusal
from tests.faults.operator_world import WAITING_PHASES, Kept, Place, world

from roster_operator.api.task import Step

STEPS = int(os.environ.get("FAULT_STEPS", "200"))
SEED = int(os.environ.get("FAULT_SEED") or randbelow(10**6))
pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(180 + 4 * STEPS)]
REST_EVERY = 100  # steps between two times in which everything must come to rest
DISTRICTS = 6
GIVEN_UP = "DiscardGaveUp"
PASSING = (Fate.VANISHES, Fate.NEVER_WORKS, Fate.BABBLES, Fate.KILLED, Fate.CANNOT_YET)


class Chance:
    """What happens, drawn by one seed."""

    def __init__(self, place: Place, kept: Kept, seed: int) -> None:
        self.random = Random(seed)
        self.place, self.cluster, self.kept = place, place.cluster, kept
        self.history: list[str] = []
        self.met: Counter[str] = Counter()
        self._broken = ExitStack()
        self._numbers = count(1)

    def step(self) -> None:
        """One thing happens."""
        acts: list[tuple[Callable[[], str | None], int]] = [
            (self.a_sync_is_made, 8), (self.one_is_approved, 10), (self.one_is_rejected, 2), (self.one_is_deleted, 2),
            (self.a_spec_is_edited, 1), (self.a_connection_is_suspended_or_resumed, 1), (self.pods_fare_badly, 5),
            (self.the_operator_is_killed, 2), (self.something_breaks, 4), (self.all_is_mended, 3),
        ]  # fmt: skip
        (act,) = self.random.choices([act for act, _ in acts], [weight for _, weight in acts])
        said = act() or ""
        self.met[act.__name__] += 1
        self.history.append(f"{len(self.history) + 1} {act.__name__} {said}")
        time.sleep(self.random.choice((0.0, 0.02, 0.1, 0.2)))
        assert self.place.world.witness.wrongs() == []

    def rest(self) -> None:
        """All is mended and nobody acts: everything comes to rest, and nothing wrong was done."""
        self.all_is_mended()
        # Each pod that fails makes the Job controller wait twice as long, so what is still in store would add up.
        self.place.world.kubelet.fates.clear()
        for one in self.cluster.items("rosterconnections"):
            if one["spec"].get("suspend"):
                self.cluster.patch("rosterconnections", one["metadata"]["name"], {"spec": {"suspend": False}})
        took = self.place.settles(180)
        sys.stdout.write(f"step {len(self.history)}: at rest after {took:.1f} s\n")
        # That one which waits is an older pull than another may be found out a moment later.
        self.place.wait(lambda: not self._outlived(), 30, lambda: f"discarded: {self._outlived()}")
        assert self.place.wrongs(self.kept) == []

    def _outlived(self) -> list[str]:
        """Runs whose staged rows are nobody's any more (I7). Of a discard that was given up an Event has told."""
        waiting = {one["metadata"]["uid"] for one in self._syncs() if one["status"].get("phase") in WAITING_PHASES}
        told = {one["involvedObject"]["uid"] for one in self.cluster.items("events") if one["reason"] == GIVEN_UP}
        runs = dict(self.place.world.districts.runs)  # pods go on working meanwhile
        left = {uid for uid, run in runs.items() if run.staged and not run.merged and not run.discarded}
        return [f"{runs[uid].name} is staged, and no sync of it waits" for uid in left - waiting - told]

    # People.

    def a_sync_is_made(self) -> str:
        name = f"s{next(self._numbers)}{BEYOND if self.random.randrange(4) == 0 else ''}"
        self.cluster.sync(name, self._connection(), approved=self.random.randrange(4) == 0)
        return name

    def one_is_approved(self) -> str | None:
        waiting = [one for one in self._syncs() if one["status"].get("phase") in WAITING_PHASES]
        if not waiting:
            return None
        one = self.random.choice(waiting)
        name, digest = one["metadata"]["name"], one["status"]["plan"]["digest"]
        if self.random.randrange(3):
            self.cluster.change(name, approvedPlan=digest)
        else:
            self.cluster.change(name, approved=not one["spec"].get("approved"))
        return name

    def one_is_rejected(self) -> str | None:
        return self._to_one(lambda name: self.cluster.change(name, rejected={"reason": "chance"}))

    def one_is_deleted(self) -> str | None:
        return self._to_one(lambda name: self.cluster.delete("rostersyncs", name))

    def a_spec_is_edited(self) -> str:
        name = self._connection()
        self.cluster.patch("rosterconnections", name, {"spec": {"api": {"pageSize": self.random.randrange(100, 900)}}})
        return name

    def a_connection_is_suspended_or_resumed(self) -> str:
        name = self._connection()
        self.cluster.patch("rosterconnections", name, {"spec": {"suspend": self.random.randrange(2) == 0}})
        return name

    # The world.

    def pods_fare_badly(self) -> str:
        step, fate = self.random.choice(list(Step)), self.random.choice(PASSING)
        self.place.world.kubelet.fate(self.place.namespace, step, fate)
        return f"{step}: {fate}"

    def the_operator_is_killed(self) -> None:
        self.kept.kill()

    def something_breaks(self) -> str:
        self.all_is_mended()
        dice = Random(self.random.random())
        faults: list[Callable[[], Fault]] = [
            lambda: breakages.EventsDropped(dice, 0.7),
            breakages.WatchSilent,
            breakages.ListsStale,
            breakages.Frozen,
            breakages.BlackHole,
            breakages.WatchesGone,
            lambda: breakages.Slow(0.3),
            lambda: breakages.AnswersLost(dice, 0.5),
            lambda: breakages.Storm(refusal(409, "Conflict", "modified"), dice, 0.5, lambda call: call.writes),
            lambda: breakages.Storm(refusal(422, "Invalid", "no"), dice, 0.5, lambda call: call.writes),
            lambda: breakages.Storm(refusal(500, "InternalError", "no leader"), dice, 0.5, lambda _: True),
            lambda: breakages.Storm(refusal(429, "TooManyRequests", "later"), dice, 0.5, lambda _: True),
        ]
        fault = self.random.choice(faults)()
        self._broken.enter_context(self.place.world.proxy.broken_by(self.place.namespace, fault))
        self.met[type(fault).__name__] += 1
        return type(fault).__name__

    def all_is_mended(self) -> None:
        self._broken.close()

    def _connection(self) -> str:
        return f"c{self.random.randrange(DISTRICTS)}"

    def _syncs(self) -> list[dict]:
        found = [one for one in self.cluster.items("rostersyncs") if not one["metadata"].get("deletionTimestamp")]
        return [one | {"status": one.get("status") or {}} for one in found]

    def _to_one(self, act: Callable[[str], None]) -> str | None:
        names = [one["metadata"]["name"] for one in self._syncs() if "finished" not in one["status"].get("times", {})]
        if not names:
            return None
        name = self.random.choice(names)
        act(name)
        return name


def test_whatever_happens_in_whatever_order(tmp_path: Path) -> None:
    sys.stdout.write(f"FAULT_SEED={SEED} FAULT_STEPS={STEPS}\n")
    with world(tmp_path) as ground, ground.place() as place, ground.operator(place.namespace) as kept:
        place.ready(*(f"c{number}" for number in range(DISTRICTS)))
        chance = Chance(place, kept, SEED)
        try:
            for number in range(1, STEPS + 1):
                chance.step()
                if number % REST_EVERY == 0 or number == STEPS:
                    chance.rest()
        except BaseException as error:
            error.add_note(f"FAULT_SEED={SEED}\n" + "\n".join(chance.history[-60:]))
            raise
        merged, fates = ground.districts.merges.total(), dict(ground.kubelet.met)
        sys.stdout.write(f"{merged} merges, {kept.starts} starts, {dict(chance.met)}, {fates}\n")
        assert merged
