"""A zip from a stranger, read without trust: nothing is extracted, and every entry is inflated to its end.

`zipfile` reads the directory, after its size was bounded. The contents are inflated here: zipfile believes the sizes
that a zip states, so that a cut file looks whole and a forged one takes gigabytes.
"""

import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from .causes import fatal
from .faults import BundleError, Finding

MAX_ENTRIES = 64
CHUNK = 1 << 16
_INFLATED = 1 << 18
# 64 entries with long names and comments are far below this.
_MAX_DIRECTORY = 1 << 18
_END = b"PK\x05\x06"
_LOCAL = b"PK\x03\x04"
_ARCHIVES = (".zip", ".gz", ".tgz", ".tar", ".7z", ".rar", ".bz2", ".xz")


@dataclass(frozen=True)
class Entry:
    """One file of the zip. start: where its compressed bytes begin in the zip."""

    name: str
    start: int
    compressed: int
    size: int
    crc: int
    method: int


def entries(file: BinaryIO) -> list[Entry]:
    """The zip's files, folders left out. Raises BundleError for anything that no honest roster has."""
    _bound_directory(file)
    try:
        with ZipFile(file) as archive:
            infos = archive.infolist()
            directory = archive.start_dir
    except (BadZipFile, NotImplementedError, ValueError, OSError, EOFError, OverflowError, UnicodeError):
        raise BundleError(Finding("NotAZip")) from None
    if len(infos) > MAX_ENTRIES:
        raise BundleError(Finding("TooManyEntries"))
    found: list[tuple[int, Entry]] = []
    refused: list[Finding] = []
    for info in infos:
        try:
            found.append(_entry(file, info, directory))
        except BundleError as error:
            refused.append(error.finding)
    if refused:
        raise BundleError(*fatal(refused))
    end = 0
    for begin, entry in sorted(found, key=lambda pair: pair[0]):
        if begin < end:
            raise BundleError(Finding("EntriesOverlap"))
        end = entry.start + entry.compressed
    if end > directory:
        raise BundleError(Finding("EntriesOverlap"))
    return [entry for _, entry in found if not entry.name.endswith("/")]


def _bound_directory(file: BinaryIO) -> None:
    """Refuses a directory that would take memory before anything of it is looked at."""
    size = file.seek(0, 2)
    tail = min(size, 22 + 65_535)
    file.seek(size - tail)
    data = file.read(tail)
    at = data.rfind(_END)
    if at < 0 or at + 22 > len(data):
        raise BundleError(Finding("NotAZip"))
    count = int.from_bytes(data[at + 10 : at + 12], "little")
    length = int.from_bytes(data[at + 12 : at + 16], "little")
    if count > MAX_ENTRIES or length > _MAX_DIRECTORY:
        raise BundleError(Finding("TooManyEntries"))


def _entry(file: BinaryIO, info: ZipInfo, directory: int) -> tuple[int, Entry]:
    """(where its local header begins, the entry)."""
    # zipfile cuts a name at NUL; orig_filename is what the zip has.
    name = info.orig_filename.replace("\\", "/")
    parts = name.split("/")
    if "\0" in name or name.startswith("/") or ".." in parts or ":" in parts[0] or not name:
        raise BundleError(Finding("UnsafeName"))
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise BundleError(Finding("SymbolicLink"))
    if info.flag_bits & 0x2041:
        raise BundleError(Finding("EncryptedEntry"))
    if name.lower().endswith(_ARCHIVES):
        raise BundleError(Finding("NestedArchive"))
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BundleError(Finding("EntryMethodUnknown"))
    begin = info.header_offset
    if not 0 <= begin < directory:
        raise BundleError(Finding("EntryBroken"))
    file.seek(begin)
    header = file.read(30)
    if len(header) < 30 or header[:4] != _LOCAL:
        raise BundleError(Finding("EntryBroken"))
    named = int.from_bytes(header[26:28], "little")
    extra = int.from_bytes(header[28:30], "little")
    # Two names for one entry: which tools see what would be anybody's guess.
    local = file.read(named).decode("utf-8" if info.flag_bits & 0x800 else "cp437", "replace")
    if local.replace("\\", "/") != name:
        raise BundleError(Finding("UnsafeName"))
    start = begin + 30 + named + extra
    if start + info.compress_size > directory:
        raise BundleError(Finding("EntriesOverlap"))
    return begin, Entry(name, start, info.compress_size, info.file_size, info.CRC, info.compress_type)


def contents(file: BinaryIO, entry: Entry, shown: str) -> Iterator[bytes]:
    """The bytes of an entry, in pieces of at most 256 KiB. shown: the file's name in findings.

    Raises BundleError as soon as the entry is longer than it says, and at its end when it is shorter or another.
    """
    crc = total = 0
    for piece in _stored(file, entry) if entry.method == ZIP_STORED else _inflated(file, entry, shown):
        total += len(piece)
        if total > entry.size:
            raise BundleError(Finding("EntryLengthDiffers", shown))
        crc = zlib.crc32(piece, crc)
        yield piece
    if total != entry.size:
        raise BundleError(Finding("EntryLengthDiffers", shown))
    if crc != entry.crc:
        raise BundleError(Finding("EntryChecksumDiffers", shown))


def _stored(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    at, left = entry.start, entry.compressed
    while left:
        file.seek(at)
        piece = file.read(min(CHUNK, left))
        if not piece:
            return
        at += len(piece)
        left -= len(piece)
        yield piece


def _inflated(file: BinaryIO, entry: Entry, shown: str) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for piece in _stored(file, entry):
            waiting = piece
            while waiting or not inflate.eof:
                out = inflate.decompress(waiting, _INFLATED)
                waiting = inflate.unconsumed_tail
                if out:
                    yield out
                elif not waiting:
                    break
            if inflate.eof and inflate.unused_data:
                raise BundleError(Finding("EntryBroken", shown))
    except zlib.error:
        raise BundleError(Finding("EntryBroken", shown)) from None
    if not inflate.eof:
        raise BundleError(Finding("EntryBroken", shown))
