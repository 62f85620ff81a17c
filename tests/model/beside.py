"""The real worker and the real database for one tenant, run beside the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from tests.model.model import ENTITIES, District, Listing, Plan, Pull, Row, Scope
from tests.model.sis import MemorySource
from tests.store.fixtures import Roster, run_name

from roster_operator.api.limits import Limits
from roster_operator.oneroster.choices import choose
from roster_operator.store import plan as plans
from roster_operator.store import runs
from roster_operator.store.errors import translated
from roster_operator.store.merge import Merged, PlanChanged, merge
from roster_operator.store.runs import RunName
from roster_operator.store.tables import BY_ENTITY
from roster_operator.worker.stage import stage

# What a merge may change of a row without a word in the history: the same content came in other bytes.
UNTOLD = {"raw_hash", "date_last_modified"}


class Killed(BaseException):
    """The process was gone at this statement."""


class MortalCursor(psycopg.Cursor[Any]):
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

    def __init__(self, name: RunName, pull: Pull) -> None:
        self.name = name
        self.pull = pull
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
    ) -> Waiting:
        """Pull and stage; the model does the same, entity by entity. between: called while an entity is read."""
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
        )
        with translated():
            staged = stage(source, conn, name, attempt, Limits(), lambda *_: None, choices)
        conn.left = None
        pull.seal()
        waiting = Waiting(name, pull)
        self.agree(waiting, staged.plan)
        return waiting

    def merge(self, waiting: Waiting, digest: str, *, killed_at: int | None = None) -> bool:
        """Merge if the digest is the plan's as it is now. Whether it merged."""
        wanted = waiting.pull.plan()
        conn = self.connection("merge")
        conn.left = killed_at
        done = merge(conn, waiting.name.run, digest, {"by": "ada"})
        conn.left = None
        self.agree(waiting, done.plan, wanted)
        same = digest == self.digests[wanted.effects]
        assert isinstance(done, Merged if same else PlanChanged)
        if same:
            self.district.merge(waiting.pull)
            assert isinstance(done, Merged)
            assert (done.data_version, done.before) == (self.district.version, False)
            self.ended.append(waiting.name.run)
        # Asked again, as by a Job whose message was lost.
        again = merge(conn, waiting.name.run, digest, {"by": "bob"})
        assert isinstance(again, Merged) == same
        assert again.plan.digest == done.plan.digest
        return same

    def discard(self, waiting: Waiting) -> None:
        conn = self.connection("stage")
        assert runs.discard(conn, waiting.name, None) == runs.discard(conn, waiting.name, "again") == "Discarded"
        self.ended.append(waiting.name.run)

    # Comparisons.

    def agree(self, waiting: Waiting, said: plans.Plan, wanted: Plan | None = None) -> None:
        """The plan: its counts, and a digest that is another one exactly when its effects are others."""
        wanted = wanted or waiting.pull.plan()
        # What the model knows nothing of (undo, links, new keys, pins, limits that hold removals) never happens here.
        known = wanted.entities
        counts = {
            entity: {what: n for what, n in vars(each).items() if n or what in known[entity]}
            for entity, each in said.entities.items()
        }
        assert counts == wanted.entities, differences(counts, wanted.entities)
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
                if not row.manual:
                    assert (said["raw_hash"] is None) == (row.bytes is None), (entity, sourced_id)

    def _same_history(self, found: dict[str, dict[str, dict[str, Any]]]) -> None:
        version = self._ask("select data_version from roster.tenant where tenant = %s", self.key)[0][0]
        merged = self._ask(
            "select (select count(*) from roster.sync_run where tenant = %s and state = 'Merged')"
            " + (select count(*) from roster.manual_change where tenant = %s)",
            self.key, self.key,
        )[0][0]  # fmt: skip
        assert version == merged == self.district.version
        log = self._ask(
            "select data_version, entity, action, sourced_id, old from roster.change_log where tenant = %s"
            " and data_version > %s",
            self.key, self._checked,
        )  # fmt: skip
        wanted = [each for each in self.district.log if each[0] > self._checked]
        assert sorted(each[:4] for each in log) == sorted(wanted)
        # Undone from the newest on, the history leads back to the rows of the last look.
        for _, entity, _, sourced_id, old in sorted(log, key=lambda each: -each[0]):
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
