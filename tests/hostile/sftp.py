"""SFTP: servers that are others than they seem, and folders in which no zip can be trusted."""

from __future__ import annotations

import functools
import hashlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
from tests.oneroster.sftp_servers import NIGHT, Server, serving, zipped

from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.filefacts import FileFacts
from roster_operator.oneroster.sftp import fetched
from roster_operator.oneroster.sftp_session import SftpTimeouts

from .cases import CANARY, Case, Outcome, Refused, Seen, Unchanged, refused
from .worlds import RawServer, Reset, Silence, Step

FAMILY = "SFTP"
DAY = 86_400
FAST = SftpTimeouts(connect=1, login=1.5, read=1.5, total=4)
GOOD = zipped("manifest", 5_000)
BROKEN = b"PK\x03\x04" + CANARY.encode() * 9


@functools.cache
def key(kind: str, number: int = 0) -> asyncssh.SSHKey:
    """Keys take time to make."""
    return asyncssh.generate_private_key(kind)


def pin(kind: str, number: int) -> str:
    return key(kind, number).export_public_key().decode().strip()


def facts(data: bytes, mtime: int) -> FileFacts:
    return FileFacts(datetime.fromtimestamp(mtime, UTC), len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Folder:
    """A server with files (name: bytes and time). bend: what it does besides, made from the server. wanted: the bytes
    that have to come out."""

    files: dict[str, tuple[bytes, int]] = field(default_factory=lambda: {"roster.zip": (GOOD, NIGHT)})
    bend: Callable[[Server], dict[str, Callable[..., Any]]] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    last: FileFacts | None = None
    offers_sftp: bool = True
    links: dict[str, str] = field(default_factory=dict)
    wanted: bytes = GOOD

    def observe(self) -> Seen:
        with (
            tempfile.TemporaryDirectory() as root,
            serving(Server(Path(root), [key("ssh-ed25519")], offers_sftp=self.offers_sftp)) as server,
        ):
            for name, (data, mtime) in self.files.items():
                server.put(name, data, mtime)
            for name, target in self.links.items():
                (server.root / name).symlink_to(target)
            server.bend.update(self.bend(server) if self.bend else {})
            settings = server.settings(**({"attempts": 1, "timeouts": FAST} | self.more))
            try:
                with fetched(settings, self.last) as found:
                    return Seen(Unchanged() if found.file.read() == self.wanted else "another file")
            except OneRosterError as error:
                return refused(error)


@dataclass(frozen=True)
class Stranger:
    """Something that sends these bytes where SSH was expected."""

    steps: tuple[Step, ...]

    def observe(self) -> Seen:
        server = RawServer(lambda _: [], greeting=self.steps)
        with tempfile.TemporaryDirectory() as root, server.serving():
            settings = Server(Path(root), [key("ssh-ed25519")], port=server.port).settings(attempts=1, timeouts=FAST)
            try:
                with fetched(settings):
                    return Seen("fetched")
            except OneRosterError as error:
                return refused(error)


def at(reason: Reason, *, retryable: bool = False) -> Refused:
    return Refused(reason, retryable, None, None)


def _raises(hook: str, error: Exception) -> Callable[[Server], dict[str, Callable[..., Any]]]:
    def strike(*_: object) -> None:
        raise error

    return lambda _: {hook: strike}


def _changing(*, grows: bool) -> Callable[[Server], dict[str, Callable[..., Any]]]:
    """The zip is another at each read: by its size, or by its time alone."""

    def bend(server: Server) -> dict[str, Callable[..., Any]]:
        rounds = itertools.count(1)

        def change(offset: int) -> None:
            if offset:
                return
            count = next(rounds)
            server.put("roster.zip", zipped("x" * count if grows else "x"), NIGHT if grows else NIGHT + count)

        return {"read": change}

    return bend


def _endless_listing() -> Iterator[asyncssh.SFTPName]:
    for number in itertools.count():
        yield asyncssh.SFTPName(b"%d.zip" % number, attrs=asyncssh.SFTPAttrs(size=1, mtime=NIGHT, permissions=0o644))


def _listing(*names: bytes) -> Callable[[Server], dict[str, Callable[..., Any]]]:
    """A listing that names what it should not, and as if it were new."""
    attrs = asyncssh.SFTPAttrs(size=len(GOOD), mtime=NIGHT + DAY, permissions=0o100644)
    return lambda _: {"scandir": lambda: iter([asyncssh.SFTPName(name, attrs=attrs) for name in names])}


def _stalls(_: Server) -> dict[str, Callable[..., Any]]:
    return {"read": lambda _: time.sleep(2.5)}


def case(name: str, expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Folder(**more), expect, seconds=10)


_UNSTABLE = at(Reason.FILE_UNSTABLE, retryable=True)
_PATIENT = {"path": "/roster.zip", "timeouts": SftpTimeouts(connect=1, login=2, read=6, total=9)}
_NONE = at(Reason.NO_BUNDLE)
_STRANGERS: dict[str, tuple[tuple[Step, ...], Outcome]] = {
    "SSH 1": ((b"SSH-1.5-old " + CANARY.encode() + b"\r\n",), at(Reason.SSH_FAILED)),
    "garbage behind a greeting": ((b"SSH-2.0-x\r\n" + b"\xff" * 300,), at(Reason.SSH_FAILED)),
    "a greeting without an end": ((b"SSH-2.0-" + b"x" * 100_000,), at(Reason.SSH_FAILED)),
    "a hang-up": ((Reset,), at(Reason.CONNECTION_LOST, retryable=True)),
    "silence": ((Silence,), at(Reason.TIMED_OUT, retryable=True)),
    "silence behind a greeting": ((b"SSH-2.0-x\r\n", Silence), at(Reason.TIMED_OUT, retryable=True)),
}

CASES = [
    case("a good server", Unchanged()),
    *(Case(FAMILY, f"instead of SSH: {name}", Stranger(steps), expect, seconds=8)
      for name, (steps, expect) in _STRANGERS.items()),
    case("another host key", at(Reason.HOST_KEY_MISMATCH), more={"host_keys": [pin("ssh-ed25519", 1)]}),
    case("a host key of another type", at(Reason.HOST_KEY_MISMATCH),
         more={"host_keys": [pin("ecdsa-sha2-nistp256", 1)]}),
    case("a pinned key that is none", at(Reason.SETTINGS_INVALID), more={"host_keys": ["ssh-ed25519 " + CANARY]}),
    case("a pinned key of an old type", at(Reason.SETTINGS_INVALID), more={"host_keys": ["ssh-dss AAAAB3NzaC1kc3M="]}),
    case("a wrong password", at(Reason.LOGIN_REFUSED), more={"password": CANARY}),
    case("another account", at(Reason.LOGIN_REFUSED), more={"username": CANARY}),
    case("neither password nor key", at(Reason.SETTINGS_INVALID), more={"password": None}),
    case("a private key that is none", at(Reason.PRIVATE_KEY_MALFORMED), more={"private_key": CANARY}),
    case("a private key that is cut", at(Reason.PRIVATE_KEY_MALFORMED),
         more={"private_key": key("ssh-ed25519", 2).export_private_key().decode()[:120]}),
    case("a public key for a private one", at(Reason.PRIVATE_KEY_MALFORMED),
         more={"private_key": pin("ssh-ed25519", 2)}),
    case("a key that is not let in, and no password", at(Reason.LOGIN_REFUSED),
         more={"private_key": key("ssh-ed25519", 2).export_private_key().decode(), "password": None}),
    case("no SFTP", at(Reason.SSH_FAILED), offers_sftp=False),
    case("a closed address", at(Reason.ADDRESS_REFUSED), more={"allow_addresses": ()}),
    case("a closed address as a number", at(Reason.ADDRESS_REFUSED),
         more={"allow_addresses": (), "host": "2130706433"}),
    case("a name that does not exist", at(Reason.DNS_FAILED), more={"host": CANARY + ".invalid"}),
    case("an empty folder", _NONE, files={}),
    case("a folder without zips", _NONE, files={CANARY + ".csv": (b"x", NIGHT)}),
    case("a zip that is not whole", at(Reason.NO_BUNDLE, retryable=True), files={CANARY + ".zip": (BROKEN, NIGHT)}),
    case("a newer zip that is not whole", Unchanged(),
         files={"a.zip": (GOOD, NIGHT), "b.zip": (BROKEN, NIGHT + DAY)}),
    case("an upload under way", Unchanged(),
         files={"a.zip": (GOOD, NIGHT), "b.zip.filepart": (zipped("new"), NIGHT + DAY),
                "c.part.zip": (zipped("new"), NIGHT + DAY), ".d.zip": (zipped("new"), NIGHT + DAY)}),
    case("an empty zip", _NONE, files={"a.zip": (b"", NIGHT)}),
    case("a link to another file", _NONE, files={"x.dat": (GOOD, NIGHT)}, links={"a.zip": "x.dat"}),
    case("a link that leads out", _NONE, files={}, links={"a.zip": "/etc/passwd"}),
    case("a link to itself", _NONE, files={}, links={"a.zip": "a.zip"}),
    case("a folder that is called zip", _NONE, files={"a.zip/x.csv": (b"x", NIGHT)}),
    *(case(f"a listing that names {name!r}", _NONE, bend=_listing(name))
      for name in [b"../../etc/x.zip", b"/etc/x.zip", b"a\0.zip", b"..\\x.zip", b"..", b"sub/x.zip"]),
    case("a listing of a zip that is not there", at(Reason.PATH_MISSING), bend=_listing(b"gone.zip")),
    case("a listing without an end", at(Reason.FOLDER_TOO_LARGE),
         bend=lambda _: {"scandir": _endless_listing}, more={"max_entries": 2_000}),
    case("a folder that may not be listed", at(Reason.PATH_FORBIDDEN),
         bend=_raises("scandir", asyncssh.SFTPPermissionDenied(CANARY))),
    case("a zip that may not be read", at(Reason.PATH_FORBIDDEN),
         bend=_raises("read", asyncssh.SFTPPermissionDenied(CANARY))),
    case("an error with a name and escape codes", at(Reason.SERVER_ERROR, retryable=True),
         bend=_raises("read", asyncssh.SFTPFailure("\x1b[2J" + CANARY))),
    case("a path that is not there", at(Reason.PATH_MISSING), more={"path": "/" + CANARY}),
    case("a zip that is larger than the limit", at(Reason.FILE_TOO_LARGE), more={"max_size": 1_000}),
    case("a zip that grows while it is read", _UNSTABLE, bend=_changing(grows=True), more=_PATIENT),
    case("a zip that is written again while it is read", _UNSTABLE, bend=_changing(grows=False),
         more=_PATIENT),
    case("a server that stalls in a read", at(Reason.TIMED_OUT, retryable=True), bend=_stalls,
         more={"path": "/roster.zip"}),
    case("an older zip than the last", at(Reason.SOURCE_WENT_BACK), last=facts(zipped("last"), NIGHT + DAY)),
    case("an older zip of the same size", at(Reason.SOURCE_WENT_BACK), last=facts(b"\0" * len(GOOD), NIGHT + DAY)),
    case("the last zip with an older time", Unchanged(), last=facts(GOOD, NIGHT + DAY)),
    case("a zip from the future", at(Reason.CLOCK_SKEWED), files={"a.zip": (GOOD, int(time.time()) + 3 * DAY)}),
]  # fmt: skip
