"""Bearer: a static key that cannot be sent, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.oneroster.fake_servers import SECRET, TOKEN, Answer, Asked, listing

from roster_operator.oneroster.errors import Reason

from .cases import CANARY, Case, Outcome, Read, Refused
from .worlds import Answers, Pull

FAMILY = "Bearer"
KEYED: dict[str, Any] = {"auth": "Bearer", "token": TOKEN}
HTML = b"<!DOCTYPE html><title>" + CANARY.encode() + b"</title>"
REFUSED = Refused(Reason.CREDENTIALS_REJECTED)
UNSENDABLE = Refused(Reason.SETTINGS_INVALID, entity=None, page=None)
TAKEN = Read(25, "DistinctEqualsTotal")


def case(name: str, answer: Answers, expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, name, Pull(answer, more=KEYED | more), expect)


def _checking(key: str) -> Callable[[Asked], Answer]:
    """A server that wants the key and nothing else of ours."""
    good = listing(25)

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {key}" or "cookie" in asked.headers or asked.query.keys() != {
            "limit", "offset"
        }:  # fmt: skip
            return Answer(401, HTML)
        found = good(asked)
        found.cookies = ("session=1; Path=/",)
        return found

    return answer


def _later(answer: Answer) -> Callable[[Asked], Answer]:
    """A good server whose second page is something else."""
    return lambda asked: answer if asked.query["offset"] == "10" else listing(25)(asked)


CASES = [
    *(case(f"a key {what}", listing(25), UNSENDABLE, token=key) for what, key in {
        "that is missing": "",
        "of blanks": "   ",
        "with a newline at its end": TOKEN + "\n",
        "with a newline and a header": TOKEN + "\nX-Evil: 1",
        "with CRLF": TOKEN + "\r\nHost: evil.example",
        "with a carriage return": TOKEN + "\r",
        "with a tab": TOKEN + "\t",
        "with a blank": TOKEN + " x",
        "with its scheme": "Bearer " + TOKEN,
        "with NUL": TOKEN + "\0",
        "with an escape code": "\x1b[31m" + TOKEN,
        "with DEL": TOKEN + "\x7f",
        "with an accent": TOKEN + "é",
        "with a zero width joiner": TOKEN + "\u200d",
        "with a byte order mark": "\ufeff" + TOKEN,
        "with a no-break space": TOKEN + "\u00a0",
        "with curly quotes": "\u201c" + TOKEN + "\u201d",
    }.items()),
    *(case(f"a key {what}", _checking(key), TAKEN, token=key) for what, key in {
        "of every letter that a header carries": TOKEN + "".join(map(chr, range(0x21, 0x7F))),
        "of 20,000 letters": TOKEN + "a" * 20_000,
        "and a server that sets cookies": TOKEN,
    }.items()),
    *(case(f"401 with {what}", answer, REFUSED) for what, answer in {
        "HTML": Answer(401, HTML),
        "nothing": Answer(401),
        "the key in its words": Answer(401, {"error": TOKEN, "error_description": SECRET}),
        "escape codes": Answer(401, b"\x1b[2J\x1b]0;" + CANARY.encode()),
        "a challenge that names somebody": Answer(401, HTML, {"WWW-Authenticate": f'Bearer realm="{CANARY}"'}),
        "10 MB": Answer(401, b"x" * 10_000_000),
    }.items()),
    *(case(f"{status}, a key that has expired, {way}", Answer(status, body, headers), REFUSED)
      for status in (400, 401, 403)
      for way, body, headers in [
          ("as a code", {"error": "invalid_token", "error_description": CANARY}, {}),
          ("in its header", HTML, {"WWW-Authenticate": f'Bearer realm="x", error="invalid_token", scope="{CANARY}"'}),
      ]),
    case("403", Answer(403, HTML), Refused(Reason.FORBIDDEN)),
    case("403, a scope that the key has not", Answer(403, HTML, {
         "WWW-Authenticate": 'Bearer error="insufficient_scope"'}), Refused(Reason.FORBIDDEN)),
    case("400", Answer(400, HTML), Refused(Reason.REQUEST_REFUSED)),
    *(case(f"page 2: {what}", _later(answer), expect) for what, answer, expect in [
        ("a key that is revoked", Answer(401, HTML), Refused(Reason.CREDENTIALS_REJECTED, page=2)),
        ("a key that has expired, with 403", Answer(403, {"error": "invalid_token"}),
         Refused(Reason.CREDENTIALS_REJECTED, page=2)),
        ("403", Answer(403, HTML), Refused(Reason.FORBIDDEN, page=2)),
        ("a redirect to another server", Answer(307, b"", {"Location": "{trap}/orgs"}),
         Refused(Reason.REDIRECT_REFUSED, page=2)),
        ("a link to another server", Answer(200, listing(25)(Asked("GET", "/", {"offset": "10", "limit": "10"}, {}, b"")
         ).body, {"X-Total-Count": "25", "Link": '<{trap}/orgs?page=3>; rel="next"'}), TAKEN),
    ]),
]  # fmt: skip
