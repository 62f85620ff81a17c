"""What a validation keeps of a file: hashes of ids and references, 8 bytes a row, and which line a row is on."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.int64]
Numbers = NDArray[np.int64]
NONE: Hashes = np.empty(0, dtype=np.int64)
STUDENT, TEACHER = 1, 2


class _Roles(dict[str, int]):
    """The number of a role's word, however it is spelt."""

    def __missing__(self, word: str) -> int:
        return {"student": STUDENT, "teacher": TEACHER}.get(word.strip().lower(), 0)


ROLES = _Roles(student=STUDENT, teacher=TEACHER)


class Kept:
    """One file. The hash of a text is Python's own, which the csv module's strings carry anyway; of "" it is 0."""

    def __init__(self) -> None:
        self.count = 0
        self._columns: dict[str, array[int]] = {}
        self._starts: list[int] = []
        self._lines: list[Sequence[int]] = []
        self._all: Numbers | None = None
        # Rows that are to be deleted: they count for nothing.
        self.gone: list[int] = []
        # Lists of references: (row, hash) pairs, by column.
        self._many: dict[str, tuple[array[int], array[int]]] = {}

    def begin(self, lines: Sequence[int]) -> None:
        """Before the columns of a slice."""
        self._starts.append(self.count)
        self._lines.append(lines if isinstance(lines, range) else array("q", lines))
        self.count += len(lines)

    def hashes(self, name: str, cells: Iterable[str]) -> None:
        """Keeps a column's texts."""
        self._column(name).extend(map(hash, cells))

    def numbers(self, name: str, values: Iterable[int]) -> None:
        """Keeps numbers of a column."""
        self._column(name).extend(values)

    def _column(self, name: str) -> "array[int]":
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = array("q")
        return found

    def many(self, name: str, cells: Sequence[str], parted: Callable[[str], tuple[int, ...]]) -> None:
        """Keeps the references of cells that are lists. Call after `begin`."""
        pair = self._many.setdefault(name, (array("q"), array("q")))
        first = self.count - len(cells)
        for at, cell in enumerate(cells):
            if cell:
                found = parted(cell)
                pair[0].extend([first + at] * len(found))
                pair[1].extend(found)

    def column(self, name: str) -> Hashes:
        """A kept column."""
        found = self._columns.get(name)
        return NONE if not found else np.frombuffer(found, dtype=np.int64)

    def pairs(self, name: str) -> tuple[Numbers, Hashes]:
        """(rows, hashes) of a column of lists."""
        rows, hashes = self._many.get(name, (array("q"), array("q")))
        if not rows:
            return NONE, NONE
        return np.frombuffer(rows, dtype=np.int64), np.frombuffer(hashes, dtype=np.int64)

    def alive(self) -> NDArray[np.bool_]:
        """For each row, whether it counts."""
        found = np.ones(self.count, dtype=np.bool_)
        found[self.gone] = False
        return found

    def line(self, row: int) -> int:
        """The line on which a row begins."""
        at = bisect_right(self._starts, row) - 1
        return self._lines[at][row - self._starts[at]]

    def all_lines(self) -> Numbers:
        """The line on which each row begins. Asked when all rows are there."""
        if self._all is None:
            parts = [np.array(part, dtype=np.int64) for part in self._lines]
            self._all = np.concatenate(parts) if parts else NONE
        return self._all
