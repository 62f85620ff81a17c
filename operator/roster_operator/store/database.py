"""Connections to PostgreSQL: how they are opened, and the schema version that they must find."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import LiteralString

import psycopg
from psycopg import conninfo

from .bound import BoundCursor
from .errors import StoreError, translated
from .migrate import newest_version

CONNECT_TIMEOUT_SECONDS = 10

# A URL; a connection that is open already: what is done then is a part of its transaction; or what lends one.
Lender = Callable[[], AbstractContextManager[psycopg.Connection]]
Database = str | psycopg.Connection | Lender


def secured(url: str) -> str:
    """The connection string with `sslmode=verify-full` where it names none and leads off this machine.

    Raises StoreError(DatabaseURLMalformed), which never repeats the URL: it holds a password.
    """
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        parts = None
    if parts is None:
        raise StoreError(
            "DatabaseURLMalformed",
            "The database URL cannot be read.",
            "Write it as postgresql://user:password@host/database.",
        )
    host = str(parts.get("host") or "")
    if "sslmode" not in parts and not _on_this_machine(host):
        parts["sslmode"] = "verify-full"
        parts.setdefault("sslrootcert", "system")
    parts.setdefault("connect_timeout", str(CONNECT_TIMEOUT_SECONDS))
    parts.setdefault("application_name", "roster")
    return conninfo.make_conninfo("", **parts)


def _on_this_machine(host: str) -> bool:
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def connect(url: Database) -> Generator[psycopg.Connection]:
    """An autocommit connection, or the one that is given; errors inside the block come out as StoreError."""
    if isinstance(url, psycopg.Connection):
        with translated():
            yield url
        return
    if callable(url):
        with url() as conn, translated():
            require_schema(conn)
            yield conn
        return
    with translated(), psycopg.connect(secured(url), autocommit=True, cursor_factory=BoundCursor) as conn:
        require_schema(conn)
        yield conn


def require_schema(conn: psycopg.Connection) -> None:
    """Raises StoreError where the schema is not exactly the version that this program was written for."""
    found = scalar(conn, "select roster.schema_version()")
    wanted = newest_version()
    if found != wanted:
        raise StoreError(
            "SchemaVersionUnknown",
            f"The database has schema version {found}, this program needs {wanted}.",
            "Run `roster migrate` of the same release, or use the release that fits the database.",
        )


def scalar(conn: psycopg.Connection, query: LiteralString, *parameters: object) -> object:
    """The first column of the first row, or None."""
    row = conn.execute(query, parameters or None).fetchone()
    return row[0] if row else None
