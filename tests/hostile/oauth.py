"""OAuth: what a token server answers instead of a token, or with one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.oneroster.fake_servers import SECRET, TOKEN, Answer, Asked, granted, listing

from roster_operator.oneroster.errors import Reason

from .bombs import bomb
from .cases import CANARY, Case, Outcome, Read, Refused
from .worlds import Pull, Wire, reply, slowly

FAMILY = "OAuth"
TAKEN = Read(25, "DistinctEqualsTotal")
NO_TOKEN = Refused(Reason.TOKEN_MALFORMED)
GZIP = {"Content-Encoding": "gzip"}
HTML = b"<!DOCTYPE html><title>" + CANARY.encode() + b"</title>"


def token(name: str, answer: Answer | Callable[[Asked], Answer], expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Pull(listing(25), answer, more=more), expect)


_NO_TOKENS: dict[str, Any] = {
    "a sign-in page": HTML,
    "nothing": b"",
    "plain text": TOKEN.encode(),
    "a form": b"access_token=" + TOKEN.encode() + b"&token_type=bearer",
    "null": b"null",
    "a list": [TOKEN],
    "a text": json.dumps(TOKEN).encode(),
    "a number": b"7",
    "cut JSON": b'{"access_token": "' + TOKEN.encode(),
    "depth 100,000": b"[" * 60_000,
    "invalid UTF-8": b'{"access_token": "\xff\xfe"}',
    "UTF-16": json.dumps({"access_token": TOKEN}).encode("utf-16"),
    "a lone surrogate": b'{"access_token": "\\ud800"}',
    "no access_token": {"token_type": "bearer", "error_description": SECRET},
    "a name in the place of the token": {"token": TOKEN},
    "a token of null": {"access_token": None},
    "an empty token": {"access_token": ""},
    "a token of blanks": {"access_token": "   "},
    "a token that is a number": {"access_token": 12345},
    "a token that is a list": {"access_token": [TOKEN]},
    "a token that is an object": {"access_token": {"value": TOKEN}},
    "a token with a newline": {"access_token": TOKEN + "\nX-Evil: 1"},
    "a token with CRLF": {"access_token": TOKEN + "\r\nX-Evil: 1"},
    "a token with NUL": {"access_token": TOKEN + "\0"},
    "a token with a blank": {"access_token": TOKEN + " x"},
    "a token with an escape code": {"access_token": "\x1b[31m" + TOKEN},
    "a token with an accent": {"access_token": TOKEN + "\u00e9"},
    "a token with a zero width joiner": {"access_token": TOKEN + "\u200d"},
    "a token of 20,000 letters": {"access_token": "a" * 20_000},
    "a MAC token": {"access_token": TOKEN, "token_type": "mac"},
    "a DPoP token": {"access_token": TOKEN, "token_type": "DPoP"},
    "a kind that is a list": {"access_token": TOKEN, "token_type": ["bearer"]},
    "a lifetime beyond every number": b'{"access_token": "x", "expires_in": 1e999}',
    "NaN as lifetime": b'{"access_token": "x", "expires_in": NaN}',
}
_LIFETIMES: list[Any] = [
    None, 0, -1, -(10**18), 10**18, 1e300, "soon", "", "3600", "3600s", True, [], {}, "nan", "inf", "-inf", 0.001,
    "\u0663\u0666", "9" * 5000,
]  # fmt: skip
_SCOPES: list[Any] = [None, "", "   ", [], {}, 5, [5], "roster-core.readonly", ["roster-core.readonly"], "x " * 10_000]


def _until(count: int, then: Answer) -> Callable[[Asked], Answer]:
    """A good token so often, and then something else."""
    left = itertools.count()
    return lambda _: granted() if next(left) < count else then


def _tired(status: int) -> Callable[[Asked], Answer]:
    """A good server whose second page refuses the token."""
    good = listing(25)
    return lambda asked: Answer(status, HTML) if asked.query["offset"] == "10" else good(asked)


def _basic_only(asked: Asked) -> Answer:
    return granted() if asked.headers.get("authorization", "").startswith("Basic ") else Answer(401, {"error": SECRET})


def _body_only(asked: Asked) -> Answer:
    return granted() if b"client_secret=" in asked.body else Answer(401, HTML)


def _scope_by_scope(asked: Asked) -> Answer:
    """Knows no demographics."""
    return Answer(400, {"error": "invalid_scope"}) if b"demographics" in asked.body else granted(scope="roster-core")


def _dated(minutes: int) -> Wire:
    """Refuses by a clock that is so far ahead."""
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True).encode()
    body = json.dumps({"error": "invalid_client", "error_description": SECRET}).encode()
    return Wire([], token=reply(body, b"Date: " + date, status=b"401 " + CANARY.encode()))


CASES = [
    *(token(f"instead of a token: {name}", Answer(body=body), NO_TOKEN) for name, body in _NO_TOKENS.items()),
    *(token(f"expires_in is {str(value)[:20]!r} ({type(value).__name__})", granted(expires_in=value), TAKEN)
      for value in _LIFETIMES),
    *(token(f"scope is {str(value)[:20]!r} ({type(value).__name__})", granted(scope=value),
    TAKEN) for value in _SCOPES),
    *(token(f"token_type is {value!r}", granted(token_type=value), TAKEN) for value in
      ["Bearer", "BEARER", "bearertoken", "", None]),
    *(token(f"{status} with a token", Answer(status, granted().body, {"Location": "/token2"}),
            Refused(Reason.REDIRECT_REFUSED)) for status in (300, 301, 302, 303, 304, 307, 308)),
    token("302 to another server", Answer(302, b"", {"Location": "{trap}/token"}), Refused(Reason.REDIRECT_REFUSED)),
    token("201 with a token", Answer(201, granted().body), TAKEN),
    token("202 with a token", Answer(202, granted().body), NO_TOKEN),
    token("204", Answer(204), NO_TOKEN),
    token("10 MB", Answer(body=b"x" * 10_000_000), Refused(Reason.BODY_TOO_LARGE)),
    token("a bomb", Answer(body=bomb(64), headers=GZIP), Refused(Reason.BODY_TOO_LARGE)),
    token("brotli", Answer(body=b"x", headers={"Content-Encoding": "br"}), Refused(Reason.BAD_COMPRESSION)),
    token("an endless answer", lambda _: Answer(chunks=itertools.repeat(b" " * 9_000)), Refused(Reason.BODY_TOO_LARGE)),
    token("an answer that drips", lambda _: Answer(chunks=slowly(itertools.repeat(b" "))),
          Refused(Reason.TIMED_OUT, retryable=True), retry_attempts=1),
    token("a client that is unknown", Answer(401, {"error": "invalid_client", "error_description": SECRET}),
          Refused(Reason.TOKEN_REJECTED)),
    token("a refusal with 200", Answer(200, {"error": "invalid_client"}), Refused(Reason.TOKEN_REJECTED)),
    token("a refusal that repeats the secret", Answer(400, {"error": SECRET, "error_description": SECRET}),
          Refused(Reason.TOKEN_REJECTED)),
    token("a refusal in HTML", Answer(403, HTML), Refused(Reason.TOKEN_REJECTED)),
    token("a refusal with escape codes", Answer(401, {"error": "\x1b[31m" + CANARY}), Refused(Reason.TOKEN_REJECTED)),
    token("every scope refused", Answer(400, {"error": "invalid_scope"}), Refused(Reason.SCOPE_MISSING)),
    token("the scope of demographics refused", _scope_by_scope, TAKEN),
    token("a server that knows Basic only", _basic_only, TAKEN),
    token("a server that knows the body only", _body_only, TAKEN),
    token("404", Answer(404, HTML), Refused(Reason.NOT_FOUND)),
    token("405", Answer(405, HTML), Refused(Reason.NOT_FOUND)),
    token("418", Answer(418, HTML), NO_TOKEN),
    token("429", Answer(429, HTML, {"Retry-After": "3600"}), Refused(Reason.THROTTLED, retryable=True)),
    token("500", Answer(500, {"error": SECRET}), Refused(Reason.SERVER_ERROR, retryable=True)),
    token("503 with escape codes", Answer(503, b"\x1b[2J"), Refused(Reason.SERVER_ERROR, retryable=True)),
    *(Case(FAMILY, f"a refusal by a clock {minutes} minutes off", _dated(minutes), Refused(Reason.CLOCK_SKEWED))
      for minutes in (-600, -10, 10, 600)),
    Case(FAMILY, "a refusal by a clock 2 minutes off", _dated(2), Refused(Reason.TOKEN_REJECTED)),
    token("a refusal by a clock that cannot be", Answer(401, HTML, {"Date": "Mon, 01 Jan 0001 00:00:00 +2359"}),
          Refused(Reason.TOKEN_REJECTED)),
    Case(FAMILY, "a token that ends in mid-pull, and no other", Pull(_tired(401), _until(1, Answer(401, HTML))),
         Refused(Reason.TOKEN_REJECTED, page=2)),
    Case(FAMILY, "a token that ends in mid-pull, then HTML", Pull(_tired(401), _until(1, Answer(body=HTML))),
         Refused(Reason.TOKEN_MALFORMED, page=2)),
    Case(FAMILY, "a token that ends in mid-pull, then a redirect",
         Pull(_tired(401), _until(1, Answer(302, b"", {"Location": "{trap}/token"}))),
         Refused(Reason.REDIRECT_REFUSED, page=2)),
    Case(FAMILY, "every token refused from page 2 on", Pull(_tired(401)), Refused(Reason.TOKEN_REJECTED, page=2)),
    Case(FAMILY, "403 instead of 401 from page 2 on", Pull(_tired(403)), Refused(Reason.FORBIDDEN, page=2)),
    Case(FAMILY, "a token that is granted for less than was asked",
         Pull(Answer(403, HTML), granted(scope="https://purl.imsglobal.org/spec/or/v1p1/scope/gradebook.readonly")),
         Refused(Reason.SCOPE_MISSING)),
]  # fmt: skip
