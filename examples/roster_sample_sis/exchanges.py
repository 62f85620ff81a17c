"""What passes between the server and whatever bends its behaviour: a request, a listing, an answer.

Faults (and servers with odd habits) see exactly these three, one after the other, and may change them (of a request
its query).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from roster_sample_sis.renderings import Version

if TYPE_CHECKING:
    from roster_sample_sis.shelves import Collection
    from roster_sample_sis.tokens import Tokens

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """A request as the server understood it. `collection` is None outside flat collections; `sourced_id` is set
    for a read by id. `origin` is scheme and host as the client named them."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    origin: str
    tokens: Tokens
    version: Version | None = None
    collection: Collection | None = None
    sourced_id: str | None = None

    @property
    def name(self) -> str:
        """What a fault's `on` is compared with: the collection's path, "token", or the path itself."""
        if self.collection is not None:
            return self.collection.path
        return "token" if self.path == TOKEN_PATH else self.path

    @property
    def is_page(self) -> bool:
        return self.collection is not None and self.sourced_id is None


TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path


@dataclass
class Listing:
    """A page about to be read: `rows[offset + skew : offset + skew + limit]`.

    `total` None leaves X-Total-Count out. `next_offset` overrides where the next link points to; `link_origin`
    None leaves links out. `skew` moves the rows without moving what is said about them.
    """

    rows: Sequence[int]
    offset: int
    limit: int
    total: int | None
    link_origin: str | None
    skew: int = 0
    next_offset: int | None = None

    @property
    def page(self) -> Sequence[int]:
        start = max(self.offset + self.skew, 0)
        return self.rows[start : max(start, self.offset + self.skew + self.limit)]


@dataclass
class Answer:
    """An answer about to be sent. `body` is sent piece by piece.

    `cut` is the share of the body after which the connection is dropped; `delay` seconds pass before the first
    byte; `rate` bytes a second are sent at most. `key` names a body that may be kept compressed, `packed`
    is such a body, then in place of `body`:
    who changes a body sets `key` to None.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: list[bytes | memoryview] = field(default_factory=list[bytes | memoryview])
    cut: float | None = None
    delay: float = 0.0
    rate: int | None = None
    key: object = None
    packed: bytes | None = None

    @property
    def length(self) -> int:
        return sum(map(len, self.body))


def json_answer(status: int, value: object) -> Answer:
    """An answer with a small JSON body."""
    return Answer(status, {"Content-Type": JSON_TYPE}, [msgspec.json.encode(value)])


def error(status: int, description: str, code_minor: str, version: Version | None) -> Answer:
    """An error as the standard writes it: 1.2 nests the minor code, 1.1 has it as a string."""
    body: dict[str, object] = {
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": description,
    }
    if version is Version.V1_1:
        body["imsx_codeMinor"] = code_minor
    else:
        minor = {"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": code_minor}
        body["imsx_CodeMinor"] = {"imsx_codeMinorField": [minor]}
    answer = json_answer(status, body)
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="OneRoster"'
    return answer
