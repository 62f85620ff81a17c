"""Rows of one file, some hundred at a time, with the lines they begin on."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from .encodings import lines
from .faults import BundleError, Finding

# Few enough that they stay in the processor's cache, and below what wakes the garbage collector.
SLICE = 512
MAX_TEXT = 2_000
# A slice that is longer is no roster: rows of 32,000 characters each.
_MAX_SLICE = SLICE * 32_768
_LINE_END = re.compile(r"\r\n|\r|\n")


class Rows(NamedTuple):
    """Some rows. lines: where each begins, from 1. long: a text of theirs may be longer than 2,000 characters.
    blank: lines of empty rows, which are left out."""

    rows: list[list[str]]
    lines: Sequence[int]
    long: bool
    blank: Sequence[int]


class _Guard:
    """Counts what goes through, so that a row of endless lines ends."""

    def __init__(self, source: Iterator[str], shown: str) -> None:
        self._source = source
        self._shown = shown
        self.long = False
        self.used = self.number = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._source:
            length = len(line)
            self.used += length
            if length > MAX_TEXT:
                self.long = True
            if self.used > _MAX_SLICE:
                raise BundleError(Finding("LineTooLong", self._shown, self.number + 1))
            yield line

    def reset(self, number: int) -> None:
        self.long, self.used, self.number = False, 0, number


def read(pieces: Iterator[bytes], encoding: str, shown: str) -> Iterator[Rows]:
    """All rows of a file, the header too. Raises BundleError with the line for bad quoting and cells without end."""
    guard = _Guard(lines(pieces, encoding), shown)
    reader = csv.reader(iter(guard), strict=True)
    before = 0
    while True:
        guard.reset(before)
        try:
            rows = list(islice(reader, SLICE))
        except csv.Error as error:
            code = "CellTooLong" if "field larger" in str(error) else "BadQuoting"
            raise BundleError(Finding(code, shown, _bad_line(before, reader.line_num))) from None
        if not rows:
            return
        count = reader.line_num - before
        if count == len(rows) and [] not in rows:
            yield Rows(rows, range(before + 1, before + count + 1), guard.long, ())
        else:
            yield _placed(rows, before, guard.long)
        before = reader.line_num


def _bad_line(before: int, now: int) -> int:
    """Where the reader stood. A quote that never closes is found at the end of the file only."""
    return max(before + 1, now)


def _placed(rows: list[list[str]], before: int, long: bool) -> Rows:
    at = before + 1
    kept: list[list[str]] = []
    places: list[int] = []
    blank: list[int] = []
    several = False
    for row in rows:
        if row:
            kept.append(row)
            places.append(at)
        else:
            blank.append(at)
        ends = sum(len(_LINE_END.findall(cell)) for cell in row if "\n" in cell or "\r" in cell)
        several = several or ends > 0
        at += 1 + ends
    return Rows(kept, places, long or several, blank)
