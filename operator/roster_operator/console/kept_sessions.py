"""Sessions that rest in the database, so that they outlive a restart and several replicas share them.

Each is sealed with a key of its own, made of the console's mounted key and of the id that only the person's cookie
holds. So it is opened by a request of that person at this console, and by nothing else: not by the database or a backup
of it, not by the mounted key, not by both together.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fastapi.concurrency import run_in_threadpool

from roster_operator.store import sessions as store
from roster_operator.store.database import Database
from roster_operator.store.errors import StoreError

from . import problems
from .sessions import IDLE, LIFETIME, MOST, MOST_EACH, Session, SignedIn, begun, new_identity

T = TypeVar("T")
BOUNDS = store.Bounds(timedelta(seconds=LIFETIME), timedelta(seconds=IDLE), MOST_EACH, MOST)
_NONCE = 12  # bytes
_PURPOSE = b"roster-operator console session 1"


class KeptSessions:
    """sessions.Sessions in the database. keys: the first closes, all of them open."""

    def __init__(self, url: Database, keys: tuple[bytes, ...]) -> None:
        self._url = url
        self._keys = keys

    async def begin(
        self, token: str, person: str, namespaces: tuple[str, ...], signed_in: SignedIn | None = None
    ) -> str:
        """As Sessions."""
        session, identity = begun(token, person, namespaces, signed_in), new_identity()
        sealed = seal(self._keys[0], identity, json.dumps(asdict(session)).encode())
        owner = hmac.digest(self._keys[0], b"owner " + session.owner.encode("utf-8", "surrogatepass"), "sha256")
        await _at_store(lambda: store.begin(self._url, row_of(identity), owner, sealed, BOUNDS))
        return identity

    async def find(self, identity: str | None) -> Session | None:
        """As Sessions."""
        if not identity:
            return None
        sealed = await _at_store(lambda: store.find(self._url, row_of(identity), BOUNDS))
        plain = opened(self._keys, identity, sealed) if sealed is not None else None
        return _session(plain) if plain is not None else None

    async def renew(self, identity: str, session: Session) -> None:
        """As Sessions."""
        sealed = seal(self._keys[0], identity, json.dumps(asdict(session)).encode())
        await _at_store(lambda: store.renew(self._url, row_of(identity), sealed))

    async def end(self, identity: str | None) -> None:
        """As Sessions."""
        if identity:
            await _at_store(lambda: store.end(self._url, row_of(identity)))


def row_of(identity: str) -> bytes:
    """Where a session stands, from which nobody learns its id."""
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()


def seal(key: bytes, identity: str, plain: bytes) -> bytes:
    """Close a session's content. The row it stands in is a part of the seal: moved to another one, it stays closed."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(_key_of(key, identity)).encrypt(nonce, plain, row_of(identity))


def opened(keys: tuple[bytes, ...], identity: str, sealed: bytes) -> bytes | None:
    """The content; None where none of the keys opens it."""
    for key in keys:
        try:
            return AESGCM(_key_of(key, identity)).decrypt(sealed[:_NONCE], sealed[_NONCE:], row_of(identity))
        except (InvalidTag, ValueError):
            continue
    return None


def _key_of(key: bytes, identity: str) -> bytes:
    return HKDF(SHA256(), 32, salt=key, info=_PURPOSE).derive(identity.encode("utf-8", "surrogatepass"))


def _session(plain: bytes) -> Session | None:
    try:
        found = json.loads(plain)
        return Session(**found | {"namespaces": tuple(found["namespaces"])})
    except (ValueError, TypeError, KeyError):
        return None  # another release's: one signs in again


async def _at_store(work: Callable[[], T]) -> T:
    try:
        return await run_in_threadpool(work)
    except StoreError as error:
        raise problems.from_store(error.reason, error.message, error.next_step, retryable=error.retryable) from None
