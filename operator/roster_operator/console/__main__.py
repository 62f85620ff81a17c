"""`python -m roster_operator.console`."""

from __future__ import annotations

import logging
import sys

import uvicorn

from .app import build
from .settings import SettingsError, load


def main() -> int:
    """Read the settings, then serve."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"The console cannot start: {error}.\n")
        return 1
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger(__name__).info("reads from %s, listens on %s:%d", settings.server, settings.listen, settings.port)
    uvicorn.run(
        build(settings),
        host=settings.listen,
        port=settings.port,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address or on the outer scheme
        limit_concurrency=256,
        timeout_graceful_shutdown=10,
        ws="none",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
