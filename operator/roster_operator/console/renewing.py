"""Sessions whose tokens are renewed at the identity provider before they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from .oidc import Provider
from .problems import Problem
from .sessions import Session, Sessions, SignedIn

EARLY = 60.0  # seconds before a token ends: longer than a request takes, and than clocks differ
CALM = 10.0  # seconds until a provider that did not answer is asked again
_LOOKS = 4  # how often another replica's renewal is looked for


class RenewingSessions:
    """sessions.Sessions, in front of others."""

    def __init__(self, inner: Sessions, provider: Provider, clock: Callable[[], float] = time.time) -> None:
        self._inner = inner
        self._provider = provider
        self._clock = clock
        self._calm_until = 0.0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin(
        self, token: str, person: str, namespaces: tuple[str, ...], signed_in: SignedIn | None = None
    ) -> str:
        """As Sessions."""
        return await self._inner.begin(token, person, namespaces, signed_in)

    async def renew(self, identity: str, session: Session) -> None:
        """As Sessions."""
        await self._inner.renew(identity, session)

    async def end(self, identity: str | None) -> None:
        """As Sessions."""
        await self._inner.end(identity)

    async def find(self, identity: str | None) -> Session | None:
        """As Sessions. A session that the provider has ended is over."""
        session = await self._inner.find(identity)
        if identity is None or session is None or not self._is_due(session):
            return session
        lock = self._locks.setdefault(identity, asyncio.Lock())
        async with lock:  # a refresh token is often good for one use
            session = await self._inner.find(identity)
            if session is None or not self._is_due(session):
                return session
            return await self._renewed(identity, session)

    async def _renewed(self, identity: str, session: Session) -> Session | None:
        alive = session.expires > self._clock()
        if not session.refresh:
            return session if alive else await self._over(identity)
        if alive and self._clock() < self._calm_until:
            return session
        try:
            tokens = await self._provider.refresh(session.refresh, session.subject)
        except Problem as problem:
            if problem.status == 401:
                return await self._renewed_elsewhere(identity) or await self._over(identity)
            self._calm_until = self._clock() + CALM
            if alive:
                return session  # the provider may be back, or mended, before the token ends
            raise
        made = replace(session, token=tokens.id_token, refresh=tokens.refresh, expires=tokens.expires)
        await self._inner.renew(identity, made)
        return made

    async def _renewed_elsewhere(self, identity: str) -> Session | None:
        """Another replica may have been faster with the same refresh token, and be about to write it down."""
        for _ in range(_LOOKS):
            other = await self._inner.find(identity)
            if other is None or not self._is_due(other):
                return other
            await asyncio.sleep(0.25)
        return None

    async def _over(self, identity: str) -> None:
        await self._inner.end(identity)

    def _is_due(self, session: Session) -> bool:
        return bool(session.expires) and session.expires - EARLY < self._clock()
