"""`python -m roster_operator.controller`."""

from __future__ import annotations

import asyncio
import sys

from .app import FAILED, run
from .logs import configure
from .settings import SettingsError, load


def main() -> int:
    """Read the settings, then run."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"roster-operator cannot start: {error}.\n")
        return FAILED
    configure(settings.log_level)
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
