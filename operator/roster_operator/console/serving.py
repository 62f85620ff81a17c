"""The server in front of the application: plain http behind somebody who speaks TLS, or TLS of its own.

A certificate that was renewed is taken while the server runs: who issues them for three months, or for a day, does not
restart what uses them.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import uvicorn

from .guard import Guarded
from .settings import Settings, SettingsError

log = logging.getLogger(__name__)

LOOK = 60.0  # seconds between two looks at the certificate's files


async def serve(app: Guarded, settings: Settings) -> bool:
    """Serve until a signal ends it; whether it could begin. Raises SettingsError."""
    certificate = None
    if settings.certificate and settings.certificate_key:
        certificate = Certificate(settings.certificate, settings.certificate_key)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.listen,
            port=settings.port,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here depends on the client's address or on the outer scheme
            limit_concurrency=256,
            timeout_graceful_shutdown=10,
            ws="none",
            ssl_context_factory=(lambda _config, _default: certificate.context) if certificate else None,
        )
    )
    watching = asyncio.create_task(certificate.watch(LOOK)) if certificate else None
    try:
        await server.serve()
    finally:
        if watching:
            watching.cancel()
    return server.started


class Certificate:
    """A certificate and its key, in files that somebody else renews."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._seen: tuple[bytes, bytes] | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            self.renew()
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"ROSTER_CONSOLE_TLS_CERT, ROSTER_CONSOLE_TLS_KEY: no certificate with its key ({type(error).__name__})"
            ) from None

    async def watch(self, every: float) -> None:
        """Take what is renewed. What is half written is looked at again; the old one serves meanwhile."""
        while True:
            await asyncio.sleep(every)
            try:
                if self.renew():
                    log.info("the certificate was renewed")
            except (OSError, ValueError) as error:
                log.warning("the renewed certificate cannot be used: %s", type(error).__name__)

    def renew(self) -> bool:
        """Use what the files hold for new connections; whether it is new. Raises OSError, ValueError."""
        now = (self._certificate.read_bytes(), self._key.read_bytes())
        if now == self._seen:
            return False
        # A context that a wrong key was loaded into serves nobody any more, so another one is tried first.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
        self.context.load_cert_chain(self._certificate, self._key)
        self._seen = now
        return True
