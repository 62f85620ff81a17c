"""Zip: containers that lie about what is in them, or hold what no roster holds."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable

from .bundles import GOOD, ORGS, Bundle, ended, number, patched, zipped
from .cases import CANARY, Case, Decoded, Issue

FAMILY = "Zip"
MIB = 2**20


def broken(code: str, file: str = "", line: int = 0) -> Decoded:
    return Decoded(False, (Issue(code, "error", "", file, line),))


def case(name: str, data: Callable[[], bytes], expect: Decoded, max_bytes: int = 32 * MIB) -> Case:
    return Case(FAMILY, name, Bundle(data=data, max_bytes=max_bytes), expect)


def with_entry(name: str, content: bytes | str = "x", *, mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The good zip and one entry more."""
    held = io.BytesIO(zipped(GOOD))
    with zipfile.ZipFile(held, "a") as archive:
        info = zipfile.ZipInfo("0", (2026, 8, 1, 3, 0, 0))
        info.filename = name
        info.external_attr = mode << 16
        archive.writestr(info, content, method)
    return held.getvalue()


def many(count: int) -> bytes:
    return zipped({**GOOD, **{f"x{number}.csv": "x" for number in range(count)}})


def twice() -> bytes:
    held = io.BytesIO(zipped(GOOD))
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr("ORGS.csv", ORGS)
    return held.getvalue()


def bomb(mebibytes: int) -> bytes:
    """One entry that unpacks to so much."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.csv", GOOD["manifest.csv"])
        with archive.open("orgs.csv", "w", force_zip64=True) as entry:
            for _ in range(mebibytes):
                entry.write(b"x," * (MIB // 2))
    return held.getvalue()


def large(mebibytes: int) -> bytes:
    """A bomb whose size is understated: ten bytes, it says."""
    data = bytearray(bomb(mebibytes))
    middle = data.rfind(b"PK\x01\x02")
    data[middle + 24 : middle + 28] = number(10)
    return bytes(data)


_O = "orgs.csv"
_CRC = 16
CASES = [
    case("a good zip", lambda: zipped(GOOD), Decoded(True)),
    case("nothing", lambda: b"", broken("NotAZip")),
    case("text", lambda: CANARY.encode() * 9, broken("NotAZip")),
    case("a sign-in page", lambda: b"<!DOCTYPE html>" + b"x" * 5_000, broken("NotAZip")),
    case("gzip", lambda: zlib.compress(b"x"), broken("NotAZip")),
    case("a zip without its end", lambda: zipped(GOOD)[:-30], broken("NotAZip")),
    case("the end alone", lambda: zipped(GOOD)[-22:], broken("NotAZip")),
    case("the second half", lambda: zipped(GOOD)[200:], broken("EntryBroken")),
    case("an empty zip", lambda: zipped({}), broken("ManifestMissing", "manifest.csv")),
    case("something before the zip", lambda: b"#!/bin/sh\n" + zipped(GOOD), Decoded(True)),
    case("a directory of 4 GiB", lambda: ended(length=0xFFFFFF00), broken("TooManyEntries")),
    case("a directory beyond the file", lambda: ended(offset=0x7FFFFFFF), broken("EntryBroken")),
    case("65,535 entries, it says", lambda: ended(count=65_535), broken("TooManyEntries")),
    case("fewer entries than it says", lambda: ended(count=40), Decoded(True)),
    case("65 entries", lambda: many(63), broken("TooManyEntries")),
    case("a size that is understated", lambda: patched(_O, central={24: number(10)}), broken("EntryLengthDiffers", _O)),
    case("a size that is overstated", lambda: patched(_O, central={24: number(9_999)}),
         broken("EntryLengthDiffers", _O)),
    case("a size of 4 GiB, it says", lambda: patched(_O, central={24: number(0xFFFFFFF0)}), broken("BundleTooLarge")),
    case("a compressed size of 2 GiB, it says", lambda: patched(_O, central={20: number(0x7FFFFFFF)}),
         broken("EntriesOverlap")),
    case("a compressed size that is too small", lambda: patched(_O, central={20: number(20)}), broken("EntryBroken",
    _O)),
    case("a compressed size of nothing", lambda: patched(_O, central={20: number(0)}), broken("EntryBroken", _O)),
    case("another checksum", lambda: patched(_O, central={_CRC: number(1)}), broken("EntryChecksumDiffers", _O)),
    case("an entry that is encrypted", lambda: patched(_O, central={8: b"\x01\0"}), broken("EncryptedEntry")),
    case("an entry that is strongly encrypted", lambda: patched(_O, central={8: b"\x41\0"}), broken("EncryptedEntry")),
    case("another method", lambda: patched(_O, central={10: b"\x0e\0"}), broken("EntryMethodUnknown")),
    case("a method that nobody knows", lambda: patched(_O, central={10: b"\x63\0"}), broken("EntryMethodUnknown")),
    case("deflate that is called stored", lambda: patched(_O, central={10: b"\0\0"}), broken("NulInFile", _O, 3)),
    case("an entry that begins in another", lambda: patched(_O, central={42: number(0)}), broken("UnsafeName")),
    case("an entry that begins nowhere", lambda: patched(_O, central={42: number(5)}), broken("EntryBroken")),
    case("an entry that begins in the directory", lambda: patched(_O, central={42: number(0x7FFFFFF0)}),
         broken("EntryBroken")),
    case("two names for one entry", lambda: patched(_O, local={30: b"evil"}), broken("UnsafeName")),
    case("NUL in a name", lambda: patched(_O, local={34: b"\0"}, central={50: b"\0"}), broken("UnsafeName")),
    case("a broken stream", lambda: patched(_O, local={40: b"\xff\xff\xff\xff"}), broken("EntryBroken", _O)),
    *(case(f"an entry called {name!r}", lambda name=name: with_entry(name), broken("UnsafeName"))
      for name in ["../orgs.csv", "/etc/passwd", "..\\..\\x", "C:/x.csv", "a/../../b", "//server/x"]),
    case("a link", lambda: with_entry("x.csv", "/etc/passwd", mode=stat.S_IFLNK | 0o777), broken("SymbolicLink")),
    case("a zip in the zip", lambda: with_entry("inner.zip", zipped(GOOD)), broken("NestedArchive")),
    case("a zip in the zip, under another name", lambda: with_entry("inner.dat", zipped(GOOD)),
    broken("NestedArchive")),
    case("a tar in the zip", lambda: with_entry("inner.tar.gz"), broken("NestedArchive")),
    case("a file twice, in other letters", twice, broken("DuplicateEntry", _O)),
    case("files two folders deep", lambda: zipped({f"a/b/{name}": data for name, data in GOOD.items()}),
         Decoded(False, tuple(Issue("FolderTooDeep", "error", "", name, 0) for name in ("manifest.csv", _O)))),
    case("files in a folder", lambda: zipped({f"a/{name}": data for name, data in GOOD.items()}),
         Decoded(True, (Issue("FolderInZip", "warning"),))),
    case("a file that is unknown", lambda: with_entry(CANARY + ".txt"),
         Decoded(True, (Issue("FileUnknown", "warning"),))),
    case("a device of Windows", lambda: with_entry("CON"), Decoded(True, (Issue("FileUnknown", "warning"),))),
    case("a name with escape codes", lambda: with_entry("\x1b[2J" + CANARY),
         Decoded(True, (Issue("FileUnknown", "warning"),))),
    case("a name of 60,000 letters", lambda: with_entry("x" * 60_000),
         Decoded(True, (Issue("FileUnknown", "warning"),))),
    case("bzip2", lambda: with_entry("x.csv", method=zipfile.ZIP_BZIP2), broken("EntryMethodUnknown")),
    case("a bomb that is honest", lambda: bomb(512), broken("BundleTooLarge")),
    case("a bomb within the limit", lambda: bomb(128), broken("LineTooLong", _O, 1), max_bytes=256 * MIB),
    case("a bomb that is understated", lambda: large(128), broken("EntryLengthDiffers", _O)),
]  # fmt: skip
