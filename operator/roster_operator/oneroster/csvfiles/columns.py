"""Checks of a file's rows, column by column: what repeats is judged once, and a row is looked at only if it is odd."""

import re
from collections.abc import Callable, Sequence
from itertools import repeat

import msgspec

from roster_operator.oneroster.choices import NAMES
from roster_operator.oneroster.deceptive import FIELDS, deceptive
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.values import (
    BOOLEANS,
    MAX_ID,
    MAX_METADATA_BYTES,
    MAX_RECORD_BYTES,
    MAX_TEXT,
    STATUSES,
    known,
    stamp,
)

from .cells import date_cell, items, user_ids
from .faults import Finding
from .headers import Layout
from .kept import ROLES, Kept
from .report import Report
from .rows import Rows
from .tables import Column, Kind

_Cells = tuple[str, ...]
_Judge = Callable[[str], str]
# Different values of a column that are remembered as good.
_GOOD = 50_000
_USER_IDS = re.compile(r"(?:\{[^{}:]*:[^{},\"]*\}(?:,|$))*")
# Texts that say who somebody is: several users may share one by mistake.
_SHARED = frozenset({"identifier", "username"})
_PERIODS = (("startDate", "endDate"), ("beginDate", "endDate"))


class FileCheck:
    """One file. Give it its rows, slice by slice."""

    def __init__(self, layout: Layout, report: Report, kept: Kept, *, bulk: bool) -> None:
        self._layout, self._report, self._kept, self._bulk = layout, report, kept, bulk
        self._file = layout.table.file
        self._columns = [
            (layout.at[column.name], column) for column in layout.table.columns if column.name in layout.at
        ]
        self._judges = {column.name: judge for _, column in self._columns if (judge := _judge(column))}
        self._good: dict[str, set[str]] = {name: {""} for name in self._judges}
        self._periods = [pair for pair in _PERIODS if all(name in layout.at for name in pair)]
        pair = layout.at.get("subjects"), layout.at.get("subjectCodes")
        self._subjects = (pair[0], pair[1]) if pair[0] is not None and pair[1] is not None else None
        self._good_periods: set[tuple[str, str]] = set()
        self._parted: dict[str, tuple[int, ...]] = {}
        self._told: set[str] = set()
        # What people and programs know a record by, and whether it is an id.
        entity = layout.table.entity
        self._shown = {} if entity is None else _shown(entity)

    def take(self, part: Rows) -> None:
        """Checks a slice."""
        for line in part.blank:
            self._add("BlankLine", line)
        if not part.rows:
            return
        width = self._layout.width
        if set(map(len, part.rows)) != {width}:
            self._fit(part)
        cells: list[_Cells] = list(zip(*part.rows, strict=True))
        self._kept.begin(part.lines)
        for at, column in self._columns:
            self._column(column, cells[at], part.lines)
        if "status" in self._layout.at:
            self._status(cells[self._layout.at["status"]])
        for begin, end in self._periods:
            self._period(cells[self._layout.at[begin]], cells[self._layout.at[end]], part.lines, end)
        if self._subjects is not None:
            subjects, codes = self._subjects
            self._subject_codes(cells[subjects], cells[codes], part.lines)
        if part.long:
            self._lengths(part, cells)

    def _add(self, code: str, line: int = 0, column: str = "") -> None:
        self._report.add(Finding(code, self._file, line, column))

    def _once(self, code: str, line: int, column: str) -> None:
        if code not in self._told:
            self._told.add(code)
            self._add(code, line, column)

    def _fit(self, part: Rows) -> None:
        layout = self._layout
        for row, line in zip(part.rows, part.lines, strict=True):
            if len(row) < layout.width:
                if len(row) < layout.named:
                    self._add("ShortRow", line)
                row.extend([""] * (layout.width - len(row)))
            elif len(row) > layout.width:
                self._add("TooManyCells" if any(row[layout.width :]) else "LongRow", line)
                del row[layout.width :]

    def _column(self, column: Column, cells: _Cells, lines: Sequence[int]) -> None:
        name, kind = column.name, column.kind
        if kind is Kind.PASSWORD:
            if any(cells):
                self._once("PasswordPresent", 0, name)
            return
        self._needed(column, cells, lines)
        if kind is Kind.ID or kind is Kind.REF or name in _SHARED:
            self._kept.hashes(name, cells)
        elif kind is Kind.REFS:
            if any(cells):
                self._kept.many(name, cells, self._split)
        elif name == "role":
            self._kept.numbers(name, map(ROLES.__getitem__, cells))
        elif name == "primary":
            self._kept.numbers(name, map(BOOLEANS.get, cells, repeat(False)))
        elif name == "grades" and self._layout.table.name == "users":
            self._kept.numbers(name, map(bool, cells))
        elif name == "type":
            self._kept.numbers(name, [cell.strip().lower() == "school" for cell in cells])
        judge = self._judges.get(name)
        if judge is not None:
            self._judged(column, judge, cells, lines)
        elif name in self._shown and not "".join(cells).isascii():
            self._deceptive(column, cells, lines)

    def _deceptive(self, column: Column, cells: _Cells, lines: Sequence[int]) -> None:
        is_id = self._shown[column.name]
        for cell, line in zip(cells, lines, strict=True):
            if not cell.isascii():
                for code in deceptive(cell, is_id=is_id):
                    self._add(code, line, column.name)

    def _needed(self, column: Column, cells: _Cells, lines: Sequence[int]) -> None:
        need = column.need
        if column.kind is Kind.STATUS or column.kind is Kind.STAMP:
            if self._bulk:
                if any(cells):
                    self._once("StatusInBulk", lines[next(at for at, cell in enumerate(cells) if cell)], column.name)
                return
            need = "required" if column.kind is Kind.STATUS else "expected"
        if need != "optional" and "" in cells:
            code = "MissingRequired" if need == "required" else "MissingExpected"
            for cell, line in zip(cells, lines, strict=True):
                if not cell:
                    self._add(code, line, column.name)

    def _judged(self, column: Column, judge: _Judge, cells: _Cells, lines: Sequence[int]) -> None:
        good = self._good[column.name]
        if good.issuperset(cells):
            return
        odd: dict[str, str] = {}
        for value in set(cells) - good:
            code = judge(value)
            if code:
                odd[value] = code
            elif len(good) < _GOOD:
                good.add(value)
        if odd:
            for cell, line in zip(cells, lines, strict=True):
                if cell in odd:
                    self._add(odd[cell], line, column.name)

    def _split(self, cell: str) -> tuple[int, ...]:
        found = self._parted.get(cell)
        if found is None:
            found = tuple(map(hash, items(cell)))
            if len(self._parted) < _GOOD:
                self._parted[cell] = found
        return found

    def _status(self, cells: _Cells) -> None:
        if any(cells):
            first = self._kept.count - len(cells)
            self._kept.gone += [
                first + at
                for at, cell in enumerate(cells)
                if cell not in ("", "active") and STATUSES.get(cell.strip().lower()) == "tobedeleted"
            ]

    def _period(self, begins: _Cells, ends: _Cells, lines: Sequence[int], column: str) -> None:
        good = self._good_periods
        if good.issuperset(zip(begins, ends, strict=True)):
            return
        odd = {pair for pair in set(zip(begins, ends, strict=True)) - good if _turned(*pair)}
        if len(good) < _GOOD:
            good.update(set(zip(begins, ends, strict=True)) - odd)
        if odd:
            for pair, line in zip(zip(begins, ends, strict=True), lines, strict=True):
                if pair in odd:
                    self._add("EndBeforeBegin", line, column)

    def _subject_codes(self, subjects: _Cells, codes: _Cells, lines: Sequence[int]) -> None:
        for subject, code, line in zip(subjects, codes, lines, strict=True):
            if code and len(items(subject)) != len(items(code)):
                self._add("SubjectsDiffer", line, "subjectCodes")

    def _lengths(self, part: Rows, cells: list[_Cells]) -> None:
        for at, column in self._columns:
            limit, code = (MAX_ID, "IdTooLong") if column.kind in (Kind.ID, Kind.REF) else (MAX_TEXT, "TextTooLong")
            if max(map(len, cells[at])) > limit:
                for cell, line in zip(cells[at], part.lines, strict=True):
                    if len(cell) > limit:
                        self._add(code, line, column.name)
        for row, line in zip(part.rows, part.lines, strict=True):
            if sum(map(len, row)) > MAX_RECORD_BYTES:
                self._add("RecordTooLarge", line)
            metadata = {name: row[at] for at, name in self._layout.metadata if row[at]}
            if metadata and len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
                self._add("MetadataTooLarge", line)


def _shown(entity: Entity) -> dict[str, bool]:
    names = NAMES[entity]
    return {alias: is_id for attribute, _, is_id in FIELDS[entity] for alias in names[attribute]}


def _turned(begin: str, end: str) -> bool:
    if not begin or not end:
        return False
    (first, odd), (last, other) = date_cell(begin), date_cell(end)
    return "BadDate" not in (odd, other) and last < first


def _judge(column: Column) -> _Judge | None:
    """The code of what is wrong with a value that is not empty, or ""."""

    def word(value: str) -> str:
        found, standard = known(value, column.words)
        if not standard or (column.name == "roleType" and value.startswith("ext:")):
            return "RoleTypeUnknown" if column.name == "roleType" else "UnknownVocabulary"
        return "" if found == value else "VocabularyCase"

    def flag(value: str) -> str:
        if value in ("true", "false"):
            return ""
        return "BooleanSpelling" if value.strip().lower() in BOOLEANS else "BadBoolean"

    def status(value: str) -> str:
        if value in ("active", "tobedeleted"):
            return ""
        return "VocabularyCase" if value.strip().lower() in STATUSES else "BadStatus"

    def moment(value: str) -> str:
        try:
            stamp(value)
        except ValueError:
            return "BadTimestamp"
        return ""

    def year(value: str) -> str:
        return "" if len(value) == 4 and value.isascii() and value.isdigit() else "BadYear"

    def ids(value: str) -> str:
        return "" if _USER_IDS.fullmatch(value) and value[-1] == "}" else user_ids(value)[1]

    def a_day(value: str) -> str:
        return date_cell(value)[1]

    judges: dict[Kind, _Judge] = {
        Kind.WORD: word,
        Kind.FLAG: flag,
        Kind.STATUS: status,
        Kind.STAMP: moment,
        Kind.YEAR: year,
        Kind.DATE: a_day,
        Kind.USER_IDS: ids,
    }
    return judges.get(column.kind)
