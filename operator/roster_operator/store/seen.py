"""Which merged rows a pull showed again, byte for byte.

The raw hashes (xxh3, 64 bits) of an entity's active merged rows stand in one sorted array, 8 bytes a row; a page's
hashes are looked up all at once. Only records that are not found need to be decoded and staged.
"""

from __future__ import annotations

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from .tables import Table

Hashes = NDArray[np.uint64]


def distinct(hashes: Hashes) -> Hashes:
    """Each once, sorted. numpy.unique builds a hash table of them, which takes ten times as long."""
    found = np.sort(hashes)
    return found[np.concatenate([[True], found[1:] != found[:-1]])] if len(found) else found


def _unpacked(hashes: bytes) -> Hashes:
    return np.frombuffer(hashes, dtype=">u8").astype(np.uint64)


class SeenIndex:
    """The hashes of one entity's active merged rows, and which of them were seen."""

    def __init__(self, hashes: Hashes, *, active: int | None = None, aside: Hashes | None = None) -> None:
        """aside: hashes of rows that are to be decoded and compared whatever their bytes say."""
        hashes = np.sort(hashes)
        # Two rows with one hash cannot be told apart: if one of them vanished, the other would hide it. Neither takes
        # part; their records are decoded and compared by key, which is slower and always right.
        twin = np.zeros(len(hashes), dtype=bool)
        if len(hashes) > 1:
            equal = hashes[1:] == hashes[:-1]
            twin[1:] |= equal
            twin[:-1] |= equal
        if aside is not None and len(aside):
            twin |= np.isin(hashes, aside)
        self._ambiguous: Hashes = hashes[twin]
        self._hashes: Hashes = hashes[~twin]
        self._seen: NDArray[np.bool_] = np.zeros(len(self._hashes), dtype=bool)
        self.active = len(hashes) if active is None else active

    @classmethod
    def load(cls, conn: psycopg.Connection, table: Table) -> SeenIndex:
        """Read the hashes of the login's own tenant."""
        # Thousands of hashes a row: a row each would cost more than the hashes.
        query = sql.SQL(
            "select string_agg(int8send(m.raw_hash), ''::bytea), count(*) from (select raw_hash,"
            " row_number() over () / 10000 as block from roster.{table} where status = 'active' and source = 'SIS'"
            " and tenant = (select roster.session_tenant())) m group by m.block"
        ).format(table=sql.Identifier(table.name))
        active, parts = 0, list[bytes]()
        with conn.cursor(binary=True) as cursor:
            for hashes, count in cursor.execute(query):
                active += count
                parts.append(hashes or b"")
            pinned = cursor.execute(
                sql.SQL(
                    "select string_agg(distinct int8send(m.raw_hash), ''::bytea) from roster.pin p"
                    " join roster.{table} m on m.tenant = p.tenant and m.sourced_id = p.sourced_id"
                    " where p.entity = {entity} and m.status = 'active' and m.source = 'SIS'"
                    " and p.tenant = (select roster.session_tenant())"
                ).format(table=sql.Identifier(table.name), entity=sql.Literal(table.entity))
            ).fetchone()
        aside = pinned[0] if pinned and pinned[0] else b""
        return cls(_unpacked(b"".join(parts)), active=active, aside=_unpacked(aside))

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

    def saw(self, raw_hash: int) -> bool:
        """Whether the row with this hash (signed, as the database has it) was seen."""
        wanted = np.uint64(raw_hash % 2**64)
        at = int(np.searchsorted(self._hashes, wanted))
        return at < len(self._hashes) and bool(self._hashes[at] == wanted and self._seen[at])

    @property
    def seen_count(self) -> int:
        """Merged rows that were seen."""
        return int(self._seen.sum())

    def unseen(self) -> Hashes:
        """The hashes of rows that were not seen, or whose hash cannot tell."""
        return np.concatenate([self._hashes[~self._seen], self._ambiguous])
