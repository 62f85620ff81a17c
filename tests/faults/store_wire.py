"""A proxy in front of PostgreSQL that hears every statement and stops at one: nothing goes on until it is told so.

It reads the messages of the protocol, without TLS: Query and Bind begin a statement (a Bind by the name that Parse
gave it), CopyDone ends the rows of a COPY, ReadyForQuery ends an answer.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_PATIENCE = 30  # seconds that anything may stand still


class When(Enum):
    """Where at a statement it stops."""

    BEFORE = "before"  # the server has not seen it
    ROWS = "rows"  # a COPY's rows are with the server, and their end is not
    ANSWER = "answer"  # the server has done it, the client has not heard


@dataclass
class Stop:
    """One place to stop at: the n-th statement that matches. It stands there until `go_on`."""

    statement: str
    when: When
    number: int = 1
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._left = self.number
        self._lock = threading.Lock()

    def hears(self, said: str) -> bool:
        """Whether this is the statement to stop at."""
        if not re.fullmatch(self.statement, said):
            return False
        with self._lock:
            self._left -= 1
            return self._left == 0

    def stand(self) -> None:
        self._reached.set()
        self._released.wait(_PATIENCE)

    def reached(self, alive: Callable[[], bool]) -> bool:
        """Waits until it stands there. False where it never came: the client has ended."""
        while not self._reached.wait(0.02):
            if not alive():
                return self._reached.is_set()
        return True

    def go_on(self) -> None:
        self._released.set()


class Wire:
    """A port of this machine that leads to a PostgreSQL server. A context manager."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url  # a server that comes back may have another port
        self.stop: Stop | None = None
        self.heard: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []

    def through(self, url: str) -> str:
        """The same URL by this port."""
        parts = urlsplit(url)
        login = parts.netloc.rsplit("@", 1)[0]
        port = self._listener.getsockname()[1]
        query = "sslmode=disable&gssencmode=disable"
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}", query=query))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection, on both sides."""
        while self._sockets:
            with suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def hear(self, sql: bytes) -> Stop | None:
        """A statement is about to go over. Gives the stop that is meant by it."""
        said = named(sql.decode(errors="replace"))
        self.heard.append(said)
        stop = self.stop
        return stop if stop is not None and stop.hears(said) else None

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                parts = urlsplit(self._url())
                try:
                    server = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432))
                except OSError:
                    client.close()
                    continue
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                _Session(self, client, server).begin()


class _Session:
    """One connection: a thread each way."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._prepared: dict[bytes, bytes] = {}
        self._answer: Stop | None = None  # its answer is awaited
        self._rows: Stop | None = None  # the end of its rows is awaited

    def begin(self) -> None:
        for way in (self._forth, self._back):
            threading.Thread(target=self._guarded, args=(way,), daemon=True).start()

    def _guarded(self, way: Callable[[], None]) -> None:
        with suppress(OSError, EOFError):
            way()
        for each in (self._client, self._server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _forth(self) -> None:
        length = _exactly(self._client, 4)
        self._server.sendall(length + _exactly(self._client, int.from_bytes(length, "big") - 4))
        while True:
            kind, message = _message(self._client)
            if kind == b"P":
                name, sql = message[5:].split(b"\0")[:2]
                self._prepared[name] = sql
            elif kind == b"Q":
                self._begins(message[5:-1])
            elif kind == b"B":
                self._begins(self._prepared[message[5:].split(b"\0")[1]])
            elif kind == b"c" and self._rows is not None:
                self._rows.stand()
                self._rows = None
            self._server.sendall(message)

    def _begins(self, sql: bytes) -> None:
        stop = self._wire.hear(sql)
        if stop is None:
            return
        match stop.when:
            case When.BEFORE:
                stop.stand()
            case When.ROWS:
                self._rows = stop
            case When.ANSWER:
                self._answer = stop

    def _back(self) -> None:
        held = b""
        while True:
            kind, message = _message(self._server)
            # The client must hear that it may send its rows, or there is nothing to answer.
            if self._answer is None or kind == b"G":
                self._client.sendall(message)
                continue
            held += message
            if kind == b"Z":
                self._answer.stand()
                self._answer = None
                self._client.sendall(held)
                held = b""


_PATTERNS = (
    (re.compile(r'"?roster_stage"?\."r[0-9a-f]{32}_\d+_([a-z_]+)"'), r"stage.\1"),
    (re.compile(r'"?roster"?\."([a-z_]+)"'), r"roster.\1"),
    (re.compile(r"\s+"), " "),
)


def named(sql: str) -> str:
    """A statement without what is another one in each run."""
    for pattern, instead in _PATTERNS:
        sql = pattern.sub(instead, sql)
    return sql.strip()


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 5)
    return head[:1], head + _exactly(source, int.from_bytes(head[1:], "big") - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = source.recv(size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)
