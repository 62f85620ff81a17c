"""Authorised requests to one server: credentials, retries, rate and concurrency."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

import stamina
from aiolimiter import AsyncLimiter

from .answers import clock_skew, refusal
from .authorisation import authorisation
from .credential import Credential
from .errors import OneRosterError, Reason
from .http import Client, Response
from .oauth2 import Token, TokenRequest
from .settings import RestSettings

T = TypeVar("T")

_TOKEN_BODY = 65_536
_BROKEN_TRIES = 2


class Patience:
    """Decides, for one request, whether and when it is tried again. Waits for what the server asks for,
    and gives up when that would pass the budget (seconds). server_errors: how many 5xx it bears, if few."""

    def __init__(self, budget: float, server_errors: int | None = None) -> None:
        self._ends = time.monotonic() + budget
        self._broken = 0
        self._server_errors = server_errors

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, OneRosterError) or not error.retryable:
            return False
        if error.reason is Reason.MALFORMED_RESPONSE:
            self._broken += 1
            if self._broken > _BROKEN_TRIES:
                return False
        if error.reason is Reason.SERVER_ERROR and self._server_errors is not None:
            self._server_errors -= 1
            if self._server_errors < 0:
                return False
        if error.retry_after is None:
            return True
        return error.retry_after if time.monotonic() + error.retry_after < self._ends else False


class Session:
    """Authorised GETs. Belongs to one event loop."""

    def __init__(self, settings: RestSettings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        rate = settings.requests_per_second
        self._limiter = AsyncLimiter(1, 1 / rate) if rate else None
        self._not_before = 0.0
        self.auth = authorisation(settings, self._converse)
        self.clock_skew: float | None = None

    async def get(
        self,
        url: str,
        read: Callable[[Response], T],
        *,
        budget: float | None = None,
        server_errors: int | None = None,
    ) -> T:
        """GETs a URL and reads the answer with `read`, which may raise; transient failures are tried again.

        An answer that stays refused (4xx) goes to `read` like any other. budget: seconds for all tries.
        server_errors: how many 5xx to bear.
        """

        async def once() -> T:
            return read(await self._authorised(url))

        return await self._patiently(once, self._settings.retry_budget if budget is None else budget, server_errors)

    async def _patiently(self, once: Callable[[], Awaitable[T]], budget: float, server_errors: int | None = None) -> T:
        settings = self._settings
        async for attempt in stamina.retry_context(
            on=Patience(budget, server_errors),
            attempts=settings.retry_attempts,
            timeout=budget,
            wait_initial=settings.retry_wait,
            wait_max=settings.retry_wait_max,
            wait_jitter=settings.retry_wait,
        ):
            with attempt:
                return await once()
        raise AssertionError  # the loop returns or raises

    async def _converse(self, begin: Callable[[], Generator[TokenRequest, Response, Token]]) -> Token:
        """Leads a conversation with the token server; a transient failure begins it anew."""

        async def once() -> Token:
            talk = begin()
            try:
                request = next(talk)
                while True:
                    request = talk.send(await self._paced(lambda request=request: self._post(request)))
            except StopIteration as done:
                return done.value

        return await self._patiently(once, self._settings.retry_budget)

    async def _post(self, request: TokenRequest) -> Response:
        url = request.address(self._settings.token_url)
        return await self._client.post(url, request.headers, request.content, _TOKEN_BODY)

    async def _authorised(self, url: str) -> Response:
        credential = await self.auth.credential()
        response = await self._fetch(url, credential)
        # Some servers say 403 where a token has ended.
        if response.status in (401, 403) and (another := await self.auth.renewed(credential)) is not None:
            credential = another
            response = await self._fetch(url, credential)
        if response.status < 400:
            self.auth.accepted(credential)
        elif (error := refusal(response)).retryable:
            if error.retry_after:
                self._not_before = max(self._not_before, time.monotonic() + min(error.retry_after, 60.0))
            raise error
        return response

    async def _fetch(self, url: str, credential: Credential) -> Response:
        response = await self._paced(lambda: self._client.get(url, credential.headers, self._settings.max_body))
        skew = clock_skew(response)
        self.clock_skew = self.clock_skew if skew is None else skew
        return response

    async def _paced(self, send: Callable[[], Awaitable[Response]]) -> Response:
        async with self._slots:
            wait = self._not_before - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._limiter is not None:
                await self._limiter.acquire()
            return await send()
