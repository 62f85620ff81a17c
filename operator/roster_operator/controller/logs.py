"""JSON logs: one object a line, of this operator and of Kopf. Never DEBUG: Kopf would print whole objects."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """Set the root logger up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # One line for every object that has no handler of another kind; nothing that helps.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
