"""One database, one act of a sync in it, and everything that is seen on the way."""

from __future__ import annotations

from tests.faults import store_checks as checks
from tests.faults.store_ground import Ground, Place, order
from tests.faults.store_points import Act, Point
from tests.faults.store_wire import Stop
from tests.faults.store_workers import Worker
from tests.worker.worlds import model

from roster_operator.api.task import Outcome, WorkerSummary, WorkerTask


def task(ground: Ground, place: Place, act: Act, attempt: int) -> WorkerTask:
    approved = order(ground.digests[act.sync]) if act.step == "merge" else {}
    return place.given(act.step, act.sync, attempt, undoes=act.undoes, **approved)


class Case:
    """One database, one act, and everything that was seen on the way."""

    def __init__(self, ground: Ground, place: Place, act: Act, broken: str = "") -> None:
        self.ground, self.place, self.act, self.broken = ground, place, act, broken
        self.key = place.roster.key()
        self.attempt = 1
        self.seen: list[checks.Sight] = []
        base, lost, newer = map(model, ground.districts)
        self.truths = [base, lost, newer, lost]
        with place.roster.owner() as conn:
            self.elsewhere = checks.others(conn, self.key)

    def begin(self) -> Worker:
        self.attempt += 1
        return self.place.worker(task(self.ground, self.place, self.act, self.attempt), self.broken)

    def look(self) -> None:
        with self.place.roster.owner() as conn:
            self.seen.append(checks.look(conn, self.key))

    def wrongs(self, said: WorkerSummary | None = None) -> list[str]:
        with self.place.roster.owner() as conn:
            return checks.wrongs(conn, self.key, self.truths, self.elsewhere, seen=self.seen, said=said)

    def frozen(self, point: Point) -> tuple[Worker, Stop]:
        """A worker that stands at the point."""
        stop = self.ground.wire.stop = Stop(point.statement, point.when, point.number)
        worker = self.begin()
        if not stop.reached(lambda: worker.alive):
            raise AssertionError(f"no statement of this kind any more: {worker.end()}")
        self.ground.wire.stop = None
        self.look()
        return worker, stop

    def ends(self, said: WorkerSummary | None) -> None:
        """It answers as an undisturbed one."""
        assert said is not None
        assert said.failure is None, said.failure
        wanted = {"stage": Outcome.STAGED, "merge": Outcome.MERGED, "discard": Outcome.DISCARDED}
        assert said.outcome is wanted[self.act.step]
        if said.plan is not None:
            assert said.plan.digest == self.ground.digests[self.act.sync]

    def as_undisturbed(self) -> None:
        """The step is run once more, and the database is as if nothing had happened."""
        said = self.begin().end()
        self.ends(said)
        assert self.wrongs(said if self.act.step == "merge" else None) == []
        with self.place.roster.owner() as conn:
            found = checks.picture(conn, self.key)
        assert found == self.ground.pictures[self.act.after]
