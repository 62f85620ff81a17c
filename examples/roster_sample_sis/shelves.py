"""A district's records, ready to be sent: blocks of encoded records, and the order in which a listing reads them.

A page is a few slices of blocks: no record is encoded twice while it stays in the cache, none is copied when it is
sent. Blocks are rendered when somebody asks, and the least used go when the cache is full. Knows no HTTP.
"""

from __future__ import annotations

import itertools
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from roster_sample_sis.districts import District, Role
from roster_sample_sis.renderings import Rendering, Version

if TYPE_CHECKING:
    from roster_sample_sis.filters import Filter

BLOCK = 4096
_VIEWS = 32
_serial = itertools.count()


class Collection(NamedTuple):
    """A flat collection: the table it reads, the JSON key around its list and around a single record."""

    path: str
    table: str
    many: str
    one: str
    # (attribute, value) of the rows it shows; None shows all.
    only: tuple[str, str] | None = None


COLLECTIONS = {
    each.path: each
    for each in (
        Collection("orgs", "orgs", "orgs", "org"),
        Collection("schools", "orgs", "orgs", "org", ("type", "school")),
        Collection("academicSessions", "academicSessions", "academicSessions", "academicSession"),
        Collection("terms", "academicSessions", "academicSessions", "academicSession", ("type", "term")),
        Collection(
            "gradingPeriods", "academicSessions", "academicSessions", "academicSession", ("type", "gradingPeriod")
        ),
        Collection("courses", "courses", "courses", "course"),
        Collection("classes", "classes", "classes", "class"),
        Collection("users", "users", "users", "user"),
        Collection("students", "users", "users", "user", ("role", Role.STUDENT)),
        Collection("teachers", "users", "users", "user", ("role", Role.TEACHER)),
        Collection("enrollments", "enrollments", "enrollments", "enrollment"),
        Collection("demographics", "demographics", "demographics", "demographics"),
    )
}


class Cache:
    """Values by key, the least recently used dropped beyond `limit` bytes. Safe between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._values: OrderedDict[object, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> object | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: object, value: object, size: int) -> None:
        with self._lock:
            if key in self._values:
                return
            self._values[key] = (value, size)
            self._size += size
            while self._size > self._limit and len(self._values) > 1:
                _, (_, freed) = self._values.popitem(last=False)
                self._size -= freed

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size


class Block(NamedTuple):
    """Records joined by commas; record i is `data[starts[i]:starts[i + 1] - 1]`."""

    data: bytes
    starts: array[int]


class Shelf:
    """One district in one version, to be read by collection, position and sourcedId."""

    def __init__(self, district: District, version: Version, base: str, cache: Cache) -> None:
        self.district = district
        self.version = version
        # What its cached pages are known by: id() is given out again, this is not.
        self.serial = next(_serial)
        self._rendering = Rendering(district, version, base)
        self._cache = cache
        self._views: OrderedDict[tuple[str, str, str, bool], Sequence[int]] = OrderedDict()
        self._lock = threading.Lock()
        self._tables: dict[str, Sequence[object]] = {
            "orgs": district.orgs,
            "academicSessions": district.sessions,
            "courses": district.courses,
            "classes": district.classes,
            "users": district.users,
            "demographics": district.demographics,
        }

    def _length(self, table: str) -> int:
        return len(self.district.enrollments) if table == "enrollments" else len(self._tables[table])

    def _block(self, table: str, index: int) -> Block:
        key = (self.serial, table, index)
        found = self._cache.get(key)
        if isinstance(found, Block):
            return found
        start = index * BLOCK
        records = self._rendering.records(table, start, min(start + BLOCK, self._length(table)))
        starts = array("I", accumulate((len(record) + 1 for record in records), initial=0))
        block = Block(b",".join(records), starts)
        self._cache.put(key, block, len(block.data) + 4 * len(starts))
        return block

    def record(self, table: str, row: int) -> bytes:
        """One record."""
        block = self._block(table, row // BLOCK)
        return block.data[block.starts[row % BLOCK] : block.starts[row % BLOCK + 1] - 1]

    def _slices(self, table: str, start: int, stop: int) -> list[memoryview]:
        parts: list[memoryview] = []
        while start < stop:
            index, inside = divmod(start, BLOCK)
            block = self._block(table, index)
            end = min(stop - index * BLOCK, BLOCK)
            parts.append(memoryview(block.data)[block.starts[inside] : block.starts[end] - 1])
            start = index * BLOCK + end
        return parts

    def view(
        self, collection: Collection, chosen: Filter | None, sort: str = "", *, descending: bool = False
    ) -> Sequence[int]:
        """The rows of a listing in its order. `sort` is "", "sourcedId" or "dateLastModified"."""
        if collection.only is None and chosen is None and not descending and sort != "dateLastModified":
            return range(self._length(collection.table))
        key = (collection.path, "" if chosen is None else chosen.text, sort, descending)
        with self._lock:
            known = self._views.get(key)
            if known is not None:
                self._views.move_to_end(key)
                return known
        rows = self._rows(collection, chosen)
        if sort == "dateLastModified":
            rows = sorted(rows, key=self._modified(collection.table), reverse=descending)
        elif descending:
            rows = rows[::-1]
        # Rows in one piece stay a range: a page of them is one slice a block.
        if rows and not descending and sort != "dateLastModified" and rows[-1] - rows[0] + 1 == len(rows):
            view: Sequence[int] = range(rows[0], rows[-1] + 1)
        else:
            view = array("I", rows)
        with self._lock:
            self._views[key] = view
            while len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return view

    def _modified(self, table: str) -> Callable[[int], int]:
        if table == "enrollments":
            return self.district.enrollments.modified.__getitem__
        values: list[int] = list(map(attrgetter("modified"), self._tables[table]))
        return values.__getitem__

    def _rows(self, collection: Collection, chosen: Filter | None) -> list[int]:
        table = collection.table
        rows: list[int] = list(range(self._length(table)))
        if collection.only is not None:
            attribute, value = collection.only
            values = list(map(attrgetter(attribute), self._tables[table]))
            rows = [row for row in rows if values[row] == value]
        if chosen is None:
            return rows
        if chosen.only_modified:
            modified = self._modified(table)
            return [row for row in rows if chosen.matches_instant(modified(row))]
        return [row for row in rows if chosen.matches_record(self.record(table, row))]

    def page(self, collection: Collection, rows: Sequence[int]) -> list[memoryview]:
        """Rows of a view as pieces of JSON, to be joined by commas."""
        if isinstance(rows, range) and rows.step == 1:
            return self._slices(collection.table, rows.start, rows.stop)
        parts: list[memoryview] = []
        run = 0
        for index in range(1, len(rows) + 1):
            if index == len(rows) or rows[index] != rows[index - 1] + 1:
                parts += self._slices(collection.table, rows[run], rows[index - 1] + 1)
                run = index
        return parts

    def find(self, collection: Collection, sourced_id: str) -> bytes | None:
        """The record of that sourcedId in a collection; None when there is none."""
        prefix, digits = sourced_id[:3], sourced_id[3:]
        if not (digits.isascii() and digits.isdigit()):
            return None
        number, table = int(digits), collection.table
        if table == "enrollments":
            numbers = self.district.enrollments.number
            row = bisect_left(numbers, number)
            if row == len(numbers) or numbers[row] != number or sourced_id != f"ENR{number:010d}":
                return None
            return self.record(table, row)
        rows = self._tables[table]
        row = bisect_left(rows, number, key=attrgetter("number"))
        if row == len(rows) or getattr(rows[row], "sourced_id") != prefix + digits:  # noqa: B009
            return None
        if collection.only is not None and getattr(rows[row], collection.only[0]) != collection.only[1]:
            return None
        return self.record(table, row)

    def warm(self) -> None:
        """Renders everything once, as far as the cache holds it."""
        for table in (*self._tables, "enrollments"):
            for index in range(-(-self._length(table) // BLOCK)):
                self._block(table, index)
