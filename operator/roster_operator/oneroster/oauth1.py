"""OAuth 1.0a with two legs: each request is signed by the client's secret alone (RFC 5849).

The base string, escaping and the header are authlib's. The query is taken apart here, as authlib refuses characters
that servers write into their own links, a raw quote for one.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth1.rfc5849.parameters import prepare_headers
from authlib.oauth1.rfc5849.signature import construct_base_string
from authlib.oauth1.rfc5849.util import escape

from .answers import clock_skew, said
from .credential import Credential
from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Response
from .settings import RestSettings, SignatureMethod, needed

_SKEW = 300.0
_DIGESTS: dict[SignatureMethod, Callable[..., Any]] = {"HMAC-SHA256": hashlib.sha256, "HMAC-SHA1": hashlib.sha1}


def signature(method: str, url: str, parameters: list[tuple[str, str]], secret: str, digest: Callable[..., Any]) -> str:
    """The signature of a request with these oauth_ parameters; every parameter of the query is signed too.

    url: as it is sent. digest: of hashlib. Tokens have no part in it: there is no user.
    """
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    # authlib takes oauth_ parameters for escaped ones.
    every = [(name, escape(value) if name.startswith("oauth_") else value) for name, value in [*query, *parameters]]
    base: str = construct_base_string(method, url, every)
    key = f"{escape(secret)}&"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), digest).digest()).decode()


@dataclass(frozen=True, slots=True)
class _Signer:
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    method: SignatureMethod

    def headers(self, url: str) -> dict[str, str]:
        parameters = [
            ("oauth_consumer_key", self.client_id),
            ("oauth_nonce", secrets.token_hex(16)),
            ("oauth_timestamp", str(int(time.time()))),
            ("oauth_signature_method", self.method),
            ("oauth_version", "1.0"),
        ]
        signed = signature("GET", url, parameters, self.client_secret, _DIGESTS[self.method])
        return dict(prepare_headers([*parameters, ("oauth_signature", signed)]))


class OAuth1:
    """See `credential.Authorisation`."""

    step: Literal["Token", "Credentials"] = "Credentials"
    addresses: tuple[str, ...] = ()

    def __init__(self, settings: RestSettings) -> None:
        client_id, client_secret = needed(settings.client_id, "client id"), needed(settings.client_secret, "secret")
        self._signer = _Signer(client_id, client_secret, settings.signature_method)
        self._accepted = False

    def use_version(self, version: str) -> None:
        pass

    async def credential(self) -> Credential:
        return self._signer

    async def renewed(self, refused: Credential) -> Credential | None:  # noqa: ARG002
        return None

    def accepted(self, credential: Credential) -> None:  # noqa: ARG002
        self._accepted = True

    def refusal(self, response: Response, entity: Entity) -> OneRosterError | None:
        if response.status not in (400, 401, 403) or (self._accepted and response.status != 401):
            return None
        skew = clock_skew(response)
        if skew is not None and abs(skew) > _SKEW:
            return OneRosterError(
                Reason.CLOCK_SKEWED,
                f"The server refuses the signed request ({said(response)}), and its clock is {abs(skew) / 60:.0f} "
                f"minutes {'ahead' if skew > 0 else 'behind'}.",
                "Set the clocks right first: a signature holds for a few minutes only.",
                entity=entity,
                status=response.status,
            )
        if response.status != 401:
            return None
        return OneRosterError(
            Reason.CREDENTIALS_REJECTED,
            f"The server refuses the signature of the request ({self._signer.method}): {said(response)}.",
            "Check client id and secret in the Secret, then auth.signatureMethod, and that the endpoint is written as "
            "the server knows itself: a proxy that changes the address breaks every signature.",
            entity=entity,
            status=response.status,
        )

    def told(self, credential: Credential) -> str:  # noqa: ARG002
        method = self._signer.method
        return f"OAuth 1 will sign each request ({method}); the first read tells whether the signature is accepted."
