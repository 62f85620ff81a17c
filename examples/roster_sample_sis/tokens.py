"""OAuth 2 client credentials: who gets a token, for which scopes, for how long."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import parse_qs, unquote_plus

from roster_sample_sis.exchanges import Answer, json_answer


class TokenAuth(StrEnum):
    """How a client may show its id and secret at the token endpoint."""

    BASIC = "basic"
    BODY = "body"


@dataclass
class _Grant:
    scopes: frozenset[str]
    expires: float
    # What a request with it is answered once it has expired: some servers say 403.
    refused_with: int = HTTPStatus.UNAUTHORIZED


class Tokens:
    """The tokens given out. `lifetime` is in seconds; `scopes` are those that can be had."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        scopes: Collection[str],
        *,
        lifetime: float = 3600,
        accepts: Collection[TokenAuth] = tuple(TokenAuth),
    ) -> None:
        self._client = (client_id.encode(), client_secret.encode())
        self._scopes = frozenset(scopes)
        self.lifetime = lifetime
        self._accepts = frozenset(accepts)
        self._grants: dict[str, _Grant] = {}
        self._lock = threading.Lock()
        self.issued = 0

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answers a POST to the token endpoint: RFC 6749, sections 4.4 and 5."""
        form = {key: values[0] for key, values in parse_qs(body.decode("latin-1"), keep_blank_values=True).items()}
        shown = self._shown(headers.get("authorization", ""), form)
        if shown is None or not self._is_client(*shown):
            answer = json_answer(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"})
            answer.headers["WWW-Authenticate"] = 'Basic realm="OneRoster"'
            return answer
        if form.get("grant_type") != "client_credentials":
            return json_answer(HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"})
        asked = frozenset(form.get("scope", "").split())
        granted = asked & self._scopes
        if not granted:
            why = "name at least one scope of this server"
            return json_answer(HTTPStatus.BAD_REQUEST, {"error": "invalid_scope", "error_description": why})
        answer = json_answer(
            HTTPStatus.OK,
            {
                "access_token": self._give(granted),
                "token_type": "Bearer",
                "expires_in": round(self.lifetime),
                "scope": " ".join(sorted(granted)),
            },
        )
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _shown(self, authorization: str, form: Mapping[str, str]) -> tuple[bytes, bytes] | None:
        kind, _, value = authorization.partition(" ")
        if kind.lower() == "basic" and TokenAuth.BASIC in self._accepts:
            try:
                user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            # Section 2.3.1: both are form-encoded before they are put together.
            return (unquote_plus(user).encode(), unquote_plus(password).encode()) if colon else None
        if not authorization and TokenAuth.BODY in self._accepts and "client_id" in form:
            return form["client_id"].encode("latin-1"), form.get("client_secret", "").encode("latin-1")
        return None

    def _is_client(self, user: bytes, password: bytes) -> bool:
        known, secret = self._client
        return hmac.compare_digest(user, known) & hmac.compare_digest(password, secret)

    def _give(self, scopes: frozenset[str]) -> str:
        token, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            # Long gone ones are forgotten, recent ones still get their own refusal.
            self._grants = {key: each for key, each in self._grants.items() if each.expires > now - 3600}
            self._grants[token] = _Grant(scopes, now + self.lifetime)
            self.issued += 1
        return token

    def refusal(self, authorization: str, scopes: Collection[str]) -> tuple[int, str] | None:
        """None when the header's token opens one of `scopes`, else the status and the reason of the refusal."""
        kind, _, token = authorization.partition(" ")
        with self._lock:
            grant = self._grants.get(token.strip()) if kind.lower() == "bearer" else None
            if grant is None:
                return HTTPStatus.UNAUTHORIZED, "a valid access token is needed"
            if grant.expires <= time.monotonic():
                return grant.refused_with, "the access token has expired"
            if grant.scopes.isdisjoint(scopes):
                return HTTPStatus.FORBIDDEN, "the access token does not have the scope that this needs"
        return None

    def expire(self, refused_with: int = HTTPStatus.UNAUTHORIZED) -> None:
        """Expires every token given out so far; requests with one are answered with that status."""
        with self._lock:
            for grant in self._grants.values():
                grant.expires = time.monotonic()
                grant.refused_with = refused_with
