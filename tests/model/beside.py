"""The real worker and the real database for one tenant, run beside the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from tests.model.district import District, Row
from tests.model.elapsed import elapse
from tests.model.forgetting import erase, reap
from tests.model.pins import Pin
from tests.model.plan import Plan, Run
from tests.model.pull import Pull
from tests.model.records import ENTITIES, Listing, Scope
from tests.model.sis import MemorySource
from tests.model.undo import Undo
from tests.store.fixtures import Roster, run_name

from roster_operator.api.limits import Limits
from roster_operator.oneroster.choices import choose
from roster_operator.store import erase as erasing
from roster_operator.store import matches, pins, retention, runs
from roster_operator.store import plan as plans
from roster_operator.store.bound import BoundCursor
from roster_operator.store.errors import StoreError, translated
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.runs import RunName
from roster_operator.store.tables import BY_ENTITY
from roster_operator.worker.stage import Staged, stage
from roster_operator.worker.undo import stage_undo

REMOVE_AFTER, KEEP_HISTORY = 120, 400
# Removals wait where more than one record of an entity, and more than a tenth of them, would go.
HOLDING = Limits.model_validate(
    {
        "deactivate": {"percent": 10, "floor": 1},
        "perSchool": {"deactivate": {"percent": 100, "floor": 1000}},
        "windowDays": 0,
        "onExceed": "HoldRemovals",
    }
)
# Issues that the model counts, too.
TOLD = {"UndoConflict", "UndoRecordGone"}
# What a merge may change of a row without a word in the history: the same content came in other bytes, or the last pin
# of it went and the source says what the pin said.
UNTOLD = {"raw_hash", "date_last_modified", "row_hash"}


class Killed(BaseException):
    """The process was gone at this statement."""


class MortalCursor(BoundCursor[Any]):
    def execute(self, *given: Any, **more: Any) -> Any:
        self._live()
        return super().execute(*given, **more)

    def copy(self, *given: Any, **more: Any) -> Any:
        self._live()
        return super().copy(*given, **more)

    def _live(self) -> None:
        conn = self.connection
        if isinstance(conn, MortalConnection):
            conn.live()


class MortalConnection(psycopg.Connection[Any]):
    """A connection that is cut before its n-th statement, with everything that was under way."""

    left: int | None = None

    def live(self) -> None:
        if self.left is None:
            return
        if not self.left:
            self.left = None
            self.pgconn.finish()
            raise Killed
        self.left -= 1


def open_mortal(url: str) -> MortalConnection:
    return MortalConnection.connect(url, autocommit=True, cursor_factory=MortalCursor)


class Waiting:
    """A staged run: what the model and the store hold of it, and every digest it ever had."""

    def __init__(self, name: RunName, run: Run) -> None:
        self.name = name
        self.run = run
        self.digests: list[str] = []

    def __repr__(self) -> str:
        return f"run of {self.digests[-1][7:15]}"


@dataclass
class Beside:
    """One tenant, twice. Everything that is asked of both is compared here."""

    roster: Roster
    tenant: str
    district: District = field(default_factory=District)
    digests: dict[object, str] = field(default_factory=dict[object, str])
    ended: list[UUID] = field(default_factory=list[UUID])
    merged: dict[int, UUID] = field(default_factory=dict[int, UUID])  # the runs that were merged, by version

    def __post_init__(self) -> None:
        self.key = self.roster.key(self.tenant)
        logins = self.roster.logins(self.tenant)
        self._urls = {"stage": logins.stage_url, "late": logins.stage_url, "merge": logins.merge_url}
        self._open: dict[str, MortalConnection] = {}
        self._owner = psycopg.connect(self.roster.database.owner_url, autocommit=True)
        self._json = self._rows_as_json()
        self._checked = 0

    def close(self) -> None:
        for conn in (*self._open.values(), self._owner):
            with suppress(psycopg.Error):
                conn.close()

    def connection(self, login: str) -> MortalConnection:
        conn = self._open.get(login)
        if conn is None or conn.closed:
            conn = self._open[login] = open_mortal(self._urls[login])
        conn.left = None
        return conn

    # Steps.

    def stage(
        self,
        listings: Mapping[str, Listing],
        scope: Scope,
        *,
        name: RunName | None = None,
        attempt: int = 1,
        killed_at: int | None = None,
        between: Callable[[str], None] = lambda _: None,
        login: str = "stage",
        hold: bool = False,
    ) -> Waiting:
        """Pull and stage; the model does the same, entity by entity.

        between: called while an entity is read. hold: removals wait where too many would go.
        """
        name = name or run_name()
        pull = Pull(self.district, scope)

        def before(entity: str) -> None:
            # A listing in which something came twice is read again, and compared with the same rows.
            if pull.open(entity):
                between(entity)

        taken = {entity: each for entity, each in listings.items() if entity not in scope.untaken}
        source = MemorySource(taken, before=before, after=lambda entity: pull.take(entity, taken[entity]))
        conn = self.connection(login)
        conn.left = killed_at
        choices = choose(
            entities=[entity for entity in ENTITIES if entity not in scope.untaken],
            schools=scope.schools,
            enrolled_only=scope.enrolled_only,
            roles=scope.roles,
            current_terms=scope.current_terms,
        )
        with translated():
            staged = stage(source, conn, name, attempt, HOLDING if hold else Limits(), lambda *_: None, choices)
        pull.seal()
        if hold:
            pull.holds_removals(HOLDING.deactivate.percent, HOLDING.deactivate.floor)
        return self._staged(conn, name, pull, staged)

    def undo(
        self, name: RunName, version: int, *, overwrite: bool, attempt: int = 1, killed_at: int | None = None
    ) -> Waiting | None:
        """Stage what takes back the merge that made this version; None where its history is gone. name: of a run with
        the mode Undo."""
        undone = self.merged[version]
        undo = Undo(self.district, version, overwrite, name.run, undone)
        conn = self.connection("stage")
        conn.left = killed_at
        try:
            with translated():
                staged = stage_undo(
                    conn, name, runs.get(conn, undone), attempt=attempt, limits=Limits(), overwrite=overwrite
                )
        except StoreError as error:
            if error.reason != "UndoHistoryGone" or not undo.history_gone:
                raise
            return None
        assert not undo.history_gone
        return self._staged(conn, name, undo, staged)

    def _staged(self, conn: MortalConnection, name: RunName, run: Run, staged: Staged) -> Waiting:
        conn.left = None
        waiting = Waiting(name, run)
        self.agree(waiting, staged.plan)
        return waiting

    def merge(self, waiting: Waiting, digest: str, *, killed_at: int | None = None) -> bool:
        """Merge if the digest is the plan's as it is now. Whether it merged."""
        wanted = waiting.run.plan()
        conn = self.connection("merge")
        conn.left = killed_at
        done = merge(conn, waiting.name.run, digest, {"by": "ada"})
        conn.left = None
        self.agree(waiting, done.plan, wanted)
        same = digest == self.digests[wanted.effects]
        assert isinstance(done, Merged if same else PlanChanged)
        if same:
            self.district.merge(waiting.run)
            assert isinstance(done, Merged)
            assert (done.data_version, done.before) == (self.district.version, False)
            self.ended.append(waiting.name.run)
            self.merged[self.district.version] = waiting.name.run
        # Asked again, as by a Job whose message was lost.
        again = merge(conn, waiting.name.run, digest, {"by": "bob"})
        assert isinstance(again, Merged) == same
        assert again.plan.digest == done.plan.digest
        return same

    def discard(self, waiting: Waiting) -> None:
        conn = self.connection("stage")
        assert runs.discard(conn, waiting.name, None) == runs.discard(conn, waiting.name, "again") == "Discarded"
        self.ended.append(waiting.name.run)

    def pin(self, entity: str, sourced_id: str, name: str, value: object, days: int | None) -> None:
        """days: for so long; None: until it is released."""
        until = None if days is None else datetime.now(UTC) + timedelta(days=days)
        url = self.roster.database.owner_url
        pins.put(url, self.key, entity, sourced_id, name, value, by="ada", until=until)
        self.district.pin(entity, sourced_id, name, Pin(value, None if days is None else self.district.day + days))

    def release(self, entity: str, sourced_id: str, name: str) -> None:
        pins.release(self.roster.database.owner_url, self.key, entity, sourced_id, name, by="ada")
        self.district.release(entity, sourced_id, name)

    def accept(self, manual: str, other: str) -> None:
        matches.accept(self.roster.database.owner_url, self.key, manual, other, by="ada")
        self.district.accept(manual, other)

    def refuse(self, manual: str, other: str) -> None:
        matches.reject(self.roster.database.owner_url, self.key, manual, other, by="ada")
        self.district.refuse(manual, other)

    def take_back(self, manual: str, other: str) -> None:
        linked = matches.undo(self.roster.database.owner_url, self.key, manual, other, by="ada")
        assert linked is self.district.take_back(manual, other)

    def pass_days(self, days: int) -> None:
        """Everything that was written with a time is so many days older."""
        elapse(self._owner, self.key, days)
        self.district.day += days
        self._json = self._rows_as_json()

    def reap(self) -> None:
        """The night's retention for this tenant, with the days that a connection has unless it says otherwise."""
        retention.reap_tenant(self._owner, self.key, remove_after=REMOVE_AFTER, keep_history=KEEP_HISTORY)
        reap(self.district, REMOVE_AFTER, KEEP_HISTORY)
        self._json = self._rows_as_json()

    def erase(self, user: str) -> bool:
        """Erase a person, and end all that waits. Whether anything was known of them."""
        found = erase(self.district, user)
        try:
            receipt = erasing.person(self.roster.database.owner_url, self.key, user, by="ada", discard_staged=True)
        except StoreError as error:
            if error.reason != "PersonUnknown" or found:
                raise
            return False
        assert {table: n for table, n in receipt.rows.items() if n and table in found} == found
        self._json = self._rows_as_json()
        return True

    # Comparisons.

    def agree(self, waiting: Waiting, said: plans.Plan, wanted: Plan | None = None) -> None:
        """The plan: its counts, and a digest that is another one exactly when its effects are others."""
        wanted = wanted or waiting.run.plan()
        # What the model knows nothing of (links, new keys, pins, limits that hold removals) never happens here.
        known = wanted.entities
        counts = {
            entity: {what: n for what, n in vars(each).items() if n or what in known[entity]}
            for entity, each in said.entities.items()
        }
        assert counts == wanted.entities, differences(counts, wanted.entities)
        problems = {(i["code"], i["severity"], i["entity"]): i["count"] for i in said.issues if i["code"] in TOLD}
        assert problems == wanted.issues
        assert (said.complete, said.base_version) == (wanted.complete, wanted.base_version)
        assert self.digests.setdefault(wanted.effects, said.digest) == said.digest
        assert len(set(self.digests.values())) == len(self.digests)
        if said.digest not in waiting.digests:
            waiting.digests.append(said.digest)

    def same(self) -> None:
        """Everything in the database is as the model has it."""
        found = self._rows_as_json()
        self._same_rows(found)
        self._same_history(found)
        self._json = found
        self._same_access()
        self._same_pins()
        self._same_successions()
        kept = self._ask("select count(*) from roster.change_log where tenant = %s", self.key)
        assert kept == [(len(self.district.log),)], "the history has another length"
        if self.ended:
            left = self._ask(
                "select count(*) from pg_class c, unnest(%s::uuid[]) r(run) where c.relnamespace ="
                " 'roster_stage'::regnamespace and c.relname like roster.stage_prefix(%s, r.run) || '\\_%%'",
                self.ended, self.key,
            )  # fmt: skip
            assert left == [(0,)], "what was staged outlived its run"

    def _same_rows(self, found: dict[str, dict[str, dict[str, Any]]]) -> None:
        for entity in ENTITIES:
            rows = self.district.rows[entity]
            assert set(found[entity]) == set(rows), entity
            for sourced_id, row in rows.items():
                said = found[entity][sourced_id]
                wanted = _as_json(row)
                assert {name: said[name] for name in wanted} == wanted, (entity, sourced_id)
                if entity == "users":
                    # Who came again under an id that had been somebody else's has a key that nobody can know before.
                    person = "again-" if (said["person"] or "").startswith("again-") else said["person"]
                    assert person == row.person, (sourced_id, person, row.person)
                if not row.manual:
                    assert (said["raw_hash"] is None) == (row.bytes is None), (entity, sourced_id)

    def _same_history(self, found: dict[str, dict[str, dict[str, Any]]]) -> None:
        version = self._ask("select data_version from roster.tenant where tenant = %s", self.key)[0][0]
        assert version == self.district.version
        ledgers = self._ask(
            "select (select count(*) from roster.sync_run where tenant = %s and state = 'Merged'),"
            " (select count(*) from roster.manual_change where tenant = %s)",
            self.key, self.key,
        )  # fmt: skip
        assert ledgers == [(len(self.merged), len(self.district.by_hand))]
        log = self._ask(
            "select data_version, entity, action, sourced_id, old from roster.change_log where tenant = %s"
            " and data_version > %s",
            self.key, self._checked,
        )  # fmt: skip
        wanted = [
            (each.version, each.entity, each.action, each.sourced_id)
            for each in self.district.log
            if each.version > self._checked
        ]
        assert sorted(each[:4] for each in log) == sorted(wanted)
        # Undone from the newest on, the history leads back to the rows of the last look.
        for _, entity, _, sourced_id, old in sorted(
            log, key=lambda each: (-each[0], each[2] not in {"followed", "unlink"})
        ):
            if old is None:
                del found[entity][sourced_id]
            else:
                found[entity][sourced_id] = old
        assert told(found) == told(self._json)
        self._checked = version
        found.update(self._rows_as_json())

    def _same_access(self) -> None:
        said = self._ask(
            "select x.user_sourced_id, x.permissions, x.revoked_by is not null from roster.app_access x"
            " where x.tenant = %s",
            self.key,
        )
        wanted = {user: (each.permissions, each.ended) for user, each in self.district.access.items()}
        assert {user: (tuple(permissions), ended) for user, permissions, ended in said} == wanted

    def _same_pins(self) -> None:
        said = self._ask(
            "select entity, sourced_id, field, value, released_at is not null from roster.pin where tenant = %s",
            self.key,
        )
        wanted = [
            (*record, name, pin.value, pin.released)
            for record, of_record in self.district.pins.items()
            for name, pin in of_record.items()
        ]
        assert sorted(map(str, said)) == sorted(map(str, wanted))

    def _same_successions(self) -> None:
        said = self._ask(
            "select data_version, entity, old_sourced_id, new_sourced_id, kind, arrival,"
            " case when person like 'again-%%' then 'again-' else person end, access_moved,"
            " undone_at is not null from roster.succession where tenant = %s",
            self.key,
        )
        wanted = [
            (done.version, *vars(done.what).values(), done.who, done.access, done.parted)
            for done in self.district.successions
        ]
        assert sorted(map(str, said)) == sorted(map(str, wanted))
        said = self._ask(
            "select manual_sourced_id, sourced_id, decision from roster.match_decision where tenant = %s", self.key
        )
        assert {(manual, other): decision for manual, other, decision in said} == self.district.decisions

    def _rows_as_json(self) -> dict[str, dict[str, dict[str, Any]]]:
        found: dict[str, dict[str, dict[str, Any]]] = {entity: {} for entity in ENTITIES}
        query = sql.SQL(" union all ").join(
            sql.SQL("select {}, sourced_id, to_jsonb(t) from {} t where tenant = %s").format(
                sql.Literal(entity), sql.Identifier("roster", BY_ENTITY[entity].name)
            )
            for entity in ENTITIES
        )
        for entity, sourced_id, row in self._owner.execute(query, [self.key] * len(ENTITIES)):
            found[entity][sourced_id] = row
        return found

    def _ask(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._owner.execute(query.encode(), parameters).fetchall()


def _as_json(row: Row) -> dict[str, Any]:
    wanted = {name: list(value) if isinstance(value, tuple) else value for name, value in row.values.items()}
    wanted |= {
        "status": "active" if row.active else "inactive",
        "source": "Manual" if row.manual else "SIS",
        "inactive_cause": row.cause,
    }
    if row.touched is not None:
        moment = datetime(2026, 1, 1 + row.touched % 28, 0, 0, row.touched // 28 % 60, tzinfo=UTC)
        wanted["date_last_modified"] = moment.isoformat()
    return wanted


def told(rows: dict[str, dict[str, dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows without what changes untold."""
    return {
        (entity, sourced_id): {name: value for name, value in row.items() if name not in UNTOLD}
        for entity, of_entity in rows.items()
        for sourced_id, row in of_entity.items()
    }


def differences(said: Mapping[str, Mapping[str, int]], wanted: Mapping[str, Mapping[str, int]]) -> list[str]:
    """For a person: entity, count, what the store says, what the model says."""
    return [
        f"{entity}.{name}: store {said[entity][name]}, model {number}"
        for entity, counts in wanted.items()
        for name, number in counts.items()
        if said[entity][name] != number
    ]
