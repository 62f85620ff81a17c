"""A district that stands for a whole module of tests: a namespace, a database and a sample SIS of its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from uuid import uuid4

from tests.console.world import CLIENT, SECRET, World
from tests.store.fixtures import Roster
from tests.support.apiserver import ApiServer
from tests.support.postgres import OWNER

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.store.migrate import migrate
from roster_sample_sis import SampleSIS, generate


@contextmanager
def standing_world(server: ApiServer, postgres: EmbeddedPostgres, prefix: str, users: int) -> Generator[World]:
    """A world that has begun, of a district with so many users. prefix: of its namespace and its database."""
    own = uuid4().hex[:8]
    namespace = f"{prefix}-{own}"
    server.kubectl("create", "namespace", namespace)
    made = postgres.create_database(f"{prefix}_{own}", OWNER)
    migrate(made.owner_url)
    with SampleSIS(generate(7, users), client_id=CLIENT, client_secret=SECRET) as sis:
        world = World(server, namespace, Roster(made, 1), sis)
        world.begin()
        yield world
        world.end()
    postgres.drop_database(made.name)
