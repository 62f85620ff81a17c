"""What rows of a bundle refer to, and whether it is there: on hashes, whole columns at once."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .faults import Finding
from .kept import NONE, Hashes, Kept
from .report import Report
from .tables import Column, Kind, Table

# What may make references into a file dangle, from the gravest on.
ROOTS = (
    "FileMissing", "RolesMissing", "NulInFile", "MixedEncodings", "EncodingUnknown", "BadUTF16", "FileUnreadable",
    "LineTooLong", "CellTooLong", "BadQuoting", "FileEmpty", "HeaderMissing", "WrongTable", "MissingHeader",
    "DuplicateHeader", "EntryBroken", "EntryLengthDiffers", "EntryChecksumDiffers", "HeaderOnly",
)  # fmt: skip


class References:
    """kept: of the files that were read to their end. whole: those that are bulk, so that what is not there is not
    anywhere. offered: tables whose files the manifest promises, readable or not."""

    def __init__(
        self, report: Report, kept: Mapping[str, Kept], whole: frozenset[str], offered: frozenset[str]
    ) -> None:
        self._report, self._kept, self._whole, self._offered = report, kept, whole, offered
        self._ids: dict[str, Hashes] = {}
        self._unchecked: set[str] = set()

    def ids(self, table: str) -> Hashes:
        """The ids that can be referred to, sorted."""
        found = self._ids.get(table)
        if found is None:
            kept = self._kept.get(table)
            found = NONE if kept is None else distinct(kept.column("sourcedId")[kept.alive()])
            self._ids[table] = found
        return found

    def check(self, table: Table) -> None:
        """Duplicates of a file's ids, and where its references lead."""
        kept = self._kept[table.name]
        _twice(self._report, table, kept)
        for column in table.columns:
            if column.kind is Kind.REF:
                hashes = kept.column(column.name)
                if len(hashes):
                    rows = np.flatnonzero((hashes != 0) & kept.alive())
                    self._dangling(table, column, rows, hashes[rows], kept)
            elif column.kind is Kind.REFS:
                rows, hashes = kept.pairs(column.name)
                alive = kept.alive()[rows] if len(rows) else np.empty(0, dtype=np.bool_)
                self._dangling(table, column, rows[alive], hashes[alive], kept)
        if table.name == "demographics":
            hashes = kept.column("sourcedId")
            rows = np.flatnonzero((hashes != 0) & kept.alive())
            self._dangling(table, Column("sourcedId", Kind.REF, "required", "users"), rows, hashes[rows], kept)

    def _dangling(self, table: Table, column: Column, rows: Hashes, hashes: Hashes, kept: Kept) -> None:
        if not len(rows):
            return
        target = f"{column.target}.csv"
        unread = column.target in self._offered and column.target not in self._kept
        if unread and self._report.follow(target, len(rows), ROOTS):
            return
        if column.target not in self._whole:
            if target not in self._unchecked:
                self._unchecked.add(target)
                self._report.add(Finding("ReferencesNotChecked", target))
            return
        there = known(self.ids(column.target), hashes)
        if there.all():
            return
        lost = rows[~there]
        if not len(self.ids(column.target)) and self._report.follow(target, len(lost), ["HeaderOnly"]):
            return
        required = column.need == "required"
        if column.kind is Kind.REFS:
            # A list means something as long as one of it is there.
            alive = np.unique(rows[there])
            alone = lost[~np.isin(lost, alive)] if column.need == "expected" else NONE
            lost = np.setdiff1d(lost, alone)
            tell(self._report, "DanglingReference", table, kept, np.unique(alone), column.name)
        tell(self._report, "DanglingReference" if required else "OptionalDangling", table, kept, lost, column.name)


def distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once. Faster than numpy's own for as many different ones as ids are."""
    found = np.sort(hashes)
    if len(found) < 2:
        return found
    return found[np.concatenate(([True], found[1:] != found[:-1]))]


def known(ids: Hashes, hashes: Hashes) -> NDArray[np.bool_]:
    """For each hash whether it is among the sorted ids."""
    if not len(ids):
        return np.zeros(len(hashes), dtype=np.bool_)
    # Nearly always all are there, and that is seen soonest in their own order.
    each = distinct(hashes)
    at = np.searchsorted(ids, each)
    at[at == len(ids)] = 0
    if (ids[at] == each).all():
        return np.ones(len(hashes), dtype=np.bool_)
    at = np.searchsorted(ids, hashes)
    at[at == len(ids)] = 0
    return ids[at] == hashes


def several(hashes: Hashes, rows: Hashes) -> Hashes:
    """Those of the rows whose hash another of them has, too. Empty texts do not count."""
    rows = rows[hashes[rows] != 0]
    found = np.sort(hashes[rows])
    twice = found[1:][found[1:] == found[:-1]]
    return rows[np.isin(hashes[rows], twice)] if len(twice) else NONE


def _twice(report: Report, table: Table, kept: Kept) -> None:
    rows = several(kept.column("sourcedId"), np.arange(kept.count))
    tell(report, "DuplicateSourcedId", table, kept, rows, "sourcedId")


def tell(report: Report, code: str, table: Table, kept: Kept, rows: Hashes, column: str = "") -> None:
    """Findings about rows of a file."""
    if len(rows):
        report.add_all(code, table.file, kept.all_lines()[rows], column)


def circles(report: Report, table: Table, kept: Kept) -> None:
    """Records that are their own ancestors."""
    parents: dict[int, int] = dict(
        zip(kept.column("sourcedId").tolist(), kept.column("parentSourcedId").tolist(), strict=False)
    )
    rows = {each: row for row, each in enumerate(kept.column("sourcedId").tolist())}
    done: set[int] = set()
    members: list[int] = []
    for start in parents:
        path: dict[int, int] = {}
        at = start
        while at in parents and at not in done and at not in path:
            path[at] = len(path)
            at = parents[at]
        if at in path:
            members += [rows[each] for each, place in path.items() if place >= path[at]]
        done.update(path)
    tell(report, "CircularParent", table, kept, np.array(sorted(members), dtype=np.int64), "parentSourcedId")
