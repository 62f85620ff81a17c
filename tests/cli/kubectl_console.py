"""A district with a real console in front of it, and people whose kubeconfigs lead to both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli import kubectl_people as people
from tests.cli.kubectl_people import Person
from tests.console.serving import served
from tests.console.world import World
from tests.support.apiserver import ApiServer
from tests.support.standing import standing_world

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_sample_sis import generate
from roster_sample_sis.variants import one_percent_changed

WAITS = "springfield-2"


class Standing:
    """A district with a sync that waits, and a console; people with kubeconfigs at it."""

    def __init__(self, world: World, home: str, folder: Path) -> None:
        self.world, self._home, self._folder = world, home, folder

    def person(self, name: str, role: str) -> Person:
        token = self.world.person(name, role)
        file = people.kubeconfig_of(
            self.world.server, self.world.namespace, self._folder / f"{name}.kubeconfig", {"token": token}
        )
        return Person(file, {"ROSTER_CONSOLE_URL": self._home})


@pytest.fixture(scope="module")
def standing(
    apiserver: ApiServer, pg18: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standing]:
    with standing_world(apiserver, pg18, "records", 300) as world:
        world.stage("springfield-1")
        world.merge("springfield-1")
        world.stage(WAITS, one_percent_changed(generate(7, 300), 3))
        with served(world.settings) as home:
            yield Standing(world, home, tmp_path_factory.mktemp("kubeconfigs"))
