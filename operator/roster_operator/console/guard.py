"""What stands before every page: headers on every answer, and forms only from the console's own pages."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from . import problems

log = logging.getLogger(__name__)

FORM_LIMIT = 64 * 1024  # bytes
_FIELDS = 600  # a student may be put into many classes
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: dict[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_NO_STORE = (b"cache-control", b"no-store")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guarded:
    """The application inside, with the headers on whatever it answers, its own failure included."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
                present = {name.lower() for name, _ in headers}
                headers += [pair for pair in (*_RAW, _NO_STORE) if pair[0] not in present]
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_guarded)


async def read_form(request: Request) -> list[tuple[str, str]]:
    """A small form's fields. Raises Problem beyond the bound: the sender's Content-Length is not believed."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > FORM_LIMIT:
            raise problems.too_large()
    try:
        return parse_qsl(
            raw.decode("ascii"), encoding="utf-8", errors="strict", keep_blank_values=True, max_num_fields=_FIELDS
        )
    except ValueError:
        raise problems.cross_site() from None


def check_origin(request: Request) -> None:
    """Only the console's own pages may send forms. Raises Problem."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise problems.cross_site()
        return
    # A browser that does not say so at least names the page's origin with every POST.
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        origin = ""
    if not origin or origin != request.headers.get("host"):
        raise problems.cross_site()


def check_form_token(given: str | None, expected: str | None) -> None:
    """The form carries what only our page could know. Raises Problem."""
    if not given or not expected or not secrets.compare_digest(given.encode(), expected.encode()):
        raise problems.cross_site()
