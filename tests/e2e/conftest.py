"""One installation for all scenarios of this folder, which run side by side (together.py)."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.e2e.districts import District
from tests.e2e.ground import Ground, installed
from tests.e2e.together import FIXTURE, Together, is_scenario

# More than the two cores: a scenario mostly waits, for pods to start and for Jobs to end.
WIDTH = 5
# The first scenario waits for the cluster too, which may have to be built.
TIMEOUT = 1800
UNDER_WAY = pytest.StashKey[Together]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A scenario's time is mostly that of others before it."""
    for item in items:
        if is_scenario(item):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def ground() -> Generator[Ground]:
    """The cluster with the operator in it."""
    with installed() as found:
        yield found


@pytest.fixture(scope="session")
def under_way(request: pytest.FixtureRequest, ground: Ground) -> Generator[Together]:
    """Every selected scenario, started."""
    together = Together(request.session.items, lambda slug: District(ground, slug), WIDTH)
    request.config.stash[UNDER_WAY] = together
    yield together
    together.end()


@pytest.fixture(name=FIXTURE)
def _district(under_way: Together) -> Together:
    """Stands for the scenario's own district, which it is given where it runs."""
    return under_way


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Wait for a scenario instead of running it here."""
    if not is_scenario(pyfuncitem):
        return None
    pyfuncitem.funcargs[FIXTURE].result(pyfuncitem)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How long each scenario took by itself."""
    together = config.stash.get(UNDER_WAY, None)
    if together is None:
        return
    terminalreporter.section("scenarios, side by side")
    for nodeid, seconds in sorted(together.seconds.items(), key=lambda one: -one[1]):
        terminalreporter.line(f"{seconds:6.0f} s  {nodeid.rpartition('::')[2]}")
