"""The way to the identity provider: https, bounded in time and size, and never led elsewhere."""

from __future__ import annotations

import json
import ssl
from typing import Any

import aiohttp

from . import oidc_problems as problems

TIMEOUT = 10.0  # seconds, for one request
_LIMIT = 512 * 1024  # bytes of one answer


class Wire:
    """Connections to one provider. authority: PEM; empty for the system's certificates."""

    def __init__(self, authority: str) -> None:
        self._ssl = ssl.create_default_context(cadata=authority or None)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def ask(
        self, method: str, address: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """The status and the JSON of an answer, None where it has no body. Raises problems.Problem."""
        session = self._session or self._open()
        try:
            async with session.request(method, address, data=body, headers=headers, allow_redirects=False) as response:
                raw = bytearray()
                async for chunk in response.content.iter_chunked(64 * 1024):
                    raw += chunk
                    if len(raw) > _LIMIT:
                        raise problems.strange()
                status = response.status
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError, ssl.SSLError):
            raise problems.untrusted() from None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            raise problems.unavailable() from None
        if status == 429 or status >= 500:
            raise problems.unavailable()
        try:
            return status, json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            raise problems.strange() from None

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl, limit=16),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            # Compressed bodies are not asked for, and not inflated: a few bytes could become many.
            headers={"User-Agent": "roster-console", "Accept": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )
        return self._session
