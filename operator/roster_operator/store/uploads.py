"""Uploaded zips, by their digest: written in pieces through the tenant's stage login, and read back in pieces."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import IO, BinaryIO

import psycopg
from psycopg.rows import class_row

from .database import scalar
from .errors import StoreError

_PIECE = 2**20


@dataclass(frozen=True)
class Upload:
    """A zip as it rests in the database. digest: `sha256:` and hex. size: bytes. before: it was there already."""

    digest: str
    size: int
    expires_at: datetime
    before: bool


@dataclass(frozen=True)
class Resting:
    """A bundle that was sent in. gone: Merged or Expired, where its content is not here any more."""

    digest: str
    size: int
    uploaded_by: str
    uploaded_at: datetime
    expires_at: datetime
    gone: str | None


def resting(conn: psycopg.Connection, tenant: str, limit: int = 50) -> list[Resting]:
    """The newest bundles of a tenant, newest first."""
    with conn.cursor(row_factory=class_row(Resting)) as cursor:
        cursor.execute(
            "select digest, size, uploaded_by, uploaded_at, expires_at, gone from roster.upload"
            " where tenant = %s and complete order by uploaded_at desc, digest limit %s",
            (tenant, limit),
        )
        return cursor.fetchall()


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """A file's digest, and its size in bytes. It is read from the beginning to the end."""
    file.seek(0)
    found, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        found.update(piece)
        size += len(piece)
    return f"sha256:{found.hexdigest()}", size


def put(conn: psycopg.Connection, file: IO[bytes], by: str) -> Upload:
    """Store a zip, whole or not at all. by: who sent it.

    Raises StoreError(UploadTooLarge, UploadsFull, UploadMalformed), the last for a file that changed meanwhile.
    """
    digest, size = digest_of(file)
    with conn.transaction():
        begun = bool(scalar(conn, "select roster.begin_upload(%s, %s, %s)", digest, size, by[:256]))
        if begun:
            file.seek(0)
            read, number = hashlib.sha256(), 0
            while piece := file.read(_PIECE):
                read.update(piece)
                conn.execute("select roster.put_upload_chunk(%s, %s, %b)", (digest, number, piece))
                number += 1
            if f"sha256:{read.hexdigest()}" != digest:
                raise StoreError("UploadMalformed", "The file changed while it was uploaded.", "Upload it again.")
            conn.execute("select roster.end_upload(%s)", (digest,))
        expires_at = scalar(conn, "select expires_at from roster.upload where digest = %s", digest)
    assert isinstance(expires_at, datetime)
    return Upload(digest, size, expires_at, before=not begun)


def fetch(conn: psycopg.Connection, digest: str, into: BinaryIO) -> int:
    """Write an upload's content into a file, and give its size in bytes.

    Raises StoreError(UploadMissing, UploadExpired, UploadDigestMismatch).
    """
    row = conn.execute(
        "select size, gone, expires_at < now() from roster.upload where digest = %s and complete", (digest,)
    ).fetchone()
    if row is None or row[1] == "Merged":
        raise StoreError(
            "UploadMissing",
            "The upload was merged before, and its content is gone."
            if row
            else "The database has no upload with this digest for this tenant.",
            "Upload the zip again: `roster upload`.",
        )
    if row[1] is not None or row[2]:
        raise StoreError("UploadExpired", "The upload has expired.", "Upload the zip again: `roster upload`.")
    size, found, number = 0, hashlib.sha256(), 0
    while (piece := _piece(conn, digest, number)) is not None:
        into.write(piece)
        found.update(piece)
        size += len(piece)
        number += 1
    if size != row[0] or f"sha256:{found.hexdigest()}" != digest:
        raise StoreError(
            "UploadDigestMismatch", "What is stored is not what was uploaded.", "Upload the zip again: `roster upload`."
        )
    return size


def _piece(conn: psycopg.Connection, digest: str, number: int) -> bytes | None:
    with conn.cursor(binary=True) as cursor:
        cursor.execute("select content from roster.upload_chunk where digest = %s and number = %s", (digest, number))
        row = cursor.fetchone()
    return None if row is None else bytes(row[0])
