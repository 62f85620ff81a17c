"""Which file a run was made from: recorded while it is staged, and asked for by the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from .database import scalar
from .runs import jsonb
from .stage import Stage


def record(conn: psycopg.Connection, stage: Stage, origin: Mapping[str, Any]) -> None:
    """Keep the file's facts with the run that is being staged. Raises FencedError."""
    conn.execute("select roster.record_source(%s, %s, %s)", (stage.run, stage.token, jsonb(dict(origin))))


def last_merged(conn: psycopg.Connection) -> dict[str, Any] | None:
    """The facts of the file on a server that was merged last in the login's own tenant; None where none was."""
    found = scalar(
        conn,
        "select source from roster.sync_run where tenant = (select roster.session_tenant()) and state = 'Merged'"
        " and source ? 'modified' order by data_version desc limit 1",
    )
    return dict(found) if isinstance(found, dict) else None
