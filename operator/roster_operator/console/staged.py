"""From a sync to what the database has staged of it."""

from __future__ import annotations

from uuid import UUID

import psycopg

from roster_operator.store import runs
from roster_operator.store.errors import StoreError

from .resources import Sync


def staged_run(conn: psycopg.Connection, sync: Sync) -> runs.Run:
    """The run, while it is staged. Raises StoreError(NotStaged)."""
    try:
        run = runs.find(conn, UUID(sync.metadata.uid))
    except ValueError:
        run = None
    if run is None or run.state != "Staged":
        raise StoreError(
            "NotStaged",
            "Nothing of this sync is staged any more: it was merged or has ended, or it has not come so far.",
            "Its own page says how it stands.",
        )
    return run
