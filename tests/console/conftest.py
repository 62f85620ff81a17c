"""A console on a fake API server, and a browser that sends what browsers send."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest
from tests.console.fake_cluster import FakeCluster, connection, sync
from tests.console.serving import served
from tests.console.world import CLIENT, SECRET, World
from tests.store.fixtures import Roster
from tests.support.apiserver import ApiServer
from tests.support.postgres import OWNER

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.console.app import build_inner
from roster_operator.console.guard import Guarded
from roster_operator.console.sessions import SessionsInMemory
from roster_operator.console.settings import Settings
from roster_operator.console.site import Site
from roster_operator.store.migrate import migrate
from roster_sample_sis import SampleSIS, generate

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """One browser with its own cookies."""

    def __init__(self, settings: Settings) -> None:
        self.now = 1000.0
        self.sessions = SessionsInMemory(lambda: self.now)
        self._inner = build_inner(settings, self.sessions)
        self.site: Site = self._inner.state.site
        self._transport = httpx.ASGITransport(Guarded(self._inner), raise_app_exceptions=False)
        self.client = self.another()

    def another(self) -> httpx.AsyncClient:
        """A second browser."""
        return httpx.AsyncClient(transport=self._transport, base_url="https://console.test")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, form: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.client.post(path, data=form, headers=SAME_ORIGIN if headers is None else headers)

    async def sign_in(self, token: str = "ada-token", namespaces: str = "k12", **form: str) -> httpx.Response:
        page = await self.get("/login")
        return await self.post(
            "/login", {"form_token": form_token(page), "token": token, "namespaces": namespaces} | form
        )

    async def send(self, page: str, path: str, **form: str) -> httpx.Response:
        """A form that stands on a page, sent as a browser does."""
        return await self.post(path, {"form_token": form_token(await self.get(page))} | form)

    async def close(self) -> None:
        await self.client.aclose()
        await self.site.close()


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found
    return html.unescape(found[1])


@pytest.fixture
def world(apiserver: ApiServer, namespace: str, pg18_roster: Roster) -> Iterator[World]:
    """A district with one merged sync and one that is held, on a real API server and a real PostgreSQL."""
    with SampleSIS(generate(7, 300), client_id=CLIENT, client_secret=SECRET) as sis:
        made = World(apiserver, namespace, pg18_roster, sis)
        made.begin()
        yield made
        made.end()


@pytest.fixture
def pg18_roster(pg18: EmbeddedPostgres) -> Iterator[Roster]:
    """A database with the schema in it, on the newest PostgreSQL."""
    made = pg18.create_database(f"console_{uuid4().hex[:8]}", OWNER)
    migrate(made.owner_url)
    yield Roster(made, 1)
    pg18.drop_database(made.name)


@pytest.fixture
async def visitor(world: World) -> AsyncIterator[Browser]:
    """A browser at the console of the world."""
    one = Browser(world.settings)
    yield one
    await one.close()


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as one:
        yield one


@pytest.fixture
async def browser(cluster: FakeCluster) -> AsyncIterator[Browser]:
    one = Browser(Settings(server=cluster.address))
    yield one
    await one.close()


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[str]:
    """The address of a console on a fake API server, for programs that ask from outside."""
    with FakeCluster() as one:
        one.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [sync()]}
        with served(Settings(server=one.address)) as home:
            yield home
