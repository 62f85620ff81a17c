"""A server of the suite's own, a district in four states of its life, and workers that change it.

The states are databases; a case gets a copy of one, so a digest in the copy is the digest in the original.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from psycopg import conninfo
from tests.faults.store_checks import picture
from tests.faults.store_wire import Wire
from tests.faults.store_workers import Worker
from tests.store.fixtures import Roster
from tests.support.postgres import OWNER
from tests.worker.worlds import CLIENT, SECRET, World

from roster_operator.api.task import Outcome, SyncSubject, WorkerSummary, WorkerTask
from roster_operator.cli.embedded import Database, EmbeddedPostgres
from roster_operator.store.migrate import migrate
from roster_operator.store.tenants import Logins
from roster_sample_sis import District, SampleSIS

# A commit that was answered must outlive every process of the server; that the machine goes is not tried.
_SETTINGS = {"synchronous_commit": "on", "max_connections": "60", "deadlock_timeout": "200ms", "shared_buffers": "16MB"}
_NAMES = UUID("9d7c1f7a-3a55-4f0e-9d5b-7f3c0b2a6e10")
_numbers = count(1)


def uid(sync: str) -> UUID:
    """The same in every database."""
    return uuid5(_NAMES, sync)


class Server:
    """A PostgreSQL of the suite's own, which may be killed."""

    def __init__(self, embedded: EmbeddedPostgres) -> None:
        self.embedded = embedded

    @classmethod
    @contextmanager
    def up(cls, version: int = 18, **settings: str) -> Generator[Server]:
        with EmbeddedPostgres.temporary(version, tcp=True, settings=_SETTINGS | settings) as embedded:
            yield cls(embedded)

    def kill(self) -> None:
        """Every process of it at once, as the kernel does it."""
        first = self.embedded.pid
        assert first is not None
        everyone = [first, *children(first)]
        for pid in everyone:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 10
        while any(_lives(pid) for pid in everyone) and time.monotonic() < until:
            time.sleep(0.005)

    def start(self) -> None:
        self.embedded.start()


def children(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@dataclass
class Place(World):
    """One database with a district in it, reached over the wire."""

    server: Server = field(kw_only=True)
    wire: Wire = field(kw_only=True)

    def secrets(self) -> tuple[Path, Path]:
        sis, database = super().secrets()
        for key in ("stage-url", "merge-url"):
            (database / key).write_text(self.wire.through((database / key).read_text()))
        return sis, database

    def given(self, step: str, sync: str, attempt: int = 1, **more: Any) -> WorkerTask:
        """The task of a sync's step."""
        undoes = more.pop("undoes", None)
        made = self.task(step, uid(sync), attempt=attempt, **more)
        assert made.sync is not None
        told: dict[str, Any] = made.sync.to_dict() | {"name": sync}
        if undoes:
            told |= {"mode": "Undo", "undoes": undoes}
        spec = None if undoes else made.spec
        return made.model_copy(update={"sync": SyncSubject.from_dict(told), "spec": spec})

    def worker(self, task: WorkerTask, broken: str = "") -> Worker:
        sis, database = self.secrets()
        return Worker(task, self.folder, {"sis": sis, "database": database}, broken)

    def run(self, task: WorkerTask, broken: str = "") -> WorkerSummary:
        said = self.worker(task, broken).end()
        assert said is not None
        return said


def order(digest: str) -> dict[str, Any]:
    return {"order": {"digest": digest, "by": "ada", "via": "approved", "at": "2026-11-24T12:00:00Z"}}


@dataclass
class Ground:
    """The server, the source, and the states of the district.

    merged: two pulls. staged: a third waits. newer: it is merged. undone: its undo is staged and waits. restored: the
    undo is merged. discarded: the third pull was.
    """

    server: Server
    wire: Wire
    sis: SampleSIS
    folder: Path
    districts: tuple[District, ...]
    logins: dict[str, str] = field(default_factory=dict[str, str])
    digests: dict[str, str] = field(default_factory=dict[str, str])
    pictures: dict[str, dict[str, list[str]]] = field(default_factory=dict[str, dict[str, list[str]]])

    @classmethod
    @contextmanager
    def made(cls, server: Server, folder: Path, *districts: District) -> Generator[Ground]:
        """districts: of three pulls; every case happens while the source shows the last of them."""
        with (
            SampleSIS(districts[0], client_id=CLIENT, client_secret=SECRET) as sis,
            Wire(server.embedded.superuser_url) as wire,
        ):
            ground = cls(server, wire, sis, folder, districts)
            ground._fill()
            yield ground

    def _fill(self) -> None:
        made = self.server.embedded.create_database("merged", OWNER)
        migrate(made.owner_url)
        roster = Roster(made, 1)
        self.logins = {"stage": roster.logins().stage_url, "merge": roster.logins().merge_url}
        first = self._place(roster)
        beside = self._place(Roster(made, 2))
        for at, district in enumerate(self.districts[:2]):
            self.sis.swap(district)
            for place in (first, beside):
                self._whole(place, f"pull-{at}")
        self.sis.swap(self.districts[2])
        with self.copy("merged", "staged") as place:
            self.digests["pull-2"] = self._staged(place.run(place.given("stage", "pull-2")))
        with self.copy("staged", "newer") as place:
            self._merged(place.run(place.given("merge", "pull-2", 2, **order(self.digests["pull-2"]))))
        with self.copy("newer", "undone") as place:
            staged = place.run(place.given("stage", "undo", undoes="pull-2"))
            self.digests["undo"] = self._staged(staged)
        with self.copy("undone", "restored") as place:
            given = place.given("merge", "undo", 2, undoes="pull-2", **order(self.digests["undo"]))
            self._merged(place.run(given))
        with self.copy("staged", "discarded") as place:
            assert place.run(place.given("discard", "pull-2", 2)).outcome is Outcome.DISCARDED

    def _whole(self, place: Place, sync: str) -> None:
        digest = self._staged(place.run(place.given("stage", sync)))
        self._merged(place.run(place.given("merge", sync, 2, **order(digest))))

    @staticmethod
    def _staged(said: WorkerSummary) -> str:
        assert said.outcome is Outcome.STAGED, said.failure
        assert said.plan is not None
        return said.plan.digest

    @staticmethod
    def _merged(said: WorkerSummary) -> None:
        assert said.outcome is Outcome.MERGED, said.failure

    @contextmanager
    def copy(self, state: str, name: str = "") -> Iterator[Place]:
        """A database of its own in this state. Without a name it is dropped in the end."""
        database = self.server.embedded.create_database(name or f"case_{next(_numbers)}", OWNER, template=state)
        try:
            place = self._place(self._roster(database))
            yield place
            if name:
                with place.roster.owner() as conn:
                    self.pictures[name] = picture(conn, place.roster.key())
        finally:
            self.wire.stop = None
            self.wire.cut()
            if not name:
                self.server.embedded.drop_database(database.name)

    def again(self, place: Place) -> Place:
        """The same database, after its server has come back."""
        return self._place(self._roster(self.server.embedded.database(place.roster.database.name, OWNER)))

    def _roster(self, database: Database) -> Roster:
        urls = [_elsewhere(url, database.owner_url) for url in (self.logins["stage"], self.logins["merge"])]
        return Roster(database, 1, {"springfield": Logins(*urls)})

    def _place(self, roster: Roster) -> Place:
        folder = self.folder / roster.database.name
        folder.mkdir(exist_ok=True)
        return Place(roster, self.sis, folder, server=self.server, wire=self.wire)


def _elsewhere(url: str, like: str) -> str:
    """A login's URL, for the database that another URL leads to."""
    there = conninfo.conninfo_to_dict(like)
    parts = conninfo.conninfo_to_dict(url)
    return (
        f"postgresql://{parts['user']}:{parts['password']}@{there['host']}:{there['port']}/{there['dbname']}"
        "?sslmode=disable"
    )
