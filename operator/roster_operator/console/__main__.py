"""`python -m roster_operator.console`."""

from __future__ import annotations

import asyncio
import logging
import sys

from .app import build
from .serving import serve
from .settings import SettingsError, load


def main() -> int:
    """Read the settings, then serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load()
        logging.getLogger(__name__).info(
            "reads from %s, listens on %s:%d%s",
            settings.server,
            settings.listen,
            settings.port,
            " with TLS" if settings.certificate else "",
        )
        return 0 if asyncio.run(serve(build(settings), settings)) else 1
    except SettingsError as error:
        sys.stderr.write(f"The console cannot start: {error}.\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
