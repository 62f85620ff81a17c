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

from .answers import clock_skew, oauth_problem, said
from .credential import Credential
from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Response
from .settings import RestSettings, SignatureMethod, needed

_SKEW = 300.0
_SIGNATURE = (
    "the signature of the request",
    (
        "Check client id and secret in the Secret, then auth.signatureMethod, and that the endpoint is written as the "
        "server knows itself: a proxy that changes the address breaks every signature."
    ),
)
_CLIENT = ("the client id", "Check the client id in the Secret, and that the client is enabled in the SIS.")
# What a server that says its problem refuses, and what to do.
_PROBLEMS: dict[str, tuple[str, str]] = {
    "signature_method_rejected": ("the way of signing", "Set auth.signatureMethod to the other one."),
    "nonce_used": ("a request as one that it has seen", "Check that no proxy on the way sends requests twice."),
    "consumer_key_unknown": _CLIENT,
    "consumer_key_rejected": _CLIENT,
    "consumer_key_refused": _CLIENT,
}
_DIGESTS: dict[SignatureMethod, Callable[..., Any]] = {"HMAC-SHA256": hashlib.sha256, "HMAC-SHA1": hashlib.sha1}


def base_string(method: str, url: str, parameters: list[tuple[str, str]]) -> str:
    """What is signed of a request with these oauth_ parameters; every parameter of the query is in it too.

    url: as it is sent.
    """
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    # authlib takes oauth_ parameters for escaped ones.
    every = [(name, escape(value) if name.startswith("oauth_") else value) for name, value in [*query, *parameters]]
    return construct_base_string(method, url, every)


def signature(method: str, url: str, parameters: list[tuple[str, str]], secret: str, digest: Callable[..., Any]) -> str:
    """The signature of a request; see `base_string`. digest: of hashlib. There is no user, so no token has a part."""
    base, key = base_string(method, url, parameters), f"{escape(secret)}&"
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
        if response.status not in (400, 401, 403):
            return None
        problem, skew = oauth_problem(response), clock_skew(response)
        unsure = response.status == 401 or not self._accepted  # else it was about something else than the signature
        if problem == "timestamp_refused" or (unsure and skew is not None and abs(skew) > _SKEW):
            return self._by_the_clock(response, entity, skew)
        if problem is None and response.status != 401:
            return None
        if problem in ("permission_denied", "permission_unknown"):
            return None
        what, next_step = _PROBLEMS.get(problem or "", _SIGNATURE)
        return OneRosterError(
            Reason.CREDENTIALS_REJECTED,
            f"The server refuses {what} ({self._signer.method}): {said(response)}.",
            next_step,
            # Each try has a nonce of its own.
            retryable=problem == "nonce_used",
            entity=entity,
            status=response.status,
        )

    @staticmethod
    def _by_the_clock(response: Response, entity: Entity, skew: float | None) -> OneRosterError:
        by = "."
        if skew is not None and abs(skew) > _SKEW:
            by = f", and its clock is {abs(skew) / 60:.0f} minutes {'ahead' if skew > 0 else 'behind'}."
        return OneRosterError(
            Reason.CLOCK_SKEWED,
            f"The server refuses the time of the signed request ({said(response)}){by}",
            "Set the clocks right first: a signature holds for a few minutes only.",
            entity=entity,
            status=response.status,
        )

    def told(self, credential: Credential) -> str:  # noqa: ARG002
        method = self._signer.method
        return f"OAuth 1 will sign each request ({method}); the first read tells whether the signature is accepted."
