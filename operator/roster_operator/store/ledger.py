"""Whether the database still holds what it was last known to hold.

A fail-over that lost the last commits, or a backup that was put back, gives an older database without saying so. Who
asks brings what was known; the database's identity goes along with its data, so another identity is another database,
of which nothing was known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import psycopg

from . import runs
from .errors import StoreError


@dataclass(frozen=True)
class Ledger:
    """What a database was known to hold of a tenant: its version, and the run that was merged last."""

    database: UUID
    data_version: int
    run: UUID | None = None


@dataclass(frozen=True)
class Rewound:
    """The database holds less than it did. Versions of the tenant's data: the one that was known, and the one found."""

    known: int
    found: int

    def to_dict(self) -> dict[str, Any]:
        """As kept with a plan."""
        return asdict(self)


class RewoundError(StoreError):
    """The database was put back behind a plan's back."""

    def __init__(self, rewound: Rewound) -> None:
        super().__init__(
            "DatabaseRewound",
            f"The database is older than it was: it holds version {rewound.found} of this district's data, and held"
            f" {rewound.known}. A backup was restored, or a fail-over lost commits. Nothing was merged.",
            "See that this is the right database, then create another RosterSync: it reads everything, and its plan"
            " shows what the database lacks and waits for approvedPlan.",
        )


def found(conn: psycopg.Connection) -> Ledger:
    """What the database holds of the login's tenant now."""
    row = conn.execute(
        "select run from roster.sync_run where tenant = (select roster.session_tenant()) and state = 'Merged'"
        " order by data_version desc limit 1"
    ).fetchone()
    return Ledger(UUID(runs.database_id(conn)), runs.data_version(conn), row[0] if row else None)


def rewound(conn: psycopg.Connection, known: Ledger | None) -> Rewound | None:
    """Whether the database is behind what was known. Hand-made changes may have brought its version on since: then the
    run that was merged last is missed."""
    if known is None or known.database != UUID(runs.database_id(conn)):
        return None
    version = runs.data_version(conn)
    lost = version < known.data_version
    if not lost and known.run is not None:
        run = runs.find(conn, known.run)
        lost = run is None or run.state != "Merged"
    return Rewound(known.data_version, version) if lost else None
