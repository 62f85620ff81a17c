"""A migrated database for each test, with tenants in it, on the oldest and the newest PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from tests.support.postgres import OWNER

from roster_operator.cli.embedded import Database, EmbeddedPostgres
from roster_operator.store import tenants
from roster_operator.store.bound import BoundCursor
from roster_operator.store.migrate import migrate
from roster_operator.store.runs import RunName
from roster_operator.store.tables import TABLES
from roster_operator.store.tenants import Logins

_numbers = count(1)
CLUSTER, NAMESPACE = "cluster-1", "k12"


@dataclass
class Roster:
    """One database with the schema in it, and what a test asks of it."""

    database: Database
    number: int = 0
    made: dict[str, Logins] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    def key(self, tenant: str = "springfield") -> str:
        """The tenant's key in the database: tests share one, and each has tenants of its own."""
        return f"{tenant}-{self.number}"

    def logins(self, tenant: str = "springfield") -> Logins:
        """The tenant's two URLs; the tenant is made when it is first asked for."""
        if tenant not in self.made:
            self.made[tenant] = tenants.create(self.database.owner_url, self.key(tenant))
        return self.made[tenant]

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.database.owner_url, autocommit=True) as conn:
            yield conn

    @contextmanager
    def stager(self, tenant: str = "springfield") -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.logins(tenant).stage_url, autocommit=True, cursor_factory=BoundCursor) as conn:
            yield conn

    @contextmanager
    def merger(self, tenant: str = "springfield") -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.logins(tenant).merge_url, autocommit=True, cursor_factory=BoundCursor) as conn:
            yield conn

    def ask(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows, read as the owner, who sees every tenant."""
        with self.owner() as conn:
            return conn.execute(query.encode(), parameters or None).fetchall()

    def one(self, query: str, *parameters: object) -> Any:
        return self.ask(query, *parameters)[0][0]

    def snapshot(self, tenant: str = "springfield") -> dict[str, dict[str, dict[str, Any]]]:
        """Every merged row of a tenant, by entity and id, as JSON values."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        with self.owner() as conn:
            for table in TABLES:
                query = sql.SQL("select sourced_id, to_jsonb(t) from {} t where tenant = %s").format(
                    sql.Identifier("roster", table.name)
                )
                found[table.entity] = dict(conn.execute(query, (self.key(tenant),)).fetchall())
        return found

    def stage_tables(self) -> list[str]:
        """The tables that this test's runs have left in the staging schema."""
        return [
            name
            for (name,) in self.ask(
                "select relname::text from pg_class where relnamespace = 'roster_stage'::regnamespace"
                " and relkind = 'r' and relname not like 'template%%' order by 1"
            )
            if name not in self.others
        ]

    def state(self, run: UUID) -> str:
        return self.one("select state from roster.sync_run where run = %s", run)

    def data_version(self, tenant: str = "springfield") -> int:
        return self.one("select data_version from roster.tenant where tenant = %s", self.key(tenant))


def run_name(name: str = "sync-1") -> RunName:
    return RunName(uuid4(), CLUSTER, NAMESPACE, name)


@pytest.fixture(scope="session")
def roster_database(pg: EmbeddedPostgres) -> Iterator[Database]:
    """A database with the schema in it. Making one takes a second or two, so tests share it."""
    made = pg.create_database(f"roster_{next(_numbers)}_{uuid4().hex[:6]}", OWNER)
    migrate(made.owner_url)
    yield made
    pg.drop_database(made.name)


@pytest.fixture
def roster(roster_database: Database) -> Roster:
    """The shared database; the test has tenants of its own in it."""
    made = Roster(roster_database, next(_numbers))
    made.others = frozenset(made.stage_tables())
    return made


@pytest.fixture
def own_roster(pg: EmbeddedPostgres) -> Iterator[Roster]:
    """A database of the test's own, for tests that change more than rows."""
    made = pg.create_database(f"roster_{next(_numbers)}_{uuid4().hex[:6]}", OWNER)
    migrate(made.owner_url)
    yield Roster(made, next(_numbers))
    pg.drop_database(made.name)
