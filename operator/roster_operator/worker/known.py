"""Which ids a pull has staged, and which it has left out: 8 bytes each, since a district has millions."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import xxhash

from roster_operator.oneroster.entities import Entity
from roster_operator.store.seen import Hashes, distinct


class KnownIds:
    """Ids staged in this run, as sorted hashes, and ids left out of scope: what later entities refer to."""

    def __init__(self) -> None:
        self._sorted: dict[Entity, Hashes] = {}
        self._left_out: dict[Entity, Hashes] = {}

    def put(self, entity: Entity, decoded: array[int], unfit: array[int], left_out: array[int]) -> None:
        """All valid ids of an entity that was pulled to its end: those of its decoded records but the unfit ones."""
        self._sorted[entity] = _without(decoded, unfit)
        # Of a record that came twice nobody knows whether it is out of scope.
        if left_out:
            self._left_out[entity] = _without(left_out, unfit)

    def left_out(self, entity: Entity, ids: Iterable[str]) -> set[str]:
        """Those of these ids that this run left out of scope."""
        gone = self._left_out.get(entity)
        if gone is None:
            return set()
        distinct = list(dict.fromkeys(ids))
        hashes = np.array([id_hash(i) for i in distinct], dtype=np.uint64)
        return {distinct[at] for at in np.flatnonzero(np.isin(hashes, gone)).tolist()}

    def unknown(self, entity: Entity, ids: Sequence[str]) -> list[int]:
        """Positions of the ids that were not staged in this run (they may be merged already)."""
        known = self._sorted.get(entity, _NONE)
        if not len(known):
            return list(range(len(ids)))
        hashes = np.array([id_hash(i) for i in ids], dtype=np.uint64)
        at = np.searchsorted(known, hashes)
        at[at == len(known)] = 0
        return np.flatnonzero(known[at] != hashes).tolist()


_NONE: Hashes = np.empty(0, dtype=np.uint64)


def _without(ids: array[int], unfit: array[int]) -> Hashes:
    found = distinct(hashes_of(ids))
    return found[~np.isin(found, hashes_of(unfit))] if unfit else found


def hashes_of(values: array[int]) -> Hashes:
    """An array("Q") as numpy sees it, without a copy."""
    return np.frombuffer(values, dtype=np.uint64) if values else _NONE


def id_hash(sourced_id: str) -> int:
    """64 bits of a sourcedId."""
    return xxhash.xxh3_64_intdigest(sourced_id.encode())
