"""Rows of one file, some hundred at a time, with the lines they begin on."""

import csv
import re
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from itertools import chain, islice
from typing import NamedTuple

from .encodings import lines
from .faults import BundleError, Finding

# Few enough that they stay in the processor's cache, and below what wakes the garbage collector.
SLICE = 512
# Nothing in a slice of shorter lines can be too long.
_SHORT = 255
# A slice that is longer is no roster: rows of 32,000 characters each.
_MAX_SLICE = SLICE * 32_768
# Characters that are read ahead.
_BATCH = 1 << 16
_LINE_END = re.compile(r"\r\n|\r|\n")


class Rows(NamedTuple):
    """Some rows. lines: where each begins, from 1. long: one of their lines is longer than an id may be.
    blank: lines of empty rows, which are left out."""

    rows: list[list[str]]
    lines: Sequence[int]
    long: bool
    blank: Sequence[int]


class _Guard:
    """Hands lines on, a few hundred at a time, and counts them, so that a row of endless lines ends."""

    def __init__(self, source: TextIOWrapper, shown: str) -> None:
        self._source = source
        self._shown = shown
        self._used = self._number = 0
        self._held = False
        self.long = False

    def batches(self) -> Iterator[list[str]]:
        while batch := self._source.readlines(_BATCH):
            self._used += sum(map(len, batch))
            self._held = max(map(len, batch)) > _SHORT
            self.long = self.long or self._held
            if self._used > _MAX_SLICE:
                raise BundleError(Finding("LineTooLong", self._shown, self._number + 1))
            yield batch

    def reset(self, number: int) -> None:
        """Before a slice. Lines of the last batch may still be to come."""
        self.long, self._used, self._number = self._held, 0, number


def read(pieces: Iterator[bytes], encoding: str, shown: str) -> Iterator[Rows]:
    """All rows of a file, the header too. Raises BundleError with the line for bad quoting and cells without end."""
    guard = _Guard(lines(pieces, encoding), shown)
    reader = csv.reader(chain.from_iterable(guard.batches()), strict=True)
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
