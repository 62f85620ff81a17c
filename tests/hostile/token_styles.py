"""OAuth 2 in each way that a vendor wants its token requests, and the cookies that a token's answer may set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from tests.oneroster.fake_servers import SECRET, TOKEN, Answer, Asked, granted, listing

from roster_operator.oneroster.errors import Reason

from .cases import CANARY, Case, Outcome, Read, Refused
from .worlds import Pull

FAMILY = "OAuth"
TAKEN = Read(25, "DistinctEqualsTotal")
HTML = b"<!DOCTYPE html><title>" + CANARY.encode() + b"</title>"
CORE = "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly"
HARD = SECRET + "&+= %é"  # a secret that each way carries in another spelling


def _shape(asked: Asked) -> str:
    """Where a token request carries its credentials and its form."""
    form = parse_qs(asked.body.decode())
    basic = asked.headers.get("authorization", "").startswith("Basic ")
    if "client_secret" in asked.query:
        return "the secret in the query"
    if form.get("client_secret") and not basic and form.get("grant_type"):
        return "Body"
    if basic and not asked.body and asked.query.get("grant_type"):
        return "Query"
    return "Basic" if basic and form.get("grant_type") and not asked.query else "another"


def only(style: str, answer: Answer) -> Callable[[Asked], Answer]:
    """A token server that knows one way."""
    return lambda asked: answer if _shape(asked) == style else Answer(400, {"error": "invalid_request"})


def case(style: str, name: str, answer: Answer, expect: Outcome, **more: Any) -> Case:
    return Case(FAMILY, f"{style}: {name}", Pull(listing(25), only(style, answer), more={"token_style": style} | more),
                expect)  # fmt: skip


_MALFORMED, _REJECTED = Refused(Reason.TOKEN_MALFORMED), Refused(Reason.TOKEN_REJECTED)
_STYLES = [
    case(style, name, answer, expect, **more)
    for style in ("Basic", "Body", "Query")
    for name, answer, expect, more in [
        ("a token", granted(), TAKEN, {}),
        ("a secret that has to be escaped", granted(), TAKEN, {"client_secret": HARD}),
        ("a token as HTML", Answer(body=HTML), _MALFORMED, {}),
        ("no expires_in", Answer(body={"access_token": TOKEN}), TAKEN, {}),
        ("an expires_in of 10^18", granted(expires_in=10**18), TAKEN, {}),
        ("an expires_in of -1", granted(expires_in=-1), TAKEN, {}),
        ("fewer scopes than asked", granted(scope=CORE), TAKEN, {}),
        ("302 to another server", Answer(302, b"", {"Location": "{trap}/token"}), Refused(Reason.REDIRECT_REFUSED), {}),
        ("307 to itself", Answer(307, b"", {"Location": "/token"}), Refused(Reason.REDIRECT_REFUSED), {}),
        ("10 MB", Answer(body=b"x" * 10_000_000), Refused(Reason.BODY_TOO_LARGE), {}),
        ("the client refused in HTML", Answer(401, HTML), _REJECTED, {}),
        ("the client refused, with its secret", Answer(400, {"error": "invalid_client", "error_description": SECRET}),
         _REJECTED, {}),
        ("500", Answer(500, HTML), Refused(Reason.SERVER_ERROR, retryable=True), {}),
    ]
] + [
    Case(FAMILY, f"{asked_for} at a server that knows {style} alone",
         Pull(listing(25), only(style, granted()), more={"token_style": asked_for}), _REJECTED)
    for asked_for in ("Basic", "Body", "Query") for style in ("Basic", "Body", "Query") if style != asked_for
]  # fmt: skip


def _session(wanted: str | None) -> Callable[[Asked], Answer]:
    """A server that wants exactly these cookies with every page."""
    return lambda asked: listing(25)(asked) if asked.headers.get("cookie") == wanted else Answer(400, HTML)


def _wandering(asked: Asked) -> Answer:
    """Lets itself be asked for the second page at another path of its own."""
    if asked.headers.get("cookie") != "a=1":
        return Answer(400, HTML)
    if asked.query["offset"] == "10" and not asked.path.endswith("/moved"):
        return Answer(307, b"", {"Location": f"{asked.path}/moved?limit=10&offset=10"})
    return listing(25)(asked)


def cookies(name: str, lines: tuple[str, ...], wanted: str | None, *, keep: bool = True) -> Case:
    token = granted()
    token.cookies = lines
    return Case(FAMILY, f"cookies: {name}", Pull(_session(wanted), token, more={"keep_cookies": keep}), TAKEN)


_COOKIES = [
    cookies("one that nobody asked to keep", ("a=1; Path=/",), None, keep=False),
    cookies("two", ("a=1; Path=/; HttpOnly", "b=2; Secure; SameSite=Strict"), "a=1; b=2"),
    cookies("one of another domain", ("a=1; Domain=evil.example",), "a=1"),
    cookies("one set twice", ("a=1", "a=2"), "a=2"),
    cookies("one that is deleted by Max-Age", ("a=1", "a=deleted; Max-Age=0", "b=2"), "b=2"),
    cookies("one that is deleted by a negative Max-Age", ("a=deleted; Max-Age=-1", "b=2"), "b=2"),
    cookies("one that is deleted by its date", ("a=1", "a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=2"), "b=2"),
    cookies("one whose Max-Age outweighs its date", ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60",), "a=1"),
    cookies("a date that cannot be", ("a=1; Expires=Mon, 99 Foo 99999 99:99:99 GMT",), "a=1"),
    cookies("a Max-Age that is no number", ("a=1; Max-Age=\u00b2",), "a=1"),
    cookies("an empty one", ("a=", "b=2"), "b=2"),
    cookies("a nameless one", ("=1", "b=2"), "b=2"),
    cookies("a name with a blank", ("a b=1", "b=2"), "b=2"),
    cookies("a value with a blank", ("a=1 2", "b=2"), "b=2"),
    cookies("a value with a comma", ("a=1,2", "b=2"), "b=2"),
    cookies("a value with an escape code", ("a=\x1b[31m", "b=2"), "b=2"),
    cookies("a value beyond ASCII", ("a=\u00e9", "b=2"), "b=2"),
    cookies("a value in quotes", ('a="1"',), 'a="1"'),
    cookies("one of 5,000 letters", ("a=" + "x" * 5_000, "b=2"), "b=2"),
    cookies("fifty", tuple(f"c{number}=1" for number in range(50)), "; ".join(f"c{number}=1" for number in range(16))),
    cookies("none", (), None),
    Case(FAMILY, "cookies: a page that moves within its server", Pull(_wandering, Answer(
         body=granted().body, cookies=("a=1",)), more={"keep_cookies": True}), TAKEN),
    Case(FAMILY, "cookies: a page that moves to another server", Pull(
         Answer(302, b"", {"Location": "{trap}/orgs"}), Answer(body=granted().body, cookies=("a=" + SECRET,)),
         more={"keep_cookies": True}), Refused(Reason.REDIRECT_REFUSED)),
]  # fmt: skip

CASES = [*_STYLES, *_COOKIES]
