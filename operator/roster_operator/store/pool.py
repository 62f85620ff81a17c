"""Connections that a long-lived program keeps: opening one takes longer than most of what is asked through it.

Nothing of one transaction reaches the next one's: what the console may see is bound to its transaction's number
(migrations/0007_console.sql), and its settings are local to it.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from .bound import BoundCursor
from .database import secured
from .errors import translated

MOST = 8  # connections of one process
PATIENCE = 5.0  # seconds to wait for one
IDLE = 120.0  # seconds that one is kept without use
LIFETIME = 1800.0  # seconds, so that what a fail-over or a new password left behind goes


class Pool:
    """Connections to one database. The first is opened when it is first needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ConnectionPool | None = None
        self._lock = threading.Lock()

    @contextmanager
    def connection(self) -> Generator[psycopg.Connection]:
        """One that works, for as long as the block lasts. Raises StoreError where there is none."""
        with translated():
            pool = self._open()
            try:
                conn = pool.getconn()
            except PoolTimeout:
                # The pool tells only that it waited. What a connection of its own is refused for says why.
                psycopg.connect(secured(self._url)).close()
                raise
        try:
            yield conn
        finally:
            pool.putconn(conn)

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _open(self) -> ConnectionPool:
        with self._lock:
            if self._pool is None:
                self._pool = ConnectionPool(
                    secured(self._url),
                    kwargs={"autocommit": True, "cursor_factory": BoundCursor},
                    min_size=0,
                    max_size=MOST,
                    timeout=PATIENCE,
                    max_idle=IDLE,
                    max_lifetime=LIFETIME,
                    check=ConnectionPool.check_connection,
                    open=True,
                )
            return self._pool
