"""asyncssh's own server on loopback, in a thread of its own, with a folder of the test's."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncssh

from roster_operator.oneroster.sftp_session import SftpSettings, SftpTimeouts

USER, PASSWORD = "canary-account", "canary-password-41c"
LOOPBACK = (ip_network("127.0.0.0/8"),)
NIGHT = 1_764_039_600  # 2025-11-25 03:00 UTC


def zipped(text: str = "manifest", size: int = 0) -> bytes:
    """A whole zip, of about this size."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as bundle:
        bundle.writestr("manifest.csv", text)
        if size:
            bundle.writestr("padding.bin", os.urandom(size))
    return held.getvalue()


class Served(asyncssh.SFTPServer):
    """The folder; `bend` may change what is answered."""

    bend: dict[str, Callable[..., Any]]

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], root: str, bend: dict[str, Callable[..., Any]]) -> None:
        self.bend = bend
        super().__init__(chan, chroot=root)

    def read(self, file_obj: object, offset: int, size: int) -> Any:
        if "read" in self.bend:
            self.bend["read"](offset)
        return super().read(file_obj, offset, size)

    async def scandir(self, path: bytes) -> Any:
        if "scandir" in self.bend:
            for name in self.bend["scandir"]():
                yield name
            return
        async for name in super().scandir(path):
            yield name


class Gatekeeper(asyncssh.SSHServer):
    """Lets one account in: by password, or by one key."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.server.connections += 1

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self.server.attempts.append("password")
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return self.server.authorized is not None

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.server.attempts.append("key")
        known = self.server.authorized
        return known is not None and username == USER and key.public_data == known.public_data


@dataclass
class Server:
    """A running server. bend: hooks `read(offset)` and `scandir()`. authorized: the key that it lets in.

    asks_in_person: it takes passwords by keyboard-interactive only, as many servers do."""

    root: Path
    host_keys: list[asyncssh.SSHKey] = field(default_factory=lambda: [asyncssh.generate_private_key("ssh-ed25519")])
    authorized: asyncssh.SSHKey | None = None
    bend: dict[str, Callable[..., Any]] = field(default_factory=dict)
    offers_sftp: bool = True
    asks_in_person: bool = False
    port: int = 0
    connections: int = 0
    attempts: list[str] = field(default_factory=list)

    @property
    def pins(self) -> list[str]:
        """Its keys as a connection pins them."""
        return [key.export_public_key().decode().strip() for key in self.host_keys]

    def put(self, name: str, data: bytes | None = None, mtime: int = NIGHT) -> bytes:
        """A file in the folder."""
        data = zipped(name) if data is None else data
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (mtime, mtime))
        return data

    def settings(self, **changes: Any) -> SftpSettings:
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "path": "/",
            "host_keys": self.pins,
            "username": USER,
            "password": PASSWORD,
            "allow_addresses": LOOPBACK,
            "timeouts": SftpTimeouts(connect=2, login=5, read=5, total=30),
            "retry_wait": 0.01,
            "settle": 0.05,
        }
        return SftpSettings(**values | changes)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve until the block ends."""
    loop = asyncio.new_event_loop()
    ready, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        acceptor = await asyncssh.create_server(
            lambda: Gatekeeper(server),
            "127.0.0.1",
            0,
            server_host_keys=server.host_keys,
            password_auth=not server.asks_in_person,
            kbdint_auth=server.asks_in_person,
            sftp_factory=(lambda chan: Served(chan, str(server.root), server.bend)) if server.offers_sftp else None,
        )
        server.port = acceptor.get_port()
        ready.set()
        await end.wait()
        acceptor.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
