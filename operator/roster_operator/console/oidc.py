"""OpenID Connect: the authorization code flow with PKCE, as its client. The protocol's rules are Authlib's.

The id token becomes the person's bearer token for the API server, as with kubectl's own login. It is validated here all
the same: what the API server would refuse is told apart here, and the nonce only the console knows.
"""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwk import KeySet

from . import oidc_problems as problems
from .oidc_settings import Oidc
from .oidc_wire import Wire

KEEP = 600.0  # seconds until the provider's metadata and keys are read again
LEEWAY = 30  # seconds that clocks may differ
_CALM = 10.0  # seconds between two reads of the keys: tokens with made-up keys cause no more
# Asymmetric ones alone: with a symmetric one whoever knows the client's secret could make tokens.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_UNREADABLE = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_NEVER = 2**53  # an end in seconds since 1970 that no provider means


@dataclass(frozen=True)
class Attempt:
    """One beginning of a sign-in. It rests in a cookie of the browser that began."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Tokens:
    """What the provider gave. expires: seconds since 1970."""

    id_token: str
    refresh: str
    expires: float
    subject: str

    def __repr__(self) -> str:
        return "Tokens()"


def attempt() -> Attempt:
    """A new one, which nobody can guess."""
    return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))


class Provider:
    """The identity provider. Every method raises problems.Problem."""

    def __init__(self, settings: Oidc) -> None:
        self.settings = settings
        self._wire = Wire(settings.authority)
        self._known: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def where_to_sign_in(self, begun: Attempt) -> str:
        """The address at the provider that the browser goes to."""
        return str(
            prepare_grant_uri(
                await self._endpoint("authorization_endpoint"),
                self.settings.client_id,
                "code",
                redirect_uri=self.settings.callback,
                scope=self.settings.scopes,
                state=begun.state,
                nonce=begun.nonce,
                code_challenge=create_s256_code_challenge(begun.verifier),
                code_challenge_method="S256",
            )
        )

    async def where_to_sign_out(self) -> str | None:
        """The provider's own sign-out, where it has one: it takes a form (RP-Initiated Logout 1.0)."""
        if not (await self._metadata()).get("end_session_endpoint"):
            return None
        return await self._endpoint("end_session_endpoint")

    async def exchange(self, code: str, begun: Attempt) -> Tokens:
        """A code for tokens."""
        body = prepare_token_request(
            "authorization_code", redirect_uri=self.settings.callback, code=code, code_verifier=begun.verifier
        )
        return await self._tokens(await self._ask_token(str(body)), nonce=begun.nonce)

    async def refresh(self, refresh: str, subject: str) -> Tokens:
        """New tokens for the same person."""
        made = await self._tokens(
            await self._ask_token(str(prepare_token_request("refresh_token", refresh_token=refresh))), refresh=refresh
        )
        if made.subject != subject:
            raise problems.token_invalid()
        return made

    async def forget(self, refresh: str) -> None:
        """A refresh token is good for nothing any more (RFC 7009), where the provider offers that."""
        if refresh and (await self._metadata()).get("revocation_endpoint"):
            body = urlencode({"token": refresh, "token_type_hint": "refresh_token"})
            await self._ask("revocation_endpoint", body)

    async def says_who_answers(self) -> bool:
        """Whether the provider puts its issuer into every answer (RFC 9207)."""
        return (await self._metadata()).get("authorization_response_iss_parameter_supported") is True

    async def _tokens(self, answer: dict[str, Any], *, nonce: str | None = None, refresh: str = "") -> Tokens:
        token, given = answer.get("id_token"), answer.get("refresh_token")
        if not isinstance(token, str):
            raise problems.token_missing()
        claims = await self._claims(token, nonce, answer.get("access_token"))
        kept = given if isinstance(given, str) and given else refresh
        return Tokens(token, kept, claims["exp"], claims["sub"])

    async def _claims(self, token: str, nonce: str | None, access_token: Any) -> dict[str, Any]:
        """What a valid id token says. After a key that is unknown the keys are read once more."""
        for fresh in (False, True):
            try:
                found = jwt.decode(token, await self._key_set(fresh=fresh), algorithms=list(_ALGORITHMS))
                break
            except _UNREADABLE:
                if fresh or not self._may_ask_again():
                    raise problems.token_invalid() from None
        else:  # pragma: no cover  the second round raises or ends
            raise problems.token_invalid()
        params = {"client_id": self.settings.client_id, "access_token": access_token, "nonce": nonce}
        claims = CodeIDToken(
            found.claims,
            found.header,
            {
                "iss": {"essential": True, "value": self.settings.issuer},
                "aud": {"essential": True, "value": self.settings.client_id},
            },
            {name: value for name, value in params.items() if value},
        )
        try:
            claims.validate(leeway=LEEWAY)
        except ExpiredTokenError:
            raise problems.token_expired() from None
        except InvalidClaimError as error:
            early = error.claim in ("iat", "nbf")
            raise (problems.token_early() if early else problems.token_invalid()) from None
        except _UNREADABLE:
            raise problems.token_invalid() from None
        ends, subject = claims["exp"], claims["sub"]
        if not isinstance(subject, str) or not subject or ends > _NEVER:
            raise problems.token_invalid()
        return {"sub": subject, "exp": float(ends)}

    def _may_ask_again(self) -> bool:
        return self._keys is None or time.monotonic() - self._keys[0] > _CALM

    async def _key_set(self, *, fresh: bool) -> Any:
        if not fresh and self._keys and time.monotonic() - self._keys[0] < KEEP:
            return self._keys[1]
        status, answer = await self._wire.ask("GET", await self._endpoint("jwks_uri"))
        try:
            keys = KeySet.import_key_set(answer)
        except _UNREADABLE:
            raise problems.strange() from None
        if status != 200:
            raise problems.strange()
        self._keys = (time.monotonic(), keys)
        return keys

    async def _metadata(self) -> dict[str, Any]:
        if self._known and time.monotonic() - self._known[0] < KEEP:
            return self._known[1]
        status, answer = await self._wire.ask("GET", get_well_known_url(self.settings.issuer, external=True))
        if status != 200 or not isinstance(answer, dict) or answer.get("issuer") != self.settings.issuer:
            raise problems.strange()
        self._known = (time.monotonic(), answer)
        return answer

    async def _endpoint(self, name: str) -> str:
        address = (await self._metadata()).get(name)
        if not isinstance(address, str) or not address.startswith("https://") or not address.isascii():
            raise problems.strange()
        return address

    async def _ask_token(self, body: str) -> dict[str, Any]:
        status, answer = await self._ask("token_endpoint", body)
        if not isinstance(answer, dict):
            raise problems.strange()
        if status != 200:
            raise problems.from_token_endpoint(answer.get("error"))
        return answer

    async def _ask(self, endpoint: str, body: str) -> tuple[int, Any]:
        """As this client."""
        settings, headers = self.settings, {"Content-Type": "application/x-www-form-urlencoded"}
        ways: Any = (await self._metadata()).get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if settings.client_secret and "client_secret_basic" in ways:
            pair = f"{quote(settings.client_id, safe='')}:{quote(settings.client_secret, safe='')}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        else:
            mine = {"client_id": settings.client_id} | (
                {"client_secret": settings.client_secret} if settings.client_secret else {}
            )
            body += "&" + urlencode(mine)
        return await self._wire.ask("POST", await self._endpoint(endpoint), body, headers)
