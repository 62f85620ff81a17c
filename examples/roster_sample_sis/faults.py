"""What goes wrong, one small object each, to be put together as a test needs them.

A fault strikes some requests: those to `on` (a collection's path or "token"; "" is any page of a collection), not the
first `after` of them, and `times` of them at most (None: all). When it strikes, its hooks are called in turn:

    before   may answer instead of the server
    listing  may change which rows are read and what the headers will say about them
    answer   may change what is sent, and how

`connect` is asked at each new connection. A server with odd habits is a list of such objects that never end.
"""

# ruff: noqa: ARG002 - a hook has the arguments of its kind, needed or not
from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from http import HTTPStatus
from typing import ClassVar, get_type_hints

import msgspec

from roster_sample_sis.exchanges import Answer, Listing, Request, error


@dataclass
class Fault:
    """The base: strikes as said above and changes nothing."""

    on: str = field(default="", kw_only=True)
    after: int = field(default=0, kw_only=True)
    times: int | None = field(default=None, kw_only=True)
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)
    # Strikes only pages of collections unless `on` says otherwise.
    name: ClassVar[str] = ""

    def concerns(self, request: Request) -> bool:
        """Whether this fault looks at such a request at all."""
        return request.name == self.on if self.on else request.is_page

    def strikes(self, request: Request) -> bool:
        """Counts the request and says whether this one is hit. Called once a request, under a lock."""
        if not self.concerns(request):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True

    def connect(self) -> bool:
        """False refuses a new connection."""
        return True

    def before(self, request: Request) -> Answer | None:
        """An answer instead of the server's own."""
        return None

    def listing(self, request: Request, listing: Listing) -> None:
        """Changes the page that will be read."""

    def answer(self, request: Request, answer: Answer) -> None:
        """Changes the answer."""


@dataclass
class Die(Fault):
    """The server dies at the page after `after` pages, refuses `connections` new connections, then recovers."""

    connections: int = 3
    times: int | None = field(default=1, kw_only=True)
    name: ClassVar[str] = "die"
    dead: bool = field(default=False, init=False)
    refused: int = field(default=0, init=False)

    def strikes(self, request: Request) -> bool:
        if self.dead:
            return True
        struck = super().strikes(request)
        self.dead, self.refused = struck and self.connections > 0, 0
        return struck

    def connect(self) -> bool:
        if not self.dead:
            return True
        if self.refused >= self.connections:
            self.dead = False
            return True
        self.refused += 1
        return False

    def before(self, request: Request) -> Answer | None:
        return Answer(HTTPStatus.OK, cut=-1.0)


@dataclass
class Refuse(Fault):
    """Answers `status` (500, 503, 429, 403 …), with Retry-After when `retry_after` (seconds or a date) is set."""

    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    retry_after: str = ""
    name: ClassVar[str] = "refuse"

    def before(self, request: Request) -> Answer | None:
        minor = {403: "forbidden", 429: "server_busy", 503: "server_busy"}.get(self.status, "internal_server_error")
        answer = error(self.status, "This was asked for by a test.", minor, request.version)
        if self.retry_after:
            answer.headers["Retry-After"] = self.retry_after
        return answer


@dataclass
class ForbidDemographics(Refuse):
    """403 for demographics, as for a client without the permission."""

    on: str = field(default="demographics", kw_only=True)
    status: int = HTTPStatus.FORBIDDEN
    name: ClassVar[str] = "forbid-demographics"


@dataclass
class Html(Fault):
    """200 and a page for people, such as a login form."""

    text: str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"
    name: ClassVar[str] = "html"

    def before(self, request: Request) -> Answer | None:
        return Answer(HTTPStatus.OK, {"Content-Type": "text/html; charset=utf-8"}, [self.text.encode()])


@dataclass
class Cut(Fault):
    """The connection drops after `share` of the body."""

    share: float = 0.5
    name: ClassVar[str] = "cut"

    def answer(self, request: Request, answer: Answer) -> None:
        answer.cut = self.share


@dataclass
class Slow(Fault):
    """`seconds` pass before an answer; then `rate` bytes a second are sent at most (None: as fast as can be)."""

    seconds: float = 1.0
    rate: int | None = None
    name: ClassVar[str] = "slow"

    def answer(self, request: Request, answer: Answer) -> None:
        answer.delay, answer.rate = self.seconds, self.rate


@dataclass
class LoseRecord(Fault):
    """After the first page a record before it goes away, so that the rows move up and one is never listed.

    `honest` lowers the total with it: then only the change of the total gives it away."""

    honest: bool = False
    name: ClassVar[str] = "lose-record"

    def listing(self, request: Request, listing: Listing) -> None:
        if listing.offset > 0:
            listing.skew += 1
            if self.honest and listing.total is not None:
                listing.total -= 1


@dataclass
class RepeatRecord(Fault):
    """After the first page a record is put in before it, so that the rows move down and one is listed twice."""

    honest: bool = False
    name: ClassVar[str] = "repeat-record"

    def listing(self, request: Request, listing: Listing) -> None:
        if listing.offset > 0:
            listing.skew -= 1
            if self.honest and listing.total is not None:
                listing.total += 1


@dataclass
class WrongTotal(Fault):
    """X-Total-Count is wrong `by` so many."""

    by: int = 1
    name: ClassVar[str] = "wrong-total"

    def listing(self, request: Request, listing: Listing) -> None:
        if listing.total is not None:
            listing.total = max(0, listing.total + self.by)


@dataclass
class NoTotal(Fault):
    """No X-Total-Count; with `links` False no Link either."""

    links: bool = True
    name: ClassVar[str] = "no-total"

    def listing(self, request: Request, listing: Listing) -> None:
        listing.total = None
        if not self.links:
            listing.link_origin = None


@dataclass
class Empty(Fault):
    """200, an empty list and a total of 0."""

    name: ClassVar[str] = "empty"

    def listing(self, request: Request, listing: Listing) -> None:
        listing.rows, listing.total = (), 0


@dataclass
class IgnoreFilter(Fault):
    """The filter is read and forgotten: every record comes."""

    name: ClassVar[str] = "ignore-filter"

    def before(self, request: Request) -> Answer | None:
        request.query.pop("filter", None)
        return None


@dataclass
class RefuseFilter(Fault):
    """400 to a request with a filter."""

    name: ClassVar[str] = "refuse-filter"

    def before(self, request: Request) -> Answer | None:
        if "filter" not in request.query:
            return None
        return error(HTTPStatus.BAD_REQUEST, "This server has no filters.", "invalid_filter_field", request.version)


@dataclass
class EmptyFilter(Fault):
    """An empty list and a total of 0 to a request with a filter, whatever it asks for."""

    name: ClassVar[str] = "empty-filter"

    def listing(self, request: Request, listing: Listing) -> None:
        if "filter" in request.query:
            listing.rows, listing.total = (), 0


@dataclass
class ExpireTokens(Fault):
    """Once, at the page after `after` pages, all tokens given out so far have expired; `status` is what is said."""

    status: int = HTTPStatus.UNAUTHORIZED
    times: int | None = field(default=1, kw_only=True)
    name: ClassVar[str] = "expire-tokens"

    def before(self, request: Request) -> Answer | None:
        request.tokens.expire(self.status)
        return None


@dataclass
class IgnoreLimit(Fault):
    """Pages have `size` records, whatever was asked for."""

    size: int = 100
    name: ClassVar[str] = "ignore-limit"

    def listing(self, request: Request, listing: Listing) -> None:
        listing.limit = self.size


@dataclass
class ForeignNext(Fault):
    """Links name another host."""

    origin: str = "http://localhost:9"
    name: ClassVar[str] = "foreign-next"

    def listing(self, request: Request, listing: Listing) -> None:
        listing.link_origin = self.origin


@dataclass
class EndlessNext(Fault):
    """There is always a next link. Past the end the first page comes again, or an empty list with `empty`."""

    empty: bool = False
    name: ClassVar[str] = "endless-next"

    def listing(self, request: Request, listing: Listing) -> None:
        listing.next_offset = listing.offset + listing.limit
        if listing.offset >= len(listing.rows) and not self.empty:
            listing.skew = -listing.offset


@dataclass
class Rekey(Fault):
    """Gives records other sourcedIds: `of` at the beginning of each becomes `to`, wherever one is named (PER: people,
    ENR: enrollments, SEC: classes, CRS: courses, ORG: orgs)."""

    of: str = "PER"
    to: str = "ANEW"
    name: ClassVar[str] = "rekey"

    def answer(self, request: Request, answer: Answer) -> None:
        body = b"".join(answer.body)
        answer.body, answer.key = [re.sub(rb"\b%s(?=\d)" % self.of.encode(), self.to.encode(), body)], None


KINDS: Mapping[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        Die,
        Refuse,
        ForbidDemographics,
        Html,
        Cut,
        Slow,
        LoseRecord,
        RepeatRecord,
        WrongTotal,
        NoTotal,
        Empty,
        IgnoreFilter,
        RefuseFilter,
        EmptyFilter,
        ExpireTokens,
        IgnoreLimit,
        ForeignNext,
        EndlessNext,
        Rekey,
    )
}


def decode(value: object) -> Fault:
    """A fault from `{"fault": "slow", "seconds": 2}`. Raises ValueError for an unknown name or field."""
    if not isinstance(value, dict):
        raise ValueError('a fault is an object with a "fault"')  # noqa: TRY004 - the caller answers 400 to ValueError
    options = {str(key): item for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    kind = KINDS.get(str(options.pop("fault", "")))
    if kind is None:
        raise ValueError(f'"fault" is one of {", ".join(KINDS)}')
    known = {each.name: each for each in fields(kind) if each.init}
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise ValueError(f"{kind.name} has no {', '.join(unknown)}: it has {', '.join(known)}")
    hints = get_type_hints(kind)
    try:
        return kind(**{name: msgspec.convert(item, hints[name]) for name, item in options.items()})
    except msgspec.ValidationError as problem:
        raise ValueError(str(problem)) from None


def encode(fault: Fault) -> dict[str, object]:
    """A fault as `decode` reads it, and how many requests it has seen and struck."""
    return {"fault": fault.name, **asdict(fault)}


class Faults:
    """The faults of one server; changed at any time, from any thread."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = list(faults)
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults.extend(faults)

    def set(self, *faults: Fault) -> None:
        """These and no others."""
        with self._lock:
            self._faults = list(faults)

    def clear(self) -> None:
        self.set()

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._faults))

    def striking(self, request: Request) -> list[Fault]:
        """The faults that strike this request; counts it."""
        if not self._faults:
            return []
        with self._lock:
            return [fault for fault in self._faults if fault.strikes(request)]

    def connect(self) -> bool:
        """Whether a new connection is taken."""
        with self._lock:
            taken = [fault.connect() for fault in self._faults]
            return all(taken)
