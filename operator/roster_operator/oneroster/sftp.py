"""Fetching a district's zip by SFTP: the newest whole one, unchanged while it was read, never older than the last."""

import asyncio
import errno
import hashlib
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, TypeVar

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN

from .errors import OneRosterError, Reason
from .filefacts import FileFacts
from .sftp_choice import TAIL, Entry, is_older, is_whole, newest_first, refuse_future, went_back
from .sftp_session import Credentials, SftpSettings, SftpTimeouts, connected, told

T = TypeVar("T")

_PIECE = 2**20
# Of a server that tells no permissions nobody knows what is a file.
_FILES = frozenset({FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN})
_REREADS = 2
# Zips that are looked at before a folder is said to have no whole one.
_LOOKS = 5


@dataclass(frozen=True)
class Fetched:
    """A zip in a temporary file that has no name: it goes when it is closed, and with the process."""

    file: BinaryIO
    facts: FileFacts


@dataclass(frozen=True)
class Found:
    """What was chosen. zips: how many finished zips the folder has. broken: newer ones that are not whole."""

    path: bytes
    entry: Entry
    zips: int = 1
    broken: int = 0


@contextmanager
def fetched(settings: SftpSettings, last: FileFacts | None = None) -> Generator[Fetched]:
    """The zip, fetched. last: what was merged last; an older file is refused, unless it is that very one.

    Raises OneRosterError.
    """
    credentials = Credentials.of(settings)
    with tempfile.TemporaryFile(prefix="roster-") as file:
        facts = _with_retries(settings, credentials, file, last)
        file.seek(0)
        yield Fetched(file, facts)


def _with_retries(
    settings: SftpSettings, credentials: Credentials, into: BinaryIO, last: FileFacts | None
) -> FileFacts:
    for attempt in range(1, settings.attempts + 1):
        try:
            return asyncio.run(_fetch(settings, credentials, into, last))
        except OneRosterError as error:
            if attempt == settings.attempts or not error.retryable or error.reason is Reason.FILE_UNSTABLE:
                raise
        time.sleep(settings.retry_wait * 2 ** (attempt - 1))
    raise AssertionError("the last attempt always ends")


async def _fetch(settings: SftpSettings, credentials: Credentials, into: BinaryIO, last: FileFacts | None) -> FileFacts:
    with told():
        async with asyncio.timeout(settings.timeouts.total), session(settings, credentials) as sftp:
            found = await find(sftp, settings)
            refuse_future(found.entry, datetime.now(UTC))
            older = is_older(found.entry, last)
            # An older time may be that of the same file, put back with its own time: only its content can tell.
            if last is not None and older and found.entry.size != last.size:
                raise went_back(found.entry, last)
            facts = await download(sftp, found.path, into, settings)
            if last is not None and older and facts.sha256 != last.sha256:
                raise went_back(found.entry, last)
            return facts


@asynccontextmanager
async def session(settings: SftpSettings, credentials: Credentials) -> AsyncGenerator[asyncssh.SFTPClient]:
    """An SFTP session. Raises OneRosterError."""
    async with connected(settings, credentials) as connection:
        with told():
            async with asyncio.timeout(settings.timeouts.login):
                sftp = await connection.start_sftp_client()
        yield sftp


async def find(sftp: asyncssh.SFTPClient, settings: SftpSettings) -> Found:
    """The zip that the path names, or the newest whole one of the folder that it names.

    Raises PathMissing, PathForbidden, FolderTooLarge, NoBundle and what `told` makes of asyncssh's errors.
    """
    path, timeouts = settings.path.encode(), settings.timeouts
    with told():
        attrs = await _in_time(sftp.stat(path), timeouts)
        if attrs.type != FILEXFER_TYPE_DIRECTORY:
            if attrs.type not in _FILES:
                raise OneRosterError(
                    Reason.NO_BUNDLE, "The path leads to no file.", "Name a zip, or a folder with zips."
                )
            return Found(path, _entry(path.rpartition(b"/")[2], attrs))
        zips = newest_first(await _listing(sftp, path, settings))
        for broken, entry in enumerate(zips[:_LOOKS]):
            whole = path.rstrip(b"/") + b"/" + entry.name
            # The listing may be silent about types; and what is read is what was asked about here, no link.
            attrs = await _in_time(sftp.lstat(whole), timeouts)
            if attrs.type in _FILES and await _ends(sftp, whole, attrs.size or 0, timeouts):
                return Found(whole, _entry(entry.name, attrs), len(zips), broken)
    raise OneRosterError(
        Reason.NO_BUNDLE,
        f"The folder has {len(zips)} zips and none that is whole." if zips else "The folder has no zip.",
        "Look whether the export has run, and its upload has ended.",
        retryable=bool(zips),
    )


async def download(sftp: asyncssh.SFTPClient, path: bytes, into: BinaryIO, settings: SftpSettings) -> FileFacts:
    """Read a file that holds still: size and time are the same before and after.

    Raises FileUnstable where they never are, FileTooLarge.
    """
    for reading in range(_REREADS + 1):
        if reading:
            await asyncio.sleep(settings.settle)
        with told():
            before = _entry(b"", await _in_time(sftp.stat(path), settings.timeouts))
            if before.size > settings.max_size:
                raise _too_large(settings.max_size)
            received, sha256 = await _read(sftp, path, into, before.size, settings.timeouts)
            after = _entry(b"", await _in_time(sftp.stat(path), settings.timeouts))
        if (before.size, before.mtime) == (after.size, after.mtime) and received == before.size:
            return FileFacts(after.modified, received, sha256)
    raise OneRosterError(
        Reason.FILE_UNSTABLE,
        f"The zip changed while it was read, {_REREADS + 1} times.",
        "Sync at an hour when nothing is exported; or have it uploaded under another name, and renamed at the end.",
        retryable=True,
    )


async def _listing(sftp: asyncssh.SFTPClient, path: bytes, settings: SftpSettings) -> list[Entry]:
    entries: list[Entry] = []
    async with asyncio.timeout(settings.timeouts.read):
        async for name in sftp.scandir(path):
            assert isinstance(name.filename, bytes)  # asked with bytes, answered with bytes
            entries.append(_entry(name.filename, name.attrs))
            if len(entries) > settings.max_entries:
                raise OneRosterError(
                    Reason.FOLDER_TOO_LARGE,
                    f"The folder has more than {settings.max_entries:,} entries.",
                    "Use a folder of its own for the zips, and have old ones moved away.",
                )
    return entries


async def _ends(sftp: asyncssh.SFTPClient, path: bytes, size: int, timeouts: SftpTimeouts) -> bool:
    async with asyncio.timeout(timeouts.read), sftp.open(path, "rb") as file:
        head = await file.read(4, 0)
        tail = b""
        start = max(size - TAIL, 0)
        while start + len(tail) < size and (piece := await file.read(size - start - len(tail), start + len(tail))):
            tail += piece
    return is_whole(bytes(head), tail)


async def _read(
    sftp: asyncssh.SFTPClient, path: bytes, into: BinaryIO, size: int, timeouts: SftpTimeouts
) -> tuple[int, str]:
    """Bytes received, and their SHA-256. A file that is longer than `size` is not read to its end."""
    into.seek(0)
    into.truncate()
    digest, received = hashlib.sha256(), 0
    async with sftp.open(path, "rb") as file:
        # One byte more than it had tells that it grew, and a file that never ends is not followed.
        while wanted := min(_PIECE, size + 1 - received):
            piece = await _in_time(file.read(wanted, received), timeouts)
            if not piece:
                break
            received += len(piece)
            digest.update(piece)
            _write(into, piece)
    into.flush()
    return received, digest.hexdigest()


def _write(into: BinaryIO, piece: bytes) -> None:
    try:
        into.write(piece)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise OneRosterError(
            Reason.FILE_TOO_LARGE,
            "The zip does not fit into the room that is left for temporary files.",
            "Is it the right file? If so, give the pod's node more room.",
        ) from None


def _too_large(limit: int) -> OneRosterError:
    return OneRosterError(
        Reason.FILE_TOO_LARGE, f"The zip is larger than the limit of {limit // 2**20} MiB.", "Is it the right file?"
    )


def _entry(name: bytes, attrs: asyncssh.SFTPAttrs) -> Entry:
    return Entry(name, attrs.size or 0, int(attrs.mtime or 0), attrs.permissions)


async def _in_time(answer: Awaitable[T], timeouts: SftpTimeouts) -> T:
    async with asyncio.timeout(timeouts.read):
        return await answer
