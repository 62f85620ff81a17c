"""The administrator's own way to the API server, past every fault, from behind the stage."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import yaml
from tests.support.apiserver import ApiServer

Body = dict[str, Any]


class Admin:
    """A few verbs. Raises aiohttp.ClientResponseError for every no."""

    def __init__(self, server: ApiServer) -> None:
        config = yaml.safe_load(server.kubeconfig.read_text())
        self._cluster = config["clusters"][0]["cluster"]
        self._token = config["users"][0]["user"]["token"]
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made in the loop that uses it."""
        if self._session is None:
            tls = ssl.create_default_context(cafile=self._cluster["certificate-authority"])
            self._session = aiohttp.ClientSession(
                self._cluster["server"],
                headers={"Authorization": f"Bearer {self._token}"},
                connector=aiohttp.TCPConnector(ssl=tls, limit=0),
                read_bufsize=4 << 20,
                timeout=aiohttp.ClientTimeout(),
                raise_for_status=True,
            )
        return self._session

    async def get(self, path: str) -> Body:
        return await self._ask("GET", path)

    async def patch(self, path: str, body: Body) -> None:
        """A JSON merge patch."""
        await self._ask("PATCH", path, body, "application/merge-patch+json")

    async def delete(self, path: str, body: Body) -> None:
        await self._ask("DELETE", path, body)

    async def _ask(self, method: str, path: str, body: Body | None = None, kind: str = "application/json") -> Body:
        for pause in (0.1, 0.5, 2.0, 5.0):
            try:
                return await self._once(method, path, body, kind)
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(pause)
        return await self._once(method, path, body, kind)

    async def _once(self, method: str, path: str, body: Body | None, kind: str) -> Body:
        content = json.dumps(body) if body is not None else None
        async with self.session.request(method, path, data=content, headers={"Content-Type": kind}) as answer:
            return await answer.json()

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Body]]:
        """Everything that is there, then every change, each version of it. Begins anew where the watch breaks."""
        while True:
            try:
                found = await self.get(path)
                for item in found["items"]:
                    yield "ADDED", item
                version = found["metadata"]["resourceVersion"]
                query = {"watch": "1", "resourceVersion": version}
                async with self.session.get(path, params=query) as answer:
                    async for line in answer.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
            except aiohttp.ClientResponseError as error:
                if error.status not in {404, 429}:
                    raise
                await asyncio.sleep(0.2)  # its definition is new, or gone for now
            except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
                continue

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
