"""Who is signed in. A person's cookie holds a random id, never their token.

The token is not put into the cookie itself, for three reasons: signing out ends it at once and for good, a stolen
cookie is worth nothing outside the console, and a long token (OpenID Connect) does not fit 4 kB. Where there is a
database the sessions rest there, sealed (kept_sessions.py); without one, in this process's memory.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MOST = 2000  # sessions in all
MOST_EACH = 8  # sessions of one person, so that nobody can push the others out
LIFETIME = 8 * 3600.0  # seconds from signing in
IDLE = 3600.0  # seconds without a request


@dataclass(frozen=True)
class SignedIn:
    """What an identity provider gave beside the token."""

    refresh: str
    expires: float
    subject: str

    def __repr__(self) -> str:
        return "SignedIn()"


@dataclass(frozen=True)
class Session:
    """One person in one browser. Whatever is added here has to be JSON."""

    token: str
    person: str  # as the API server names them; empty where it does not tell
    namespaces: tuple[str, ...]
    form_token: str
    # Of whoever came by an identity provider: what renews the token, when it ends (seconds since 1970), and for whom.
    refresh: str = ""
    expires: float = 0.0
    subject: str = ""

    def __repr__(self) -> str:
        return f"Session(person={self.person!r})"  # never the token: a repr ends in logs

    @property
    def owner(self) -> str:
        """Whose sessions are counted together: the person's, else those with the token."""
        return self.person or _hash(self.token).hex()


def begun(token: str, person: str, namespaces: tuple[str, ...], signed_in: SignedIn | None = None) -> Session:
    """A new session's content."""
    form_token, by = secrets.token_urlsafe(32), signed_in or SignedIn("", 0.0, "")
    return Session(token, person, namespaces, form_token, by.refresh, by.expires, by.subject)


def new_identity() -> str:
    """What the cookie of a new session holds: never what a browser brought along."""
    return secrets.token_urlsafe(32)


class Sessions(Protocol):
    """All sessions, bounded in number and lifetime. Each method raises problems.Problem."""

    async def begin(
        self, token: str, person: str, namespaces: tuple[str, ...], signed_in: SignedIn | None = None
    ) -> str:
        """A new session; the id for its cookie."""
        ...

    async def find(self, identity: str | None) -> Session | None:
        """The session, if it still lives."""
        ...

    async def renew(self, identity: str, session: Session) -> None:
        """Put another content into a session that lives."""
        ...

    async def end(self, identity: str | None) -> None:
        """Forget a session and its token."""
        ...


@dataclass
class _Kept:
    session: Session
    began: float
    used: float


class SessionsInMemory:
    """For a console without a database: a restart signs everybody out, and there can be one replica."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: dict[bytes, _Kept] = {}

    def __len__(self) -> int:
        return len(self._all)

    async def begin(
        self, token: str, person: str, namespaces: tuple[str, ...], signed_in: SignedIn | None = None
    ) -> str:
        """As Sessions."""
        now, session = self._clock(), begun(token, person, namespaces, signed_in)
        self._sweep(now)
        self._make_room([key for key, kept in self._all.items() if kept.session.owner == session.owner], MOST_EACH)
        self._make_room(list(self._all), MOST)
        identity = new_identity()
        self._all[_hash(identity)] = _Kept(session, now, now)
        return identity

    async def find(self, identity: str | None) -> Session | None:
        """As Sessions."""
        kept = self._all.get(_hash(identity)) if identity else None
        now = self._clock()
        if kept is None or self._is_over(kept, now):
            await self.end(identity)
            return None
        kept.used = now
        return kept.session

    async def renew(self, identity: str, session: Session) -> None:
        """As Sessions."""
        if kept := self._all.get(_hash(identity)):
            kept.session = session

    async def end(self, identity: str | None) -> None:
        """As Sessions."""
        if identity:
            self._all.pop(_hash(identity), None)

    def _make_room(self, keys: list[bytes], most: int) -> None:
        by_use = sorted(keys, key=lambda key: self._all[key].used)
        for key in by_use[: max(0, len(keys) - most + 1)]:
            del self._all[key]

    def _sweep(self, now: float) -> None:
        for key in [key for key, kept in self._all.items() if self._is_over(kept, now)]:
            del self._all[key]

    @staticmethod
    def _is_over(kept: _Kept, now: float) -> bool:
        return now - kept.began > LIFETIME or now - kept.used > IDLE


def _hash(text: str) -> bytes:
    # The look-up compares hashes, so its time tells nothing about an id, and a memory dump holds no cookie.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
