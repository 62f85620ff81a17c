"""A district's rows go with its connection, with the merge login. The receipt stays, without personal data."""

from __future__ import annotations

import psycopg

from .erase import Receipt
from .errors import StoreError


def purge(conn: psycopg.Connection, cluster: str, namespace: str, name: str, uid: str) -> Receipt:
    """Delete every row of the login's tenant, and free it. The same connection (uid) gets the same receipt again.

    Raises StoreError(TenantTaken) where another connection has claimed the tenant.
    """
    by = f"RosterConnection {namespace}/{name}"
    with conn.transaction():
        row = conn.execute(
            "select * from roster.purge(%s, %s, %s, %s, %s)", (cluster, namespace, name, uid, by)
        ).fetchone()
    if row is None:
        raise StoreError("DatabaseError", "The purge gave no receipt.", "Report this.")
    return Receipt(row[0], {str(table): int(count) for table, count in row[1].items()})
