"""Which encoding a file is in, found by looking at all of it once, and its text, piece by piece."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .faults import BundleError, Finding

MAX_LINE = 1_000_000
# Well-formed characters of more than one byte. Windows-1252 text has hardly ever one, and UTF-8 has nothing else.
_MULTIBYTE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|\xe0[\xa0-\xbf][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{3}"
)
# UTF-8 that was taken for Windows-1252 and written as UTF-8 again, and the replacement character.
_MOJIBAKE = re.compile(rb"\xc3[\x82\x83]\xc2[\x80-\xbf]|\xef\xbf\xbd")
# Zero width characters, marks of direction, and byte order marks within a text.
_INVISIBLE = re.compile(rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf")
_BOMS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Text:
    """What a look at the whole file found. whole: it ends with a line end. odd: codes of warnings."""

    encoding: str
    size: int
    whole: bool
    odd: tuple[str, ...]


class _Look:
    """One walk over the bytes."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.size = self.lines = self.run = 0
        self.utf8 = True
        self.multibyte = self.high = self.undefined = self.mojibake = self.invisible = False
        self.last = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._pending = False

    def take(self, piece: bytes) -> None:
        if b"\0" in piece:
            line = self.lines + piece.count(b"\n", 0, piece.index(b"\0")) + 1
            raise BundleError(Finding("NulInFile", self.shown, line))
        self.size += len(piece)
        self._bound(piece)
        if not piece.isascii() or self._pending:
            self._high(piece)
        self.lines += piece.count(b"\n")
        self.last = piece[-1:]

    def _bound(self, piece: bytes) -> None:
        """Nobody may make us hold a line of gigabytes. Old Macs end lines with a return alone."""
        first = piece.find(b"\n")
        if first < 0:
            first = piece.find(b"\r")
        if first < 0:
            self.run += len(piece)
        else:
            self.run += first
        if self.run > MAX_LINE:
            raise BundleError(Finding("LineTooLong", self.shown, self.lines + 1))
        if first >= 0:
            self.run = len(piece) - 1 - max(piece.rfind(b"\n"), piece.rfind(b"\r"))

    def _high(self, piece: bytes) -> None:
        self.high = True
        whole = self.last + piece  # a character may be cut in two; looking twice at a byte does no harm
        self.multibyte = self.multibyte or _MULTIBYTE.search(whole) is not None
        self.undefined = self.undefined or any(byte in piece for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))
        self.mojibake = self.mojibake or _MOJIBAKE.search(whole) is not None
        at = 3 if not self.size - len(piece) and piece.startswith(codecs.BOM_UTF8) else 0
        self.invisible = self.invisible or _INVISIBLE.search(piece, at) is not None
        if self.utf8:
            try:
                self._decoder.decode(piece)
                self._pending = bool(self._decoder.getstate()[0])
            except UnicodeDecodeError:
                self.utf8, self._pending = False, False

    def end(self) -> Text:
        odd: list[str] = []
        encoding = "utf-8-sig"
        if not self.utf8 or self._pending:
            if self.multibyte:
                raise BundleError(Finding("MixedEncodings", self.shown))
            if self.undefined:
                raise BundleError(Finding("EncodingUnknown", self.shown))
            encoding = "cp1252"
            odd.append("EncodingWindows1252")
        else:
            odd += ["Mojibake"] * self.mojibake + ["InvisibleCharacters"] * self.invisible
        return Text(encoding, self.size, self.last in (b"\n", b"\r", b""), tuple(odd))


def look(pieces: Iterable[bytes], shown: str) -> Text:
    """Reads a file to its end. Raises BundleError for NUL, lines without end, and bytes in no encoding of ours."""
    rest = iter(pieces)
    head = b""
    for piece in rest:
        head += piece
        if len(head) >= 2:
            break
    looking = _Look(shown)
    utf16 = _BOMS.get(head[:2])
    stream = _recoded(head, rest, shown) if utf16 else _chained(head, rest)
    for piece in stream:
        looking.take(piece)
    found = looking.end()
    return found if utf16 is None else Text("utf-16", found.size, found.whole, ("EncodingUTF16", *found.odd))


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _recoded(head: bytes, rest: Iterator[bytes], shown: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        for piece in _chained(head, rest):
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise BundleError(Finding("BadUTF16", shown)) from None


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def lines(pieces: Iterator[bytes], encoding: str) -> io.TextIOWrapper:
    """A file's lines with their ends, as the csv module wants them. Their length was bounded by `look`."""
    return io.TextIOWrapper(io.BufferedReader(_Pieces(pieces), 1 << 18), encoding, newline="")
