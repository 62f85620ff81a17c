"""The schema's one owner: numbered .sql files, applied in order, each once, under a lock.

An applied file never changes: its SHA-256 is kept, and a difference is refused.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

import psycopg

from . import server_log
from .errors import StoreError, translated

_FILE = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LOCK = 7_230_417_001  # one migration at a time in a database; the number means nothing


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the file's text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All files in order of version."""
    found: list[Migration] = []
    for entry in resources.files("roster_operator.store").joinpath("migrations").iterdir():
        match = _FILE.match(entry.name)
        if match:
            found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda m: m.version)


def newest_version() -> int:
    """The version that this program was written for."""
    return migrations()[-1].version


def migrate(url: str) -> list[Migration]:
    """Bring the schema up to date with the owner's login. Gives the migrations that were applied now.

    Raises StoreError; a file that fails leaves the database as it was before that file.
    """
    from .database import secured  # noqa: PLC0415  database asks this module for the version

    applied: list[Migration] = []
    with translated(), psycopg.connect(secured(url), autocommit=True) as conn:
        conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
        conn.execute("create schema if not exists roster")
        conn.execute(
            "create table if not exists roster.schema_migration ("
            " version integer primary key, name text not null, sha256 text not null,"
            " applied_at timestamptz not null default now())"
        )
        known = {
            int(version): str(digest)
            for version, digest in conn.execute("select version, sha256 from roster.schema_migration").fetchall()
        }
        wanted = migrations()
        newer = max(known, default=0)
        if newer > wanted[-1].version:
            raise StoreError(
                "SchemaVersionUnknown",
                f"The database has schema version {newer}, newer than this program's {wanted[-1].version}.",
                "Use the newer release; a schema is never moved back.",
            )
        for migration in wanted:
            if migration.version in known:
                if known[migration.version] != migration.sha256:
                    raise StoreError(
                        "MigrationChanged",
                        f"Migration {migration.name} was applied with another text.",
                        "Use the release that made this database, or restore it from a backup.",
                    )
                continue
            with conn.transaction():
                conn.execute(migration.sql.encode())
                conn.execute(
                    "insert into roster.schema_migration (version, name, sha256) values (%s, %s, %s)",
                    (migration.version, migration.name, migration.sha256),
                )
            applied.append(migration)
        server_log.quieten(conn, server_log.logins_of(conn))
    return applied


def exposures(url: str) -> list[server_log.Exposure]:
    """What PostgreSQL's own log would show of people. Raises StoreError."""
    from .database import connect  # noqa: PLC0415  database asks this module for the version

    # A connection of its own: what was set on the owner holds from the next one on.
    with connect(url) as conn:
        return server_log.exposures(conn)
