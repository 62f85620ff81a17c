"""The console's way in: every transaction begins with who reads what, and sees that one tenant alone.

The record and the rows are of one transaction. The database holds to it, not this module: without its row in
roster.reading no table shows anything to the console's login (migrations/0007_console.sql).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg
from psycopg.rows import class_row

from .database import Database, connect

_LONGEST = "15s"  # a page's statement; nobody waits longer for a page


class Kind(StrEnum):
    """What was looked at."""

    PLAN = "plan"  # what a sync would change, record by record
    REPORT = "report"  # the file for the school
    PEOPLE = "people"  # a list of people
    PERSON = "person"  # one person's story
    STUDENT = "student"  # added or changed by hand
    PINS = "pins"  # values that people set against the source
    PIN = "pin"  # one of them, set or released
    MATCHES = "matches"  # who may be one person
    MATCH = "match"  # a decision on two
    EXPORT = "export"  # everything that is merged, as a file
    ACCESS = "access"  # who may use the application
    UPLOADS = "uploads"  # bundles that rest
    ACTIVITY = "activity"  # who did and read what


@dataclass(frozen=True)
class Place:
    """A tenant, and the connection that has claimed it. cluster: its uid; None where it is not known, not compared."""

    tenant: str
    namespace: str
    connection: str
    cluster: str | None = None


@dataclass(frozen=True)
class Reading:
    """One look, as it was recorded."""

    at: datetime
    person: str
    kind: str


@contextmanager
def opened(
    url: Database, place: Place, *, person: str, kind: Kind, subject: str | None = None, write: bool = False
) -> Generator[psycopg.Connection]:
    """A transaction in which the tenant can be read, and with `write` what the console may write can be written.

    subject: the sourcedId of the one person whom it is about; only its hash is kept.
    Raises StoreError(TenantNotOpen, NotTheConsole, DatabaseUnavailable…).
    """
    with connect(url) as conn, conn.transaction():
        conn.execute("select set_config('statement_timeout', %s, true)", (_LONGEST,))
        conn.execute(
            "select roster.open_reading(%s, %s, %s, %s, %s, %s, %s)",
            (place.tenant, place.cluster, place.namespace, place.connection, person[:256], kind.value, subject),
        )
        if not write:
            conn.execute("set transaction read only")
        yield conn


def listing(conn: psycopg.Connection, limit: int = 100) -> list[Reading]:
    """The newest readings of the tenant that is open, newest first."""
    with conn.cursor(row_factory=class_row(Reading)) as cursor:
        cursor.execute("select at, person, kind from roster.reading order by at desc, person limit %s", (limit,))
        return cursor.fetchall()
