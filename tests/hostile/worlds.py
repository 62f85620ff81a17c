"""Worlds of servers: each is a real one on loopback, pulled from as a worker would."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from tests.oneroster.fake_servers import TOKEN, Answer, Asked, FakeServer, quick

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError
from roster_operator.oneroster.paging import peek
from roster_operator.oneroster.rest import RestSettings, RestSource, Timeouts, completeness

from .cases import Read, Seen, refused

# Little patience, so that a case that hangs or stays broken is over soon.
QUICK: dict[str, Any] = {
    "timeouts": Timeouts(connect=1, read=0.4, total=1.2, grace=0.5, min_rate=1000),
    "retry_attempts": 2,
    "retry_budget": 2.0,
    "max_body": 8 * 2**20,
}
Answers = Answer | Callable[[Asked], Answer]


def pulled(settings: RestSettings, entity: Entity) -> Seen:
    """Reads a whole collection; the error, or the records and their proof."""
    try:
        with RestSource(settings) as source:
            ids: list[int] = []
            for page in source.pages(entity):
                ids += [peek(record) for record in page.records]
            return Seen(Read(len(ids), completeness(source.report(entity), len(set(ids))).reason))
    except OneRosterError as error:
        return refused(error)


@dataclass(frozen=True)
class Pull:
    """Pulls from a server. In a header of an answer `{self}` is its own address, and `{trap}` that of another server
    on an address that is permitted: it must never be asked."""

    answer: Answers
    token: Answers | None = None
    entity: Entity = Entity.ORGS
    more: dict[str, Any] = field(default_factory=dict)

    def observe(self) -> Seen:
        trap = FakeServer(lambda _: Answer(404), lambda _: Answer(404))
        token = None if self.token is None else self._filled(self.token, lambda: server.url, lambda: trap.url)
        server = FakeServer(self._filled(self.answer, lambda: server.url, lambda: trap.url), token)
        with trap, server:
            seen = pulled(server.settings(**(QUICK | self.more)), self.entity)
        return Seen("the trap was asked", seen.shown) if trap.asked else seen

    @staticmethod
    def _filled(answer: Answers, own: Callable[[], str], trap: Callable[[], str]) -> Callable[[Asked], Answer]:
        def fill(asked: Asked) -> Answer:
            found = answer(asked) if callable(answer) else answer
            headers = {
                name: value.replace("{self}", own()).replace("{trap}", trap()).replace("{port}", trap().split(":")[-1])
                for name, value in found.headers.items()
            }
            return Answer(found.status, found.body, headers, found.chunks, found.cookies)

        return fill


class Reset:
    """In a script: the connection is torn down."""


class Silence:
    """In a script: nothing more comes, but the connection stays."""


Step = bytes | float | type[Reset] | type[Silence]
Script = Callable[[bytes], Iterable[Step]]


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A plain HTTP answer."""
    head = b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers])
    return head + b"\r\n\r\n" + body


_GRANTED = reply(json.dumps({"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600}).encode())


class RawServer:
    """Sends what a script says, byte for byte, over TLS if there is a context."""

    def __init__(
        self,
        script: Script,
        context: ssl.SSLContext | None = None,
        greeting: Iterable[Step] = (),
        token: bytes | None = None,
    ) -> None:
        self._token = token or _GRANTED
        self._greeting = greeting
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self.port = self._listener.getsockname()[1]

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(plain, server_side=True)
            if not self._play(connection, self._greeting):
                return
            while head := _head(connection):
                granting = head.startswith(b"POST /token")
                if not self._play(connection, [self._token] if granting else self._script(head)) or not granting:
                    return
        except OSError:
            pass  # the client had enough
        finally:
            connection.close()

    def _play(self, connection: socket.socket, steps: Iterable[Step]) -> bool:
        """Takes the steps; whether the connection is still good for more."""
        for step in steps:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, float):
                if self._ended.wait(step):
                    return False
            elif step is Silence:
                self._ended.wait(30)
                return False
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
        return True


def _head(connection: socket.socket) -> bytes:
    """One request, its body included."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            left = int(line.split(b":")[1]) - len(body)
            while left > 0:
                left -= len(connection.recv(65_536))
    return head


@dataclass(frozen=True)
class Wire:
    """Pulls from a server whose bytes are given: a script, or the steps of one answer. greeting: sent unasked. token:
    what is answered to a token request, if not a token."""

    script: Script | Sequence[Step]
    context: ssl.SSLContext | None = None
    greeting: bytes = b""
    token: bytes | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def observe(self) -> Seen:
        script: Script = self.script if callable(self.script) else lambda _, steps=self.script: steps
        server = RawServer(script, self.context, [self.greeting], self.token)
        scheme = self.more.get("scheme") or ("http" if self.context is None else "https")
        url = f"{scheme}://127.0.0.1:{server.port}"
        more = {name: value for name, value in self.more.items() if name != "scheme"}
        with server.serving():
            return pulled(quick(url, f"{url}/token", **(QUICK | more)), Entity.ORGS)


@dataclass(frozen=True)
class Endpoint:
    """Pulls from an address that is set. resolved: what the resolver answers, call by call, instead of the real one;
    None: nothing, for longer than anyone waits."""

    endpoint: str
    resolved: Sequence[Sequence[str] | None] = ()
    token_url: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def observe(self) -> Seen:
        base: dict[str, Any] = {"allow_addresses": (), "allow_insecure": False}
        settings = quick(self.endpoint, self.token_url or self.endpoint + "/token", **(QUICK | base | self.more))
        with ExitStack() as stack:
            if self.resolved:
                stack.enter_context(mock.patch.object(asyncio.BaseEventLoop, "getaddrinfo", self._resolver()))
            return pulled(settings, Entity.ORGS)

    def _resolver(self) -> Callable[..., Any]:
        left = list(self.resolved)

        async def resolve(_: object, __: str, port: int, **___: object) -> list[tuple[object, ...]]:
            answers = left.pop(0) if len(left) > 1 else left[0]
            if answers is None:
                await asyncio.sleep(60)
                return []
            return [(2, 1, 6, "", (answer, port)) for answer in answers]

        return resolve


def drip(data: bytes, pause: float = 0.1) -> Iterator[Step]:
    """Byte by byte, with a pause before each."""
    for at in range(len(data)):
        yield pause
        yield data[at : at + 1]


def slowly(parts: Iterable[bytes], pause: float = 0.1) -> Iterator[bytes]:
    """For `Answer.chunks`."""
    for part in parts:
        time.sleep(pause)
        yield part
