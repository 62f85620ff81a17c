"""OAuth 1: what is signed, checked by another implementation, and how a signature can be refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.oneroster.fake_servers import SECRET, Answer, Asked, listing
from tests.oneroster.vendors.signatures import METHODS, Gatekeeper

from roster_operator.oneroster.errors import Reason
from roster_operator.oneroster.oauth1 import base_string, signature

from .bombs import bomb
from .cases import CANARY, Case, Made, Outcome, Read, Refused, Seen
from .values import NAUGHTY
from .worlds import Answers, Pull, Wire, reply

FAMILY = "OAuth 1"
SIGNED: dict[str, Any] = {"auth": "OAuth1", "client_id": "an id % é", "client_secret": SECRET + "&='é"}
TAKEN = Read(25, "DistinctEqualsTotal")
REFUSED = Refused(Reason.CREDENTIALS_REJECTED)
SKEWED = Refused(Reason.CLOCK_SKEWED)
HTML = b"<!DOCTYPE html><title>" + CANARY.encode() + b"</title>"
Parameters = list[tuple[str, str]]


@dataclass(frozen=True)
class Base:
    """The base string of a request."""

    method: str
    url: str
    parameters: Parameters

    def observe(self) -> Seen:
        return Seen(Made(base_string(self.method, self.url, self.parameters)))


@dataclass(frozen=True)
class Signature:
    """The signature of a request."""

    method: str
    url: str
    parameters: Parameters
    secret: str

    def observe(self) -> Seen:
        return Seen(Made(signature(self.method, self.url, self.parameters, self.secret, hashlib.sha1)))


@dataclass(frozen=True)
class Signing:
    """Pulls, signed, from a server that checks each signature before it answers. query: on every request. refusal:
    what it answers to a signature that is wrong."""

    answer: Callable[[Asked], Answer] = field(default_factory=lambda: listing(25))
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    method: str = "HMAC-SHA256"
    known: tuple[str, ...] = tuple(METHODS)
    refusal: Answer = field(default_factory=lambda: Answer(401, HTML))
    more: dict[str, Any] = field(default_factory=dict)

    def observe(self) -> Seen:
        gate = Gatekeeper(SIGNED["client_id"], SIGNED["client_secret"], self.known)

        def answer(asked: Asked) -> Answer:
            return self.answer(asked) if gate.fault(asked) is None else self.refusal

        settings = SIGNED | {"signature_method": self.method, "query": self.query} | self.more
        return Pull(answer, more=settings).observe()


def case(name: str, answer: Answers, expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Pull(answer, more=SIGNED | more), expect)


_RFC = [
    ("oauth_consumer_key", "9djdj82h48djs9d2"), ("oauth_token", "kkk9d7dh3k39sjv7"),
    ("oauth_signature_method", "HMAC-SHA1"), ("oauth_timestamp", "137131201"), ("oauth_nonce", "7d8f3e4a"),
]  # fmt: skip
_INITIATE = [
    ("oauth_consumer_key", "dpf43f3p2l4k3l03"), ("oauth_signature_method", "HMAC-SHA1"),
    ("oauth_timestamp", "137131200"), ("oauth_nonce", "wIjqoS"),
    ("oauth_callback", "http://printer.example.com/ready"),
]  # fmt: skip
_RFC_BASE = (
    "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D"
    "%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1"
    "%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
)

# What RFC 5849 prints itself, section by section.
_VECTORS = [
    Case(FAMILY, "RFC 5849, 1.2: the signature of its first request", Signature(
        "POST", "https://photos.example.net/initiate", _INITIATE, "kd94hf93k423kf44"),
        Made("74KNZJeDHnMBp0EMJ9ZHt/XKycU=")),
    Case(FAMILY, "RFC 5849, 3.4.1.1: the base string", Base(
        "POST", "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", [("c2", ""), ("a3", "2 q"), *_RFC]),
        Made(_RFC_BASE)),
    *(Case(FAMILY, f"RFC 5849, {section}: {what}", Base("get", url, parameters), Made(made))
      for section, what, url, parameters, made in [
          ("3.4.1.2", "upper case and port 80", "http://EXAMPLE.COM:80/r%20v/X?id=123", [],
           "GET&http%3A%2F%2Fexample.com%2Fr%2520v%2FX&id%3D123"),
          ("3.4.1.2", "port 8080", "https://www.example.net:8080/?q=1", [],
           "GET&https%3A%2F%2Fwww.example.net%3A8080%2F&q%3D1"),
          ("3.4.1.2", "port 443", "https://www.example.net:443/", [], "GET&https%3A%2F%2Fwww.example.net%2F&"),
          ("3.4.1.3.1", "a blank and a plus", "http://e.org/?a=r%20b&c=2+q", [],
           "GET&http%3A%2F%2Fe.org%2F&a%3Dr%2520b%26c%3D2%2520q"),
          ("3.4.1.3.2", "names twice, sorted by value", "http://e.org/?a3=a&a3=2+q&a=1", [],
           "GET&http%3A%2F%2Fe.org%2F&a%3D1%26a3%3D2%2520q%26a3%3Da"),
          ("3.6", "what is escaped and what is not", "http://e.org/?a=-._~%21%2A%27%28%29%E2%98%83", [],
           "GET&http%3A%2F%2Fe.org%2F&a%3D-._~%2521%252A%2527%2528%2529%25E2%2598%2583"),
      ]),
]  # fmt: skip

_VALUES = [
    *(Case(FAMILY, f"a parameter of {what}", Signing(query={"note": text}), TAKEN) for what, text in NAUGHTY.items()),
    *(Case(FAMILY, f"a parameter named {name[:20]!r}", Signing(query={name: "1"}), TAKEN)
      for name in ["a b", "é", "a&b=c", "a[]", "filter'", "%41", "oauth", "Oauth_token", "+", "\u202e", "x" * 1_000]),
    *(Case(FAMILY, f"{method} with {what}", Signing(query={"schoolYear": "2026 2027", "q": "O'Neill é"}, method=method,
      known=(method,), more=more), TAKEN)
      for method in METHODS
      for what, more in [("pages of ten", {}), ("four requests at a time", {"max_concurrency": 4})]),
]  # fmt: skip


def _linked(target: str) -> Callable[[Asked], Answer]:
    """25 records, whose pages after the first are had by the server's own links alone."""

    def answer(asked: Asked) -> Answer:
        page = int(asked.query.get("page", 0))
        found = listing(25)(Asked("GET", asked.path, {"limit": "10", "offset": str(page * 10)}, {}, b""))
        if page < 2:
            found.headers["Link"] = f'<{asked.path}?page={page + 1}{target}>; rel="next"'
        return found

    return answer


_LINKS = [
    Case(FAMILY, f"Link next with {what}", Signing(_linked(target)), TAKEN)
    for what, target in {
        "a name twice": "&a=2&a=1",
        "a name twice, the same value": "&a=1&a=1",
        "names that differ in case": "&A=1&a=1",
        "a raw blank": "&a=x y",
        "a plus": "&a=x+y",
        "an escaped plus": "&a=x%2By",
        "a raw quote": "&filter=status='active'",
        "an escaped quote": "&filter=status%3D%27active%27",
        "raw letters beyond ASCII": "&a=é",
        "escaped letters beyond ASCII": "&a=%C3%A9%E2%82%AC",
        "escapes in lower case": "&a=%c3%a9%2f",
        "what is escaped twice": "&a=%252F",
        "no value": "&a=",
        "no equals sign": "&a",
        "no name": "&=1",
        "two ampersands": "&&a=1",
        "two equals signs": "&a=b=c",
        "a semicolon": "&a=1;b=2",
        "brackets": "&a[]=1&a[]=2",
        "braces and a bar": "&a={x|y}",
        "a token that we never had": "&oauth_token=x%20y",
        "a signature in its query": "&oauth_signature=x",
        "a nonce in its query": "&oauth_nonce=7d8f3e4a",
        "a hundred names": "".join(f"&p{number}={number}" for number in range(100)),
    }.items()
]

_PROBLEMS: dict[str, Outcome] = {
    "timestamp_refused": SKEWED,
    "signature_method_rejected": REFUSED,
    "signature_invalid": REFUSED,
    "consumer_key_unknown": REFUSED,
    "consumer_key_rejected": REFUSED,
    "version_rejected": REFUSED,
    "parameter_absent": REFUSED,
    "nonce_used": Refused(Reason.CREDENTIALS_REJECTED, retryable=True),
}


def _said(problem: str) -> dict[str, tuple[Any, dict[str, str]]]:
    """The three ways in which servers say it: body and headers."""
    return {
        "in its header": (HTML, {"WWW-Authenticate": f'OAuth realm="{CANARY}", oauth_problem="{problem}"'}),
        "as a form": (f"oauth_problem={problem}&oauth_problem_advice={SECRET}".encode(), {}),
        "as JSON": ({"oauth_problem": problem, "message": SECRET}, {}),
    }


def _dated(minutes: int, status: bytes) -> Wire:
    """Refuses by a clock that is so far ahead."""
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True).encode()
    return Wire([reply(HTML, b"Date: " + date, status=status)], more=SIGNED)


def _later(answer: Answer) -> Callable[[Asked], Answer]:
    """A good server whose second page is something else."""
    return lambda asked: answer if asked.query["offset"] == "10" else listing(25)(asked)


def _once(answer: Answer) -> Callable[[Asked], Answer]:
    """A server that answers so to the first try of each page, and well to the second."""
    asked_for: set[str] = set()

    def respond(asked: Asked) -> Answer:
        offset = asked.query["offset"]
        if offset == "0":
            first = "0" not in asked_for
            asked_for.clear()
        else:
            first = offset not in asked_for
        asked_for.add(offset)
        return answer if first else listing(25)(asked)

    return respond


_USED = Answer(401, {"oauth_problem": "nonce_used"})

_REFUSALS = [
    *(case(f"{status} {problem}, {way}", Answer(status, body, headers), expect)
      for problem, expect in _PROBLEMS.items()
      for way, (body, headers) in _said(problem).items()
      for status in (400, 401)),
    *(case(f"403 permission_denied, {way}", Answer(403, body, headers), Refused(Reason.FORBIDDEN))
      for way, (body, headers) in _said("permission_denied").items()),
    *(case(f"401 with {what}", answer, REFUSED) for what, answer in {
        "HTML": Answer(401, HTML),
        "nothing": Answer(401),
        "the secret as its problem": Answer(401, {"oauth_problem": SECRET}),
        "escape codes as its problem": Answer(401, b"oauth_problem=\x1b[2J" + CANARY.encode()),
        "a problem that is not known": Answer(401, b"oauth_problem=" + b"a" * 100_000),
        "problems without an end": Answer(401, b"oauth_problem" * 100_000),
        "a challenge for Basic": Answer(401, HTML, {"WWW-Authenticate": f'Basic realm="{CANARY}"'}),
        "a challenge of 60 kB": Answer(401, HTML, {"WWW-Authenticate": "OAuth " + 'a="b", ' * 8_000}),
        "10 MB": Answer(401, b"x" * 10_000_000),
        "a bomb": Answer(401, bomb(64), {"Content-Encoding": "gzip"}),
    }.items()),
    *(Case(FAMILY, f"{status} by a clock {minutes} minutes off", _dated(minutes, b"%d x" % status), SKEWED)
      for minutes in (-600, -10, 10, 600) for status in (400, 401, 403)),
    Case(FAMILY, "401 by a clock 2 minutes off", _dated(2, b"401 " + CANARY.encode()), REFUSED),
    Case(FAMILY, "403 by a clock 2 minutes off", _dated(-2, b"403 x"), Refused(Reason.FORBIDDEN)),
    Case(FAMILY, "a server that knows HMAC-SHA1 only", Signing(known=("HMAC-SHA1",)), REFUSED),
    Case(FAMILY, "a server that knows HMAC-SHA256 only", Signing(method="HMAC-SHA1", known=("HMAC-SHA256",)), REFUSED),
    Case(FAMILY, "another secret", Signing(more={"client_secret": SECRET}), REFUSED),
    Case(FAMILY, "another client id", Signing(more={"client_id": CANARY}), REFUSED),
    case("each nonce seen before at the first try", _once(_USED), TAKEN),
    *(case(f"page 2: {what}", _later(answer), expect) for what, answer, expect in [
        ("401", Answer(401, HTML), Refused(Reason.CREDENTIALS_REJECTED, page=2)),
        ("403", Answer(403, HTML), Refused(Reason.FORBIDDEN, page=2)),
        ("the time refused", Answer(401, b"oauth_problem=timestamp_refused"), Refused(Reason.CLOCK_SKEWED, page=2)),
        ("the time refused with 403", Answer(403, {"oauth_problem": "timestamp_refused"}),
         Refused(Reason.CLOCK_SKEWED, page=2)),
        ("a nonce seen before", _USED, Refused(Reason.CREDENTIALS_REJECTED, retryable=True, page=2)),
    ]),
    case("302 to another server, which would get the signature", Answer(302, b"", {"Location": "{trap}/orgs"}),
         Refused(Reason.REDIRECT_REFUSED)),
    case("an error that repeats the header", lambda asked: Answer(400, json.dumps(
         {"error": asked.headers["authorization"]}).encode()), Refused(Reason.REQUEST_REFUSED)),
    *(case(f"no {what}", listing(25), Refused(Reason.SETTINGS_INVALID, entity=None, page=None), **{name: ""})
      for what, name in [("client id", "client_id"), ("secret", "client_secret")]),
]  # fmt: skip

CASES = [*_VECTORS, *_VALUES, *_LINKS, *_REFUSALS]
