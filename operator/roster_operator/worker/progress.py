"""Progress of a stage: one JSON line at a time on stdout, at most one a second. Counts only."""

from __future__ import annotations

import json
import sys
import time


class ProgressLines:
    """Called with (entity, records so far, total or None)."""

    def __init__(self, every_seconds: float = 1.0) -> None:
        self._every = every_seconds
        self._next = 0.0
        self._entity = ""

    def __call__(self, entity: str, records: int, total: int | None) -> None:
        now = time.monotonic()
        if entity == self._entity and now < self._next:
            return
        self._entity, self._next = entity, now + self._every
        sys.stdout.write(json.dumps({"entity": entity, "records": records, "total": total}) + "\n")
        sys.stdout.flush()
