"""The console's sessions in the database: sealed, bounded, and reached by their ids alone (migrations/0012, 0017)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import psycopg

from .database import Database, connect


@dataclass(frozen=True)
class Bounds:
    """How long a session lives, how long it may rest, and how many there may be of one person and in all."""

    lifetime: timedelta
    idle: timedelta
    most_each: int
    most: int


def begin(url: Database, identity: bytes, owner: bytes, sealed: bytes, bounds: Bounds) -> None:
    """Keep a new session, in place of the least used where there are too many. Raises StoreError(NotTheConsole…).

    identity, owner: hashes of 32 bytes.
    """
    with connect(url) as conn:
        conn.execute(
            "select roster.begin_session(%s, %s, %s, %s, %s, %s, %s)",
            (identity, owner, sealed, bounds.lifetime, bounds.idle, bounds.most_each, bounds.most),
        )


def find(url: Database, identity: bytes, bounds: Bounds) -> bytes | None:
    """What was sealed, if the session still lives. Raises StoreError."""
    with connect(url) as conn:
        row = conn.execute(
            "select roster.find_session(%s, %s, %s)", (identity, bounds.lifetime, bounds.idle)
        ).fetchone()
    return bytes(row[0]) if row and row[0] is not None else None


def renew(url: Database, identity: bytes, sealed: bytes) -> None:
    """Put another content into a session that lives. Raises StoreError."""
    with connect(url) as conn:
        conn.execute("select roster.renew_session(%s, %s)", (identity, sealed))


def end(url: Database, identity: bytes) -> None:
    """Forget a session. Raises StoreError."""
    with connect(url) as conn:
        conn.execute("select roster.end_session(%s)", (identity,))


def forget_old(conn: psycopg.Connection, lifetime: timedelta) -> int:
    """With the owner's login: take away what began longer ago; how many."""
    return conn.execute("delete from roster.console_session where began < now() - %s", (lifetime,)).rowcount
