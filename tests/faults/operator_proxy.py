"""A proxy between the operator and the API server, where a test breaks what passes.

The operator speaks plain http with it, so that no certificate is in the way; it passes the operator's token on. What
is broken is said by `Fault`s: each sees a call before it is passed on, its answer afterwards, and every event of a
watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from tests.faults.operator_backstage import Backstage
from tests.support.apiserver import ApiServer

from roster_operator.api.kinds import STAGED_FINALIZER

Body = dict[str, Any]
_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
_LINE_LIMIT = 4 << 20


@dataclass(frozen=True)
class Call:
    """One request of an operator."""

    operator: str
    method: str
    path: str
    query: dict[str, str]
    content: bytes
    headers: dict[str, str] = field(repr=False)

    @property
    def writes(self) -> bool:
        """It changes something; the Lease does not count."""
        return self.method != "GET" and not self.of_lease

    @property
    def of_lease(self) -> bool:
        return "/leases" in self.path

    @property
    def watches(self) -> bool:
        return self.query.get("watch") in {"1", "true"}

    @property
    def lists(self) -> bool:
        last = self.path.rsplit("/", 1)[-1]
        return self.method == "GET" and not self.watches and last in {"rostersyncs", "rosterconnections", "jobs"}

    @property
    def body(self) -> Body:
        return json.loads(self.content) if self.content else {}

    @property
    def plural(self) -> str:
        parts = self.path.split("/")
        return parts[parts.index("namespaces") + 2] if "namespaces" in parts else parts[-1]

    @property
    def kind_of_write(self) -> str:
        """Which step of a life it is: two writes of one kind differ only in their object."""
        body, tail = self.body, ""
        if self.path.endswith("/status"):
            status = body.get("status", {})
            tail = f"status {status.get('phase') or '+'.join(sorted(status))}"
        elif self.plural == "jobs" and self.method == "POST":
            tail = body["metadata"]["labels"]["roster-operator.io/step"]
        elif self.plural == "events":
            tail = str(body.get("reason", "counted"))
        elif "finalizers" in body.get("metadata", {}):
            tail = "hold" if STAGED_FINALIZER in body["metadata"]["finalizers"] else "release"
        return f"{self.method} {self.plural} {tail}".strip()


@dataclass(frozen=True)
class Answer:
    """What the operator is told."""

    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)


def refusal(code: int, reason: str, message: str, **headers: str) -> Answer:
    """An answer in the API server's own words."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    content = json.dumps(status | {"message": message}).encode()
    return Answer(code, content, {"Content-Type": "application/json"} | headers)


class Fault:
    """What is broken. As it stands: nothing."""

    async def before(self, call: Call) -> Answer | None:
        """Before the call is passed on: wait, raise, or answer in the API server's place."""
        return None

    async def after(self, call: Call, answer: Answer) -> Answer:
        """What the operator is told of what the API server said."""
        return answer

    async def event(self, call: Call, line: bytes) -> bytes | None:
        """One line of a watch; None swallows it. An exception ends the watch."""
        return line

    async def lifted(self) -> None:
        """It is over."""


class Proxy:
    """Passes on what it gets, as far as the faults let it."""

    def __init__(self, server: ApiServer, stage: Backstage, folder: Path) -> None:
        self._server = server
        self._stage = stage
        self._folder = folder
        self._faults: dict[str, list[Fault]] = defaultdict(list)  # by operator
        self.written: dict[str, Counter[str]] = defaultdict(Counter)  # by operator: kinds of writes that were done
        self.asked: Counter[str] = Counter()  # calls by operator, whatever came of them
        self.port = 0
        stage.call(self._open())

    def kubeconfig(self, operator: str) -> Path:
        """The operator's way to the API server, through here."""
        given = yaml.safe_load(self._server.operator_kubeconfig.read_text())
        given["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self.port}/{operator}"}
        path = self._folder / f"{operator}.kubeconfig"
        path.write_text(yaml.safe_dump(given))
        return path

    @contextlib.contextmanager
    def broken_by(self, operator: str, *faults: Fault) -> Iterator[None]:
        """These faults between this operator and the API server, for a while."""
        standing = self._faults[operator]
        standing += faults
        try:
            yield
        finally:
            for fault in faults:
                standing.remove(fault)
                self._stage.call(fault.lifted())

    def close(self) -> None:
        self._stage.call(self._close())

    async def _open(self) -> None:
        cluster = yaml.safe_load(self._server.kubeconfig.read_text())["clusters"][0]["cluster"]
        self._target = cluster["server"]
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        self._client = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, read_bufsize=_LINE_LIMIT, timeout=aiohttp.ClientTimeout()
        )
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{operator}/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._client.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(
            request.match_info["operator"],
            request.method,
            "/" + request.match_info["path"],
            dict(request.query),
            await request.read(),
            {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP},
        )
        self.asked[call.operator] += 1
        try:
            for fault in list(self._faults[call.operator]):
                if (answer := await fault.before(call)) is not None:
                    return _response(answer)
            return await (self._watch(request, call) if call.watches else self._pass(call))
        except (ConnectionError, aiohttp.ClientError):
            # As a connection that breaks looks from the other side.
            if request.transport:
                request.transport.abort()
            raise web.HTTPServiceUnavailable from None

    async def _pass(self, call: Call) -> web.Response:
        async with self._send(call) as upstream:
            headers = {name: value for name, value in upstream.headers.items() if name.lower() not in _HOP_BY_HOP}
            answer = Answer(upstream.status, await upstream.read(), headers)
        if call.writes and answer.status < 300:
            self.written[call.operator][call.kind_of_write] += 1
        for fault in list(self._faults[call.operator]):
            answer = await fault.after(call, answer)
        return _response(answer)

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        call.headers["Accept-Encoding"] = "identity"
        async with self._send(call) as upstream:
            response = web.StreamResponse(status=upstream.status, headers={"Content-Type": "application/json"})
            await response.prepare(request)
            async for line in upstream.content:
                kept: bytes | None = line
                for fault in list(self._faults[call.operator]):
                    kept = await fault.event(call, kept) if kept else None
                if kept:
                    await response.write(kept)
            return response

    def _send(self, call: Call) -> Any:
        content = call.content or None
        return self._client.request(
            call.method, self._target + call.path, params=call.query, data=content, headers=call.headers
        )


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.content, headers=answer.headers)


async def for_ever() -> None:
    """Until it is cancelled."""
    await asyncio.Event().wait()
