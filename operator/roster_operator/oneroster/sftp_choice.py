"""Which of a folder's entries is taken, and whether it may be. Pure."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .errors import OneRosterError, Reason
from .filefacts import FileFacts

# A server's clock may be somewhat ahead. A time far beyond ours would make every later zip look older than this one.
_AHEAD = timedelta(days=1)
_UNFINISHED = (b".tmp", b".part", b".partial", b".filepart", b".crdownload", b".upload", b".uploading")
_LOCAL_HEADER, _END_RECORD, _END_LENGTH = b"PK\x03\x04", b"PK\x05\x06", 22
# The end record, with the longest comment that may follow it.
TAIL = _END_LENGTH + 65_535


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder, as the server tells it. mtime: seconds since 1970. mode: type and permissions, if told."""

    name: bytes
    size: int
    mtime: int
    mode: int | None

    @property
    def modified(self) -> datetime:
        """The time as a moment; a time that no calendar has is the end of it."""
        return datetime.fromtimestamp(min(max(self.mtime, 0), 253_402_300_799), UTC)


def is_wanted(name: bytes) -> bool:
    """Whether a name is that of a finished zip in this very folder."""
    lower = name.lower()
    if not lower.endswith(b".zip") or lower.startswith((b".", b"~")) or b"/" in name or b"\\" in name or b"\0" in name:
        return False
    return not lower.removesuffix(b".zip").endswith(_UNFINISHED)


def is_file(entry: Entry) -> bool:
    """Whether it is a plain file: no folder, no link, no device. A server that tells no type is believed later."""
    return entry.mode is None or stat.S_IFMT(entry.mode) in {0, stat.S_IFREG}


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """The zips among the entries: the newest first, of one time the one with the last name."""
    zips = (entry for entry in entries if entry.size > 0 and is_wanted(entry.name) and is_file(entry))
    return sorted(zips, key=lambda entry: (entry.mtime, entry.name), reverse=True)


def is_whole(head: bytes, tail: bytes) -> bool:
    """Whether the first four bytes and the last TAIL of a file are a zip's, the end record ending where the file does.

    A zip whose upload broke off has no such end.
    """
    at = tail.rfind(_END_RECORD)
    while at >= 0:
        comment = int.from_bytes(tail[at + _END_LENGTH - 2 : at + _END_LENGTH], "little")
        if at + _END_LENGTH + comment == len(tail):
            return head == _LOCAL_HEADER
        at = tail.rfind(_END_RECORD, 0, at)
    return False


def refuse_future(entry: Entry, now: datetime) -> None:
    """Raises ClockSkewed for a file from the future."""
    if entry.modified > now + _AHEAD:
        raise OneRosterError(
            Reason.CLOCK_SKEWED,
            "The newest zip on the server is dated more than a day in the future.",
            "Set the server's clock right, and have the zip written anew: no later one could ever be newer.",
        )


def is_older(entry: Entry, last: FileFacts | None) -> bool:
    """Whether a file is older than the one that was merged last."""
    return last is not None and entry.modified < last.modified


def went_back(entry: Entry, last: FileFacts) -> OneRosterError:
    """The error of an older file."""
    return OneRosterError(
        Reason.SOURCE_WENT_BACK,
        f"The newest zip is of {entry.modified:%Y-%m-%d %H:%M:%S} UTC; the last that was merged is of "
        f"{last.modified:%Y-%m-%d %H:%M:%S} UTC.",
        "Look whether an old export was put back or the folder was changed; if it is right, have it written anew.",
    )
