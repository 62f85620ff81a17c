"""The server: HTTP/1.1 with threads, from sockets to answers.

It serves one district, which can be swapped while it runs, in the versions it was told to speak. It keeps no log and
reads nothing but its own district: it is a stand-in for a school's system, not a product.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from roster_sample_sis import shelves
from roster_sample_sis.exchanges import JSON_TYPE, TOKEN_PATH, Answer, Listing, Request, error, json_answer
from roster_sample_sis.faults import Fault, Faults
from roster_sample_sis.filters import FilterError, parse
from roster_sample_sis.renderings import Version
from roster_sample_sis.shelves import Cache, Shelf
from roster_sample_sis.tokens import TokenAuth, Tokens

if TYPE_CHECKING:
    from roster_sample_sis.districts import District

DEFAULT_LIMIT = 100
_SMALL = 1024
_PIECE = 1 << 16
_MOST_BODY = 1 << 16
_IDLE_SECONDS = 120
Extra = Callable[[Request, bytes], Answer | None]


@dataclass
class Stats:
    """What the server did so far. `by_path` counts requests by path without query, ids as `{id}`."""

    connections: int = 0
    refused_connections: int = 0
    requests: int = 0
    pages: int = 0
    records: int = 0
    bytes_sent: int = 0
    by_path: Counter[str] = field(default_factory=Counter[str])
    by_status: Counter[int] = field(default_factory=Counter[int])


class SampleSIS:
    """A OneRoster server in a thread of this process: a context manager, or `start` and `stop`.

    Serves `district` at `versions` ("1.1", "1.2" or both) to one client. `host` and `port` are where it listens
    (port 0: any free one). `public_url` is what references in records begin with, by default `.url`. Pages hold
    `max_limit` records at most: a larger limit is clamped. `cache_bytes` bounds the encoded records in memory,
    a quarter of it compressed pages.
    `tls` makes it HTTPS; `faults` are there from the start; `extra` answers further paths (None: not found).
    """

    def __init__(
        self,
        district: District,
        versions: Collection[Version | str] = tuple(Version),
        *,
        client_id: str = "sample-client",
        client_secret: str = "sample-secret",  # noqa: S107 - a stand-in's default
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str = "",
        max_limit: int = 10_000,
        token_lifetime: float = 3600,
        token_auth: Collection[TokenAuth] = tuple(TokenAuth),
        gzip: bool = True,
        cache_bytes: int = 1 << 30,
        tls: ssl.SSLContext | None = None,
        faults: Sequence[Fault] = (),
        extra: Extra | None = None,
    ) -> None:
        self.versions = tuple(Version(version) for version in versions)
        self.client_id = client_id
        self.client_secret = client_secret
        self.faults = Faults(faults)
        self.stats = Stats()
        scopes = [scope for version in self.versions for scope in version.scopes]
        self.tokens = Tokens(client_id, client_secret, scopes, lifetime=token_lifetime, accepts=token_auth)
        self.max_limit = max_limit
        self._gzip = gzip
        self._cache_bytes = cache_bytes
        self._extra = extra
        self._lock = threading.Lock()
        self._server = _Server((host, port), self, tls)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sample-sis", daemon=True)
        bound = self._server.server_address
        name = f"[{bound[0]!s}]" if ":" in str(bound[0]) else str(bound[0])
        self.url = f"{'http' if tls is None else 'https'}://{name}:{bound[1]}"
        self._public_url = public_url.rstrip("/") or self.url
        self._shelves: dict[Version, Shelf] = {}
        self._packed = Cache(cache_bytes // 4)
        self.swap(district)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def token_url(self) -> str:
        return self.url + TOKEN_PATH

    def endpoint(self, version: Version | str) -> str:
        """A version's whole base address, such as `http://127.0.0.1:40001/ims/oneroster/v1p1`."""
        return self.url + Version(version).path

    @property
    def district(self) -> District:
        return next(iter(self._shelves.values())).district

    def swap(self, district: District) -> None:
        """Serves another district from the next request on."""
        # Compressed pages have a room of their own, or a pull of millions would push them out with its records.
        blocks, packed = Cache(self._cache_bytes), Cache(self._cache_bytes // 4)
        ready = {
            version: Shelf(district, version, self._public_url + version.path, blocks) for version in self.versions
        }
        self._shelves, self._packed = ready, packed

    def warm(self) -> None:
        """Encodes all records now instead of when they are asked for."""
        for shelf in self._shelves.values():
            shelf.warm()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops listening, drops open connections and waits for the thread."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        self._server.drop_connections()
        if self._thread.ident is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # From a request to an answer.

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answers one request; header names are in lower case. Never raises for what a client sends."""
        split = urlsplit(target)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        scheme = self.url.partition("://")[0]
        origin = f"{scheme}://{headers.get('host') or self.url.partition('://')[2]}"
        request = self._route(Request(method, split.path, query, headers, origin, self.tokens))
        struck = self.faults.striking(request)
        answer = next((found for fault in struck if (found := fault.before(request)) is not None), None)
        if answer is None:
            answer = self._answer(request, body, struck)
        for fault in struck:
            fault.answer(request, answer)
        self._count(request, answer)
        return answer

    def _count(self, request: Request, answer: Answer) -> None:
        path = request.path if request.sourced_id is None else request.path.rpartition("/")[0] + "/{id}"
        with self._lock:
            self.stats.requests += 1
            self.stats.by_status[int(answer.status)] += 1
            # A client that asks for nonsense must not fill the memory.
            if len(self.stats.by_path) < 1000 or path in self.stats.by_path:
                self.stats.by_path[path] += 1

    def _route(self, request: Request) -> Request:
        """Finds out which version and collection a path means."""
        for version in self.versions:
            head, found, rest = request.path.partition(version.path + "/")
            if found and not head:
                path, _, sourced_id = rest.partition("/")
                collection = shelves.COLLECTIONS.get(path)
                if collection is not None and "/" not in sourced_id:
                    return replace(request, version=version, collection=collection, sourced_id=sourced_id or None)
                return replace(request, version=version)
        return request

    def _answer(self, request: Request, body: bytes, struck: Sequence[Fault]) -> Answer:
        if request.path == TOKEN_PATH:
            if request.method != "POST":
                return json_answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "invalid_request"})
            return self.tokens.answer(request.headers, body)
        if request.path == "/healthz":
            return Answer(HTTPStatus.OK, {"Content-Type": "text/plain; charset=utf-8"}, [b"ok\n"])
        if request.version is None:
            found = None if self._extra is None else self._extra(request, body)
            return found or error(HTTPStatus.NOT_FOUND, "There is nothing here.", "unknownobject", None)
        core, nested, demographics = request.version.scopes
        path = request.collection.path if request.collection else ""
        scope = nested if request.collection is None else demographics if path == "demographics" else core
        refusal = self.tokens.refusal(request.headers.get("authorization", ""), (scope,))
        if refusal is not None:
            status, why = refusal
            minor = "unauthorisedrequest" if status == HTTPStatus.UNAUTHORIZED else "forbidden"
            return error(status, why, minor, request.version)
        if request.collection is None:
            return error(HTTPStatus.NOT_FOUND, "There is no such collection.", "unknownobject", request.version)
        if request.method != "GET":
            return error(HTTPStatus.METHOD_NOT_ALLOWED, "This server only reads.", "forbidden", request.version)
        shelf = self._shelves[request.version]
        if request.sourced_id is not None:
            record = shelf.find(request.collection, request.sourced_id)
            if record is None:
                return error(HTTPStatus.NOT_FOUND, "There is no such record.", "unknownobject", request.version)
            head = f'{{"{request.collection.one}":'.encode()
            return Answer(HTTPStatus.OK, {"Content-Type": JSON_TYPE}, [head, record, b"}"])
        return self._page(request, request.collection, shelf, struck)

    def _page(self, request: Request, collection: shelves.Collection, shelf: Shelf, struck: Sequence[Fault]) -> Answer:
        def refuse(why: str, minor: str) -> Answer:
            return error(HTTPStatus.BAD_REQUEST, why, minor, request.version)

        query = request.query
        try:
            limit, offset = int(query.get("limit", DEFAULT_LIMIT)), int(query.get("offset", 0))
        except ValueError:
            return refuse("limit and offset are numbers", "invaliddata")
        if limit < 1 or offset < 0:
            return refuse("limit begins at 1 and offset at 0", "invaliddata")
        sort, order = query.get("sort", ""), query.get("orderBy", "asc").lower()
        if sort not in ("", "sourcedId", "dateLastModified") or order not in ("asc", "desc"):
            return refuse("this server sorts by sourcedId or dateLastModified", "invalid_sort_field")
        try:
            chosen = parse(query["filter"]) if query.get("filter") else None
        except FilterError as problem:
            return refuse(f"filter: {problem}", "invalid_filter_field")
        rows = shelf.view(collection, chosen, sort, descending=bool(sort) and order == "desc")
        listing = Listing(rows, offset, min(limit, self.max_limit), len(rows), request.origin)
        for fault in struck:
            fault.listing(request, listing)
        page = listing.page
        headers = {"Content-Type": JSON_TYPE}
        if listing.total is not None:
            headers["X-Total-Count"] = str(listing.total)
        links = _links(request, listing)
        if links:
            headers["Link"] = links
        with self._lock:
            self.stats.pages += 1
            self.stats.records += len(page)
        chosen_text = "" if chosen is None else chosen.text
        first = listing.offset + listing.skew
        key = (shelf.serial, collection.path, chosen_text, sort, order, first, len(page), len(rows))
        answer = Answer(HTTPStatus.OK, headers, key=key)
        if not struck and self._accepts_gzip(request.headers):
            found = self._packed.get(key)
            answer.packed = found if isinstance(found, bytes) else None
        if answer.packed is None:
            answer.body.append(f'{{"{collection.many}":['.encode())
            for index, part in enumerate(shelf.page(collection, page)):
                answer.body.extend((b",", part) if index else (part,))
            answer.body.append(b"]}")
        return answer

    def compressed(self, answer: Answer) -> bytes:
        """An answer's body as gzip, kept for the next time when the answer has a key."""
        if answer.packed is not None:
            return answer.packed
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        packed = b"".join([*map(packer.compress, answer.body), packer.flush()])
        if answer.key is not None:
            self._packed.put(answer.key, packed, len(packed))
        return packed

    def wants_gzip(self, headers: Mapping[str, str], answer: Answer) -> bool:
        """Whether to compress an answer: where the client takes it and it is worth it."""
        return answer.packed is not None or (answer.length >= _SMALL and self._accepts_gzip(headers))

    def _accepts_gzip(self, headers: Mapping[str, str]) -> bool:
        if not self._gzip:
            return False
        codings = [each.replace(" ", "").lower() for each in headers.get("accept-encoding", "").split(",")]
        return any(each.partition(";")[0] == "gzip" and not each.endswith(";q=0") for each in codings)

    def connected(self, *, taken: bool) -> None:
        with self._lock:
            self.stats.connections += 1
            self.stats.refused_connections += not taken

    def snapshot(self) -> Stats:
        """The counts so far, as they were at one moment."""
        with self._lock:
            return replace(self.stats, by_path=Counter(self.stats.by_path), by_status=Counter(self.stats.by_status))

    def sent(self, count: int) -> None:
        with self._lock:
            self.stats.bytes_sent += count


def _links(request: Request, listing: Listing) -> str:
    """The Link header: the request's own query with other offsets."""
    if listing.link_origin is None:
        return ""
    count, limit, offset = len(listing.rows), listing.limit, listing.offset
    targets: dict[str, int] = {}
    after = offset + limit if offset + limit < count else None
    after = after if listing.next_offset is None else listing.next_offset
    if after is not None:
        targets["next"] = after
    if offset > 0:
        targets["prev"] = max(0, offset - limit)
    targets["first"] = 0
    targets["last"] = max(0, (count - 1) // limit * limit)
    kept = [(key, value) for key, value in request.query.items() if key not in ("limit", "offset")]
    base = f"{listing.link_origin}{request.path}"
    return ", ".join(
        f'<{base}?{urlencode([*kept, ("limit", limit), ("offset", to)])}>; rel="{rel}"' for rel, to in targets.items()
    )


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sis: SampleSIS, tls: ssl.SSLContext | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sis = sis
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002 - the base class calls it
        taken = self.sis.faults.connect()
        self.sis.connected(taken=taken)
        if not taken and isinstance(request, socket.socket):
            _reset(request)
        return taken

    def finish_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.settimeout(_IDLE_SECONDS)
        if self._tls is not None:
            # In the connection's own thread: a client that dawdles over the handshake holds up nobody else.
            request = self._tls.wrap_socket(request, server_side=True)
        with self._open_lock:
            self._open.add(request)
        try:
            _Handler(request, client_address, self)
        finally:
            with self._open_lock:
                self._open.discard(request)
            if self._tls is not None:
                request.close()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Clients leave, handshakes fail: nothing to speak of. Anything else is a mistake in here, and shows."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def drop_connections(self) -> None:
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    """Closes with a reset, as a process that died does."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "SampleSIS"
    sys_version = ""

    def __init__(self, request: socket.socket, client_address: object, server: _Server) -> None:
        self._sis = server.sis
        super().__init__(request, client_address, server)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Says nothing: paths and addresses are nobody's business."""

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def _body(self) -> bytes | None:
        """The request's body; None when it is too large or badly announced."""
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            return None
        if self.headers.get("Transfer-Encoding") or not 0 <= length <= _MOST_BODY:
            return None
        return self.rfile.read(length)

    def _respond(self) -> None:
        headers = _lower(self.headers)
        body = self._body()
        if body is None:
            self.close_connection = True
            answer = json_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "a body of 64 kB or less, please"})
        else:
            answer = self._sis.handle(self.command, self.path, headers, body)
        if answer.delay:
            time.sleep(answer.delay)
        if answer.cut is not None and answer.cut < 0:
            self.close_connection = True
            _reset(self.connection)
            return
        pieces: Sequence[bytes | memoryview] = answer.body
        answer.headers["Vary"] = "Accept-Encoding"
        if self._sis.wants_gzip(headers, answer):
            pieces = (self._sis.compressed(answer),)
            answer.headers["Content-Encoding"] = "gzip"
        self._send(answer, pieces)

    def _send(self, answer: Answer, pieces: Sequence[bytes | memoryview]) -> None:
        length = sum(map(len, pieces))
        reason = http.client.responses.get(answer.status, "Unknown")
        lines = [f"HTTP/1.1 {answer.status} {reason}", f"Date: {self.date_time_string()}", "Server: SampleSIS"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines.append(f"Content-Length: {length}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        left = length if answer.cut is None else int(length * answer.cut)
        if answer.rate:
            self.connection.sendall(head)
            for piece in _limited(pieces, left):
                self._trickle(piece, answer.rate)
        else:
            for piece in _gathered([head, *_limited(pieces, left)]):
                self.connection.sendall(piece)
        self._sis.sent(left)
        if answer.cut is not None:
            self.close_connection = True
            _reset(self.connection)

    def _trickle(self, piece: bytes | memoryview, rate: int) -> None:
        step = max(1, rate // 10)
        for start in range(0, len(piece), step):
            self.connection.sendall(piece[start : start + step])
            time.sleep(0.1)


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _limited(pieces: Sequence[bytes | memoryview], left: int) -> list[bytes | memoryview]:
    kept: list[bytes | memoryview] = []
    for piece in pieces:
        if left <= 0:
            break
        kept.append(piece if len(piece) <= left else piece[:left])
        left -= len(piece)
    return kept


def _gathered(pieces: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """Small neighbours put together, so that they share a packet; large pieces as they are, uncopied."""
    gathered: list[bytes | memoryview] = []
    small: list[bytes | memoryview] = []
    for piece in pieces:
        if len(piece) < _PIECE:
            small.append(piece)
            continue
        if small:
            gathered.append(b"".join(small))
            small = []
        gathered.append(piece)
    if small:
        gathered.append(b"".join(small))
    return gathered
