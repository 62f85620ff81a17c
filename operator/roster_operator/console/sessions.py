"""Who is signed in: tokens in this process's memory, each under a random id that the person's cookie holds.

The token is not put into the cookie itself, for three reasons: signing out ends it at once and for good, a stolen
cookie is worth nothing outside the console, and a long token (OpenID Connect) does not fit 4 kB. The price is that a
restart signs everybody out, and that replicas need sticky sessions.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST = 2000  # sessions in all
MOST_EACH = 8  # sessions of one person, so that nobody can push the others out
LIFETIME = 8 * 3600.0  # seconds from signing in
IDLE = 3600.0  # seconds without a request


@dataclass
class Session:
    """One person in one browser."""

    token: str
    person: str  # as the API server names them; empty where it does not tell
    namespaces: tuple[str, ...]
    form_token: str
    owner: str  # whose sessions are counted together: the person, else the token
    began: float
    used: float

    def __repr__(self) -> str:
        return f"Session(person={self.person!r})"  # never the token: a repr ends in logs


class Sessions:
    """All sessions, bounded in number and lifetime."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, token: str, person: str, namespaces: tuple[str, ...]) -> str:
        """A new session; its id, which is never one that a browser brought along."""
        now = self._clock()
        self._sweep(now)
        owner = person or _hash(token)
        self._make_room([key for key, item in self._all.items() if item.owner == owner], MOST_EACH)
        self._make_room(list(self._all), MOST)
        identity = secrets.token_urlsafe(32)
        self._all[_hash(identity)] = Session(token, person, namespaces, secrets.token_urlsafe(32), owner, now, now)
        return identity

    def find(self, identity: str | None) -> Session | None:
        """The session, if it still lives."""
        session = self._all.get(_hash(identity)) if identity else None
        now = self._clock()
        if session is None or self._is_over(session, now):
            self.end(identity)
            return None
        session.used = now
        return session

    def end(self, identity: str | None) -> None:
        """Forget a session and its token."""
        if identity:
            self._all.pop(_hash(identity), None)

    def _make_room(self, keys: list[str], most: int) -> None:
        by_use = sorted(keys, key=lambda key: self._all[key].used)
        for key in by_use[: max(0, len(keys) - most + 1)]:
            del self._all[key]

    def _sweep(self, now: float) -> None:
        for key in [key for key, session in self._all.items() if self._is_over(session, now)]:
            del self._all[key]

    @staticmethod
    def _is_over(session: Session, now: float) -> bool:
        return now - session.began > LIFETIME or now - session.used > IDLE


def _hash(text: str) -> str:
    # The look-up compares hashes, so its time tells nothing about an id, and a memory dump holds no cookie.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
