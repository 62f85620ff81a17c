"""Real PostgreSQL servers for tests: `pg18` and `pg15` live for the whole run, `database` is new for each test.

Give a test `pytest.mark.store`, and these fixtures:

- `pg18`, `pg15`: the server (`EmbeddedPostgres`), for tests that make their own databases.
- `pg`: either, one after the other: the test runs on both versions.
- `database`: an empty database on each of both versions, with an owner role of its own.
- `database_template`: override it (session-scoped) with a function that fills a database, such as one that runs the
  migrations; it runs once a version, and every `database` is then a copy of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from tests.support import statements

from roster_operator.cli.embedded import Database, EmbeddedPostgres

OWNER = "roster_owner"
_numbers = count(1)
said: dict[EmbeddedPostgres, statements.Kept] = {}
_SETTINGS = {"max_connections": "200", "deadlock_timeout": "200ms"}


@pytest.fixture(scope="session")
def pg18() -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL that `roster demo` runs."""
    with EmbeddedPostgres.temporary(18, tcp=True, settings=_SETTINGS | statements.REMEMBERED) as server:
        kept = said[server] = statements.Kept(server)
        yield server
        # Here, when all tests of this process have been: what they said to the database is judged.
        del said[server]
        kept.judge()


@pytest.fixture(autouse=True, scope="module")
def _statements_of_a_module() -> Iterator[None]:
    yield
    for kept in said.values():
        kept.take()


@pytest.fixture(scope="session")
def pg15() -> Iterator[EmbeddedPostgres]:
    """The oldest PostgreSQL that is supported, from Debian's packages."""
    with EmbeddedPostgres.temporary(15, tcp=True, settings=_SETTINGS) as server:
        yield server


@pytest.fixture(scope="session", params=[18, 15], ids=["pg18", "pg15"])
def pg(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    """Each supported end of the range, one after the other."""
    return request.getfixturevalue(f"pg{request.param}")


@pytest.fixture(scope="session")
def database_template() -> Callable[[Database], None]:
    """What every database of a test begins with: nothing, unless a conftest says more."""
    return lambda _: None


@pytest.fixture(scope="session")
def _template(pg: EmbeddedPostgres, database_template: Callable[[Database], None]) -> Iterator[str]:
    made = pg.create_database(f"template_{next(_numbers)}", OWNER)
    database_template(made)
    yield made.name
    pg.drop_database(made.name)


@pytest.fixture
def database(pg: EmbeddedPostgres, _template: str) -> Iterator[Database]:
    """A database of the test's own, a copy of the template, dropped afterwards with whoever is connected."""
    made = pg.create_database(f"test_{next(_numbers)}", OWNER, template=_template)
    yield made
    pg.drop_database(made.name)
