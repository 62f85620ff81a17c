"""The one error of this room, and how PostgreSQL's errors become it.

PostgreSQL puts whole rows into its messages (DETAIL, CONTEXT, the failing COPY line), so none of its text ever leaves
this module: only the SQLSTATE does, and sentences of our own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import psycopg


class StoreError(Exception):
    """A step could not be done. `reason` is stable; `message` holds no value of any row; `next_step` is for people."""

    def __init__(self, reason: str, message: str, next_step: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.next_step = next_step
        self.retryable = retryable


class FencedError(StoreError):
    """A newer attempt has taken this run over."""

    def __init__(self) -> None:
        super().__init__(
            "Fenced", "A newer attempt of this sync has taken over.", "Nothing: the newer attempt goes on."
        )


class AlreadyStagedError(StoreError):
    """The run was staged before; its recorded answer stands."""

    def __init__(self) -> None:
        super().__init__("AlreadyStaged", "This sync is staged already.")


class DiscardedError(StoreError):
    """The run has ended without a merge."""

    def __init__(self) -> None:
        super().__init__("Discarded", "This sync was discarded.", "Create a new RosterSync to pull the data again.")


class NotStagedError(StoreError):
    """There is nothing to plan or merge under this run. `retryable` while it is being staged."""

    def __init__(self, *, retryable: bool = False) -> None:
        super().__init__(
            "NotStaged",
            "Nothing is staged under this sync.",
            "Create a new RosterSync to pull the data again.",
            retryable=retryable,
        )


# Raised by the functions of the schema (migrations/*.sql).
_OURS = {
    "RO001": lambda: StoreError(
        "NotATenantLogin",
        "The database login belongs to no tenant.",
        "Use the Secret that `roster tenant create` printed.",
    ),
    "RO002": lambda: StoreError(
        "TenantMismatch",
        "The database login belongs to another tenant than the one that the connection names.",
        "Make spec.tenant and the database Secret agree.",
    ),
    "RO003": lambda: StoreError(
        "TenantTaken",
        "Another connection owns this tenant.",
        "Choose another tenant, or free it with `roster tenant release`.",
    ),
    "RO004": AlreadyStagedError,
    "RO005": DiscardedError,
    "RO006": FencedError,
    "RO007": NotStagedError,
    "RO010": lambda: StoreError(
        "NotTheConsole", "The database login is not a console's.", "Use the Secret that `roster console-login` printed."
    ),
    "RO011": lambda: StoreError(
        "TenantNotOpen",
        "The district's rows belong to another connection, or to none yet.",
        "Test the connection: its first good test claims the tenant.",
    ),
    "RO030": lambda: StoreError(
        "UndoUnknown",
        "No sync of this name was merged for this connection.",
        "Name a merged RosterSync of the same connection; `kubectl roster history` lists them.",
    ),
    "RO020": lambda: StoreError(
        "UploadTooLarge",
        "The zip is larger than an upload of this tenant may be.",
        "Is it the right file? If so, have the database's owner raise upload_bytes of the tenant.",
    ),
    "RO021": lambda: StoreError(
        "UploadsFull",
        "The tenant has as many uploads as it may have, by count or by size.",
        "Merge what waits, or wait until an old upload expires.",
    ),
    "RO040": lambda: StoreError("FieldNotPinnable", "This field cannot be pinned.", "Choose another one."),
    "RO041": lambda: StoreError(
        "RecordUnknown", "The district has no such active record of the SIS.", "Look at the record as it is now."
    ),
    "RO022": lambda: StoreError("UploadMalformed", "The upload was not written in order.", "Upload the zip again."),
}


# While a connection is made libpq hands on no SQLSTATE, only text. It is looked at and never repeated. A server that
# speaks another language than English is DatabaseUnreachable in these cases.
_AT_CONNECT = (
    (
        (
            "authentication failed",
            "no pg_hba.conf entry",
            "is not permitted to log in",
            "no password",
            'FATAL:  role "',
        ),
        lambda: StoreError(
            "DatabaseLoginRefused",
            "PostgreSQL refused the login.",
            "Check the URL in the database Secret; `roster tenant create --rotate` prints a new one.",
        ),
    ),
    (
        ('FATAL:  database "', "permission denied for database"),
        lambda: StoreError(
            "DatabaseMissing", "The database does not exist, or the login may not enter it.", "Check the database URL."
        ),
    ),
    (
        ("SSL", "certificate"),
        lambda: StoreError(
            "DatabaseTLSFailed",
            "The TLS connection to PostgreSQL could not be made, or its certificate could not be verified.",
            "Check sslmode and sslrootcert in the database URL, and the server's certificate.",
        ),
    ),
)


def translate(error: psycopg.Error) -> StoreError:
    """The typed error for one of PostgreSQL's, by its SQLSTATE."""
    state = error.sqlstate or ""
    if state in _OURS:
        return _OURS[state]()
    if state in {"42P01", "3F000", "42883"}:
        return StoreError(
            "SchemaMissing",
            f"The roster schema is missing or of another version (SQLSTATE {state}).",
            "Run `roster migrate` with the owner's URL.",
        )
    if state == "42501":
        return StoreError(
            "DatabasePermissionDenied",
            "The login may not do this (SQLSTATE 42501).",
            "Use the Secret that `roster tenant create` printed, each key for its own step.",
        )
    if state == "25006":
        return StoreError("DatabaseReadOnly", "The database is read-only.", "Wait for the fail-over.", retryable=True)
    if state == "53100":
        return StoreError(
            "DatabaseFull", "The database's disk is full.", "Free space, then it is tried again.", retryable=True
        )
    if state[:2] in {"08", "53", "57", "58"} or state in {"40001", "40P01", "55P03"}:
        return StoreError(
            "DatabaseUnavailable",
            f"PostgreSQL could not do this now (SQLSTATE {state}).",
            "It is tried again; look at the database if it stays.",
            retryable=True,
        )
    if not state and isinstance(error, psycopg.OperationalError):
        for words, refused in _AT_CONNECT:
            if any(word in str(error) for word in words):
                return refused()
        return StoreError(
            "DatabaseUnreachable",
            "No connection to PostgreSQL.",
            "Check the host and port in the database Secret, and that the database runs.",
            retryable=True,
        )
    return StoreError(
        "DatabaseError",
        f"PostgreSQL refused a statement (SQLSTATE {state or 'none'}).",
        "Report this with the SQLSTATE.",
    )


@contextmanager
def translated() -> Generator[None]:
    """Turns psycopg's errors into StoreError. No traceback shows the original: its text may hold rows."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from None
