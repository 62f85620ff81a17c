"""Which merged rows a pull showed again, byte for byte.

The raw hashes (xxh3, 64 bits) of an entity's active merged rows stand in one sorted array, 8 bytes a row; a page's
hashes are looked up all at once. Only records that are not found need to be decoded and staged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from .tables import Table

Hashes = NDArray[np.uint64]
# One row of COPY … TO STDOUT (FORMAT binary) with a single bigint: number of fields, length of the field, value.
_BINARY_ROW = np.dtype([("fields", ">i2"), ("length", ">i4"), ("value", ">i8")])
_BINARY_HEADER = 19  # signature 11, flags 4, extension length 4
_BINARY_TRAILER = 2


class SeenIndex:
    """The hashes of one entity's active merged rows, and which of them were seen."""

    def __init__(self, hashes: Hashes, *, active: int | None = None) -> None:
        hashes = np.sort(hashes)
        # Two rows with one hash cannot be told apart: if one of them vanished, the other would hide it. Neither takes
        # part; their records are decoded and compared by key, which is slower and always right.
        twin = np.zeros(len(hashes), dtype=bool)
        if len(hashes) > 1:
            equal = hashes[1:] == hashes[:-1]
            twin[1:] |= equal
            twin[:-1] |= equal
        self._ambiguous: Hashes = hashes[twin]
        self._hashes: Hashes = hashes[~twin]
        self._seen: NDArray[np.bool_] = np.zeros(len(self._hashes), dtype=bool)
        self.active = len(hashes) if active is None else active

    @classmethod
    def load(cls, conn: psycopg.Connection, table: Table) -> SeenIndex:
        """Read the hashes of the login's own tenant."""
        query = sql.SQL(
            "copy (select raw_hash from roster.{table} where status = 'active' and source = 'SIS'"
            " and raw_hash is not null and tenant = (select roster.session_tenant())) to stdout (format binary)"
        ).format(table=sql.Identifier(table.name))
        count = conn.execute(
            sql.SQL(
                "select count(*) from roster.{table} where status = 'active' and source = 'SIS'"
                " and tenant = (select roster.session_tenant())"
            ).format(table=sql.Identifier(table.name))
        ).fetchone()
        active = int(count[0]) if count else 0
        if not active:
            return cls(np.empty(0, dtype=np.uint64), active=0)
        with conn.cursor() as cursor, cursor.copy(query) as copy:
            data = b"".join(bytes(block) for block in copy)
        rows: NDArray[Any] = np.frombuffer(data[_BINARY_HEADER:-_BINARY_TRAILER], dtype=_BINARY_ROW)
        return cls(rows["value"].astype(np.int64).view(np.uint64), active=active)

    def restart(self) -> None:
        """Forget what was seen: the listing is read again."""
        self._seen[:] = False

    def look_up(self, hashes: Hashes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Mark what is found. Gives the positions in `hashes` of the misses, and of hits that were seen before."""
        if not len(self._hashes):
            return np.arange(len(hashes)), np.empty(0, dtype=np.intp)
        at = np.searchsorted(self._hashes, hashes)
        at[at == len(self._hashes)] = 0
        hit = self._hashes[at] == hashes
        positions = np.flatnonzero(hit)
        targets = at[positions]
        # A hit is a repetition where the row was seen on an earlier page, or earlier on this one.
        first = np.zeros(len(targets), dtype=bool)
        first[np.unique(targets, return_index=True)[1]] = True
        repeated = positions[self._seen[targets] | ~first]
        self._seen[targets] = True
        return np.flatnonzero(~hit), repeated

    @property
    def seen_count(self) -> int:
        """Merged rows that were seen."""
        return int(self._seen.sum())

    def unseen(self) -> Hashes:
        """The hashes of rows that were not seen, or whose hash cannot tell."""
        return np.concatenate([self._hashes[~self._seen], self._ambiguous])
