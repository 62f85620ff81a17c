"""OAuth 2 client credentials, as a conversation without input or output.

`exchange` is a generator: it yields the token requests to send, receives the answers, and returns
the token. What is sent where is decided here and tested without a network; sending is `session`'s.
"""

import base64
import math
import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import quote, quote_plus, urlencode

import msgspec

from .answers import clock_skew, codes, retry_after, said
from .errors import OneRosterError, Reason
from .http import Response, origin
from .settings import TokenStyle

_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_SKEW = 300.0
_DAY = 86_400.0

# Where the credentials go, and how: in HTTP Basic as they are or form-encoded, or in the body; and where the form goes.
Style = Literal["basic", "encoded", "body", "query", "query-encoded"]
_MAX_COOKIES, _MAX_COOKIE = 16, 4096
_COOKIE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e\"]*")


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The client, and how its token requests look. keep_cookies: those of the token answer belong to the token."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    style: TokenStyle = "Auto"
    keep_cookies: bool = False


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST to the token URL. query: what is added to the query that the URL has."""

    headers: dict[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    query: str = ""

    def address(self, token_url: str) -> str:
        if not self.query:
            return token_url
        return f"{token_url}{'&' if '?' in token_url else '?'}{self.query}"


@dataclass(slots=True)
class Token:
    """An access token. lifetime: seconds it says it lives, or None. obtained: monotonic seconds.

    scopes: what was granted, as far as the server says; asked: what was asked for. accepted: a
    request with it has succeeded, so a later refusal means that it ended. cookies: a Cookie header
    that goes with it, within the origin that it came from.
    """

    value: str = field(repr=False)
    lifetime: float | None
    scopes: tuple[str, ...] | None
    asked: tuple[str, ...]
    style: Style
    obtained: float = field(default_factory=time.monotonic)
    accepted: bool = False
    cookies: str = field(default="", repr=False)
    origin: tuple[str, str, int | None] | None = None

    def headers(self, url: str) -> dict[str, str]:
        """See `credential.Credential`."""
        found = {"Authorization": f"Bearer {self.value}"}
        if self.cookies and origin(url) == self.origin:
            found["Cookie"] = self.cookies
        return found

    def age(self) -> float:
        return time.monotonic() - self.obtained

    def ending(self) -> bool:
        """Whether its own lifetime is nearly over."""
        return self.lifetime is not None and self.age() > max(self.lifetime - 30.0, self.lifetime * 0.8)


def scope_ladder(version: str) -> list[tuple[str, ...]]:
    """What to ask for, best first, when the connection names no scopes.

    roster-core opens the flat collections, and nothing but its own scope opens demographics. Some servers know only
    short names.
    """
    base = f"https://purl.imsglobal.org/spec/or/v{version.replace('.', 'p')}/scope/"
    core, demographics = "roster-core.readonly", "roster-demographics.readonly"
    return [(base + core, base + demographics), (base + core,), (core, demographics), (core,)]


def exchange(
    client: ClientCredentials, ladder: Sequence[tuple[str, ...]], style: Style | None = None
) -> Generator[TokenRequest, Response, Token]:
    """Asks for a token, with Auto by HTTP Basic and then in the body; narrower when a scope is refused.

    style: the way that worked before; only it is tried then. Raises OneRosterError.
    """
    styles: tuple[Style, ...] = (style,) if style else _styles(client)
    refused: OneRosterError | None = None
    for scopes in ladder:
        for attempt in styles:
            response = yield _request(client, scopes, attempt)
            found = codes(response.body)
            if response.status in (200, 201) and "invalid_client" not in found and "invalid_scope" not in found:
                return _read(response, scopes, attempt, keep_cookies=client.keep_cookies)
            if response.status == 429 or response.status >= 500:
                raise _unwell(response)
            if response.status not in (200, 201, 400, 401, 403):
                raise _misplaced(response)
            if "invalid_scope" in found:
                refused = _scope_refused(response)
                styles = (attempt,)
                break
            # The first refusal says most: a server that knows one style only answers the other vaguely.
            refused = refused if refused and refused.reason is Reason.TOKEN_REJECTED else _rejected(response)
        else:
            break
    raise refused or OneRosterError(Reason.SETTINGS_INVALID, "No scope is set to ask a token for.", "Name a scope.")


# RFC 6749 form-encodes both before Basic, but hardly a server in the field decodes them. Where that makes a difference
# both are tried, and then, where it may be, the body, which is unambiguous.
_ORDER: dict[TokenStyle, tuple[Style, ...]] = {
    "Auto": ("basic", "encoded", "body"),
    "Basic": ("basic", "encoded"),
    "Body": ("body",),
    "Query": ("query", "query-encoded"),
}
_ENCODED: frozenset[Style] = frozenset({"encoded", "query-encoded"})
_IN_QUERY: frozenset[Style] = frozenset({"query", "query-encoded"})


def _styles(client: ClientCredentials) -> tuple[Style, ...]:
    both = client.client_id + client.client_secret
    plain = quote_plus(both) == both
    return tuple(style for style in _ORDER[client.style] if not (plain and style in _ENCODED))


def _request(client: ClientCredentials, scopes: tuple[str, ...], style: Style) -> TokenRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = {"grant_type": "client_credentials"}
    if scopes:
        form["scope"] = " ".join(scopes)
    shown = (client.client_id, client.client_secret)
    if style == "body":
        form |= {"client_id": client.client_id, "client_secret": client.client_secret}
    else:
        if style in _ENCODED:
            shown = (quote_plus(client.client_id), quote_plus(client.client_secret))
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(shown).encode()).decode()}"
    if style in _IN_QUERY:
        return TokenRequest(headers, b"", urlencode(form, quote_via=quote, safe=""))
    return TokenRequest(headers, urlencode(form).encode())


def _cookies(lines: Sequence[str]) -> str:
    """A Cookie header of Set-Cookie lines: names and values alone. What is deleted, odd or too large is left out."""
    found: dict[str, str] = {}
    for line in lines[:_MAX_COOKIES]:
        pair, _, attributes = line.partition(";")
        pair = pair.strip()
        name, _, value = pair.partition("=")
        if not value or _ended(attributes):
            found.pop(name.strip(), None)
        elif len(pair) <= _MAX_COOKIE and _COOKIE.fullmatch(pair):
            found[name] = value
    return "; ".join(f"{name}={value}" for name, value in found.items())


def _ended(attributes: str) -> bool:
    """Whether a cookie with these attributes is one that is being deleted. Max-Age goes before Expires (RFC 6265)."""
    given = {
        name.strip().lower(): value.strip()
        for name, _, value in (each.partition("=") for each in attributes.split(";"))
    }
    if re.fullmatch(r"-?[0-9]{1,10}", age := given.get("max-age", "")):
        return int(age) <= 0
    try:
        return parsedate_to_datetime(given.get("expires", "")).timestamp() < time.time()
    except (ValueError, TypeError, OverflowError):
        return False


def _read(response: Response, asked: tuple[str, ...], style: Style, *, keep_cookies: bool) -> Token:
    try:
        answer: Any = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _malformed("is no JSON object")
    value, kind = answer.get("access_token"), answer.get("token_type")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise _malformed("holds no usable access_token")
    if kind not in (None, "") and not (isinstance(kind, str) and kind.lower() in ("bearer", "bearertoken")):
        raise _malformed("is for another kind of token than bearer")
    token = Token(value, _lifetime(answer.get("expires_in")), _scopes(answer.get("scope")), asked, style)
    if keep_cookies:
        token.cookies, token.origin = _cookies(response.cookies), origin(response.url)
    return token


def _lifetime(value: Any) -> float | None:
    """Seconds; an absent or absurd one is unknown, and then a refusal shows the end."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(value, bool) or not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(seconds, _DAY)


def _scopes(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str) and value.strip():
        return tuple(value.split())
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None


def _malformed(what: str) -> OneRosterError:
    return OneRosterError(
        Reason.TOKEN_MALFORMED,
        f"The token server's answer {what}.",
        "Check the token URL: it must be the OAuth 2 token endpoint, not a sign-in page.",
    )


def _rejected(response: Response) -> OneRosterError:
    skew = clock_skew(response)
    if skew is not None and abs(skew) > _SKEW:
        return OneRosterError(
            Reason.CLOCK_SKEWED,
            f"The token server refuses the client ({said(response)}), and its clock differs by {abs(skew) / 60:.0f} "
            "minutes.",
            "Set the clocks right first; then check client id and secret.",
            status=response.status,
        )
    return OneRosterError(
        Reason.TOKEN_REJECTED,
        f"The token server refuses the client: {said(response)}.",
        "Check client id and secret in the Secret: no spaces, no line break, not expired, and for this server.",
        status=response.status,
    )


def _scope_refused(response: Response) -> OneRosterError:
    return OneRosterError(
        Reason.SCOPE_MISSING,
        f"The token server refuses every scope that was asked for: {said(response)}.",
        "Have the client granted roster-core.readonly in the SIS, or name the scopes it has.",
        status=response.status,
    )


def _unwell(response: Response) -> OneRosterError:
    throttled = response.status == 429
    return OneRosterError(
        Reason.THROTTLED if throttled else Reason.SERVER_ERROR,
        "The token server asks for fewer requests." if throttled else f"The token server failed: {said(response)}.",
        "Try again later; if it stays, ask the vendor.",
        retryable=True,
        status=response.status,
        retry_after=retry_after(response),
    )


def _misplaced(response: Response) -> OneRosterError:
    return OneRosterError(
        Reason.NOT_FOUND if response.status in (404, 405, 410) else Reason.TOKEN_MALFORMED,
        f"The token URL does not take token requests: {said(response)}.",
        "Check the token URL.",
        status=response.status,
    )
