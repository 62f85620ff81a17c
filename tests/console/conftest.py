"""A console on a fake API server, and a browser that sends what browsers send."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from tests.console.fake_cluster import FakeCluster

from roster_operator.console.app import build_inner
from roster_operator.console.guard import Guarded
from roster_operator.console.sessions import Sessions
from roster_operator.console.settings import Settings

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Browser:
    """One browser with its own cookies."""

    def __init__(self, settings: Settings) -> None:
        self.now = 1000.0
        self.sessions = Sessions(lambda: self.now)
        self._inner = build_inner(settings, self.sessions)
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

    async def close(self) -> None:
        await self.client.aclose()
        await self._inner.state.site.cluster.close()


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found
    return html.unescape(found[1])


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as one:
        yield one


@pytest.fixture
async def browser(cluster: FakeCluster) -> AsyncIterator[Browser]:
    one = Browser(Settings(server=cluster.address))
    yield one
    await one.close()
