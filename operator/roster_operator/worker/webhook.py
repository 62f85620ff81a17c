"""One notice to a webhook: signed as Standard Webhooks says, and sent through the gate that sources are reached by.

The address is a tenant's to choose, so it is judged as a source's is; nothing that the server answers is repeated.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import time
from collections.abc import Iterable

from roster_operator.api.task import Notice, Policy
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.http import Client, Response, Timeouts

from .failures import WorkerError

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a key
_KEYS = 4
_TIMEOUTS = Timeouts(connect=10.0, read=15.0, total=30.0)
_ANSWER = 64 * 1024  # bytes
# The server has answered, and not with an error: what else it sends is not wanted.
_TAKEN = {Reason.BODY_TOO_LARGE, Reason.BAD_COMPRESSION}


def post(notice: Notice, signing: str, policy: Policy) -> None:
    """Send it. signing: the Secret's value. Raises WorkerError and OneRosterError; returns where it was taken."""
    keys, body, now = keys_of(signing), notice.body.encode(), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": notice.id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(keys, notice.id, now, body),
    }
    try:
        answer = asyncio.run(_sent(notice, headers, body, policy))
    except OneRosterError as error:
        if error.reason in _TAKEN:
            return
        if error.retryable:
            raise WorkerError(
                "WebhookUnavailable",
                f"The webhook was not reached: {error.reason}.",
                "It is tried again. If it stays, check the server, and that firewalls let this cluster through.",
                retryable=True,
            ) from None
        raise
    _judge(answer.status)


def keys_of(signing: str) -> list[bytes]:
    """The keys, one a line: with two, a receiver changes from one to the other at leisure. Raises WorkerError."""
    lines = signing.split()
    try:
        keys = [base64.b64decode(line.removeprefix(_PREFIX), validate=True) for line in lines]
    except (binascii.Error, ValueError):
        keys = []
    if not keys or len(keys) > _KEYS or not all(line.startswith(_PREFIX) for line in lines):
        raise WorkerError(
            "SigningKeyMalformed",
            "The signing key is none of Standard Webhooks.",
            f"Write {_PREFIX} and {_SHORTEST} to {_LONGEST} random bytes in base64; {_KEYS} keys at most, one a line.",
        )
    if min(map(len, keys)) < _SHORTEST:
        raise WorkerError(
            "SigningKeyTooShort",
            f"The signing key has fewer than {_SHORTEST} bytes: whoever sees notices could guess it.",
            f"Make another: {_PREFIX} and 32 random bytes in base64.",
        )
    if max(map(len, keys)) > _LONGEST:
        raise WorkerError(
            "SigningKeyMalformed",
            f"The signing key has more than {_LONGEST} bytes, which Standard Webhooks does not know.",
            f"Make another: {_PREFIX} and 32 random bytes in base64.",
        )
    return keys


def signature(keys: Iterable[bytes], identity: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: one signature a key. timestamp: seconds since 1970."""
    signed = f"{identity}.{timestamp}.".encode() + body
    macs = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


async def _sent(notice: Notice, headers: dict[str, str], body: bytes, policy: Policy) -> Response:
    client = Client(
        allow=[ipaddress.ip_network(cidr) for cidr in policy.allow_addresses],
        ca_bundle=notice.webhook.ca_bundle,
        timeouts=_TIMEOUTS,
        connections=1,
    )
    try:
        return await client.post(notice.webhook.url, headers, body, _ANSWER)
    finally:
        await client.aclose()


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status == 410:
        raise WorkerError(
            "WebhookGone", "The webhook wants no more notices (410).", "Take it out of spec.notify, or correct its url."
        )
    if status in {408, 425, 429} or status >= 500:
        raise WorkerError(
            "WebhookUnavailable",
            f"The webhook does not take notices now ({status}).",
            "It is tried again. If it stays, ask who looks after it.",
            retryable=True,
        )
    # A receiver that was put up wrongly is mended within hours, and Standard Webhooks has every refusal tried again.
    raise WorkerError(
        "WebhookRefused",
        f"The webhook refuses notices ({status}).",
        "It is tried again. Check the url, and that the receiver has the same signing key.",
        retryable=True,
    )
