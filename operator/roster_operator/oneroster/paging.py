"""Walking through a collection page by page, and proving that nothing was missed. Pure: no network.

Servers disagree about everything here: they clamp limits silently, leave out totals, count wrongly,
repeat pages, link to other hosts, and answer anything past the end. So a walk goes by offset, adds
what it really received, and ends only where nothing new comes. A server's total is never a reason to
stop early: one that counts the page instead of the collection would hide a district's people.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec
import numpy as np
import xxhash

from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Response, same_origin
from .proof import ERROR_PAST_THE_END, NO_NEW_ID, Completeness, PullReport, completeness

__all__ = [
    "ERROR_PAST_THE_END",
    "LIMITS",
    "Completeness",
    "Next",
    "Page",
    "PullReport",
    "Walk",
    "completeness",
    "page_url",
    "peek",
]

Raw = bytes | memoryview | msgspec.Raw

LIMITS = (1000, 500, 100)
_MAX_PAGES = 200_000
_PAST_THE_END = frozenset({400, 404, 405, 410, 416, 422, 500, 502, 503, 504})


class Page(msgspec.Struct, frozen=True):
    """One page: number from 1, the offset it began at, its records (slices of one body), and the total
    that the server gave with it, if any. lines: of a file's records, the line (from 1) where each begins;
    file: which, where it is not the entity's own."""

    number: int
    offset: int
    records: Sequence[Raw]
    total: int | None
    lines: Sequence[int] | None = None
    file: str | None = None


class _IdOnly(msgspec.Struct):
    sourcedId: str | None = None  # noqa: N815 (the standard's name)


_peek = msgspec.json.Decoder(_IdOnly).decode


def peek(record: msgspec.Raw) -> int:
    """A 64-bit hash of a record's sourcedId; of the whole record when it has none that can be read."""
    try:
        sourced_id = _peek(record).sourcedId
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        sourced_id = None
    return xxhash.xxh3_64_intdigest(bytes(record) if sourced_id is None else sourced_id.encode())


class _Seen:
    """Which ids have come: 8 bytes each."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, dtype=np.uint64)

    def add(self, hashes: list[int]) -> int:
        """Notes ids; how many of them are new."""
        fresh = np.unique(np.array(hashes, dtype=np.uint64))
        before = len(self._sorted)
        self._sorted = np.union1d(self._sorted, fresh)
        return len(self._sorted) - before

    def equals(self, other: "_Seen") -> bool:
        return np.array_equal(self._sorted, other._sorted)


@dataclass(frozen=True, slots=True)
class Next:
    """Where the next page is: by offset, or at a link of the server's."""

    offset: int
    link: str | None = None


class Walk:
    """One walk through a collection, or through what a filter chooses of it. Ask `due` where to go, give every
    answer to `take`."""

    def __init__(self, entity: Entity, limit: int, chosen: str | None = None) -> None:
        self.entity = entity
        self.limit = limit
        self.chosen = chosen
        self.due: Next | None = Next(0)
        self.pages = 0
        self.records = 0
        self.total: int | None = None
        self.ended_by: str | None = None
        self._total_changed = False
        self._revision: str | None = None
        self._revision_changed = False
        self._largest = 0
        self.last = 0
        self._signatures: set[tuple[int, int, int]] = set()
        self._links: set[str] = set()
        self._seen: _Seen | None = None
        self._looks_agree: bool | None = None

    def report(self) -> PullReport:
        return PullReport(
            self.entity,
            self.pages,
            self.records,
            self.total,
            self.ended_by,
            self._total_changed,
            self._revision_changed,
            self._largest,
            looks_agree=self._looks_agree,
        )

    def needs_second_look(self) -> bool:
        """Whether it came to its end and showed records, but no total to prove that they are all."""
        return self.ended_by is not None and self.total is None and self._seen is not None

    def second_limit(self) -> int:
        """A page size that puts the ends of pages elsewhere."""
        return max(1, self._largest * 3 // 4)

    def compare(self, second: "Walk | None") -> None:
        """Notes what a second walk showed; None for one that failed, which says nothing."""
        if second is None or self._seen is None:
            return
        self._looks_agree = (
            second.ended_by is not None
            and second.total is None
            and second.records == self.records
            and second._seen is not None
            and self._seen.equals(second._seen)
        )

    def at_end(self) -> bool:
        """Whether what was received is all the server spoke of: the next page should be empty."""
        return self.total is not None and self.records >= self.total

    def lower_limit(self) -> bool:
        """After a refused first page: whether a smaller limit is left to try."""
        if self.records or self.due != Next(0):
            return False
        for limit in LIMITS:
            if limit < self.limit:
                self.limit = limit
                return True
        return False

    def ends_at(self, status: int) -> bool:
        """Whether an error status here means "past the end" rather than a failure."""
        if not self.records:
            return False
        if status in (404, 410):
            return True
        short = self.last < max(self._largest, 1) or (self.pages == 1 and self.last < self.limit)
        return status in _PAST_THE_END and (self.at_end() if self.total is not None else short)

    def end(self, by: str) -> None:
        self.ended_by = by
        self.due = None

    def take(self, response: Response, records: list[msgspec.Raw]) -> Page | None:
        """Notes a page; None when it held nothing new and is not to be used."""
        at = self.due
        assert at is not None
        total = _total(response)
        count = len(records)
        # Past the end some servers answer a total of 0, as if the collection were gone.
        self._note(None if self.records and not count and total == 0 else total, response.headers.get("x-perm-rev"))
        if count == 0:
            self.end("no content" if response.status == 204 else "empty page")
            return None
        if self._repeats(records):
            if at.link is not None:  # a link that leads back, as one that dropped its place does: by offset, then
                self.due = Next(at.offset)
            else:
                self.end(NO_NEW_ID)
            return None
        full = self._largest
        self.pages += 1
        self.records += count
        self.last = count
        self._largest = max(full, count)
        page = Page(self.pages, at.offset, records, total)
        self._go_on(response, at, count, full)
        return page

    def _note(self, total: int | None, revision: str | None) -> None:
        if total is not None:
            if self.total is not None and total != self.total:
                self._total_changed = True
            self.total = total
        if revision is not None:
            self._revision_changed = self._revision_changed or self._revision not in (None, revision)
            self._revision = revision

    def _repeats(self, records: list[msgspec.Raw]) -> bool:
        signature = (peek(records[0]), peek(records[-1]), len(records))
        if signature in self._signatures:
            return True
        self._signatures.add(signature)
        if self.total is not None:
            return False
        # Without a total only the ids themselves show that a listing goes in circles.
        self._seen = self._seen or _Seen()
        return self._seen.add([peek(record) for record in records]) == 0

    def _go_on(self, response: Response, at: Next, count: int, full: int) -> None:
        if self.pages >= _MAX_PAGES or (self.total is not None and self.records > 2 * self.total + 10 * self._largest):
            raise OneRosterError(
                Reason.LISTING_UNSTABLE,
                "The listing does not end: far more records came than the server says it has.",
                "Try again when the SIS is idle; if it stays, ask the vendor.",
                retryable=True,
                entity=self.entity,
                page=self.pages,
            )
        link = _next_link(response)
        if link is not None and link not in self._links and not _has_offset(link):
            self._links.add(link)
            self.due = Next(at.offset + count, link)
        elif at.link is not None and link is None:
            self.end("no next link")
        elif self.total is not None and self.records == self.total and 0 < count < full:
            # Shorter than a page that this server gave before, and exactly the total: surely the last.
            self.end("total")
        else:
            self.due = Next(at.offset + count)


def _total(response: Response) -> int | None:
    value = response.headers.get("x-total-count", "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 10 else None


_LINK = re.compile(r'<([^<>]{1,4000})>\s*((?:;\s*[\w*]+\s*=\s*(?:"[^"]*"|[^",;\s]*)\s*)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^";,\s]+))', re.IGNORECASE)


def _next_link(response: Response) -> str | None:
    """The server's link to the next page, when it stays within its own origin."""
    for target, parameters in _LINK.findall(response.headers.get("link", "")[:16_384]):
        rel = _REL.search(parameters)
        if rel is not None and "next" in (rel[1] or rel[2] or "").lower().split():
            return same_origin(response.url, target.strip())
    return None


def _has_offset(link: str) -> bool:
    """A link by offset says nothing we do not know better: after a clamped limit some skip records."""
    return "offset" in parse_qs(urlsplit(link).query)


def page_url(
    base: str, entity: Entity, limit: int, offset: int, chosen: str | None = None, more: Mapping[str, str] | None = None
) -> str:
    """The address of one page. base: the version's base address, without a slash at the end. chosen: a filter.
    more: parameters that the connection adds."""
    query: dict[str, str | int] = {**(more or {}), "limit": limit, "offset": offset}
    if chosen is not None:
        query["filter"] = chosen
    return f"{base}/{entity.value}?{urlencode(query, quote_via=quote, safe='')}"
