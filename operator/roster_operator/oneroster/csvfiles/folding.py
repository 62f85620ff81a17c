"""The roles of a 1.2 bundle by user: a file of their own there, a part of the user everywhere else."""

from array import array
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import xxhash

# So many different roles are kept once. A district has as many as it has schools, kinds of people and dates.
_SHARED = 50_000


class Roles:
    """16 bytes a row, and the text of each different role. Users are known by a hash of 64 bits.

    Whoever makes two of his own ids collide gives one of his users the roles of another, which he could do in the
    file itself.
    """

    def __init__(self, rows: Iterable[tuple[str, bytes] | None]) -> None:
        text = bytearray()
        places: dict[bytes, tuple[int, int]] = {}
        users, starts, ends = array("Q"), array("Q"), array("Q")
        digest = xxhash.xxh3_64_intdigest
        for found in rows:
            if found is None:
                continue
            user, role = found
            place = places.get(role)
            if place is None:
                place = len(text), len(text) + len(role)
                text += role
                if len(places) < _SHARED:
                    places[role] = place
            users.append(digest(user.encode()))
            starts.append(place[0])
            ends.append(place[1])
        self._text = bytes(text)
        hashes = np.frombuffer(users, dtype=np.uint64) if users else np.empty(0, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        self._users = hashes[order]
        self._starts = np.array(starts, dtype=np.uint64)[order]
        self._ends = np.array(ends, dtype=np.uint64)[order]

    def of(self, users: Sequence[str]) -> list[list[msgspec.Raw]]:
        """The roles of each of these users, in the file's order, as JSON."""
        digest = xxhash.xxh3_64_intdigest
        hashes = np.fromiter((digest(user.encode()) for user in users), dtype=np.uint64, count=len(users))
        first = np.searchsorted(self._users, hashes, side="left").tolist()
        last = np.searchsorted(self._users, hashes, side="right").tolist()
        text = self._text
        found: list[list[msgspec.Raw]] = []
        for begin, end in zip(first, last, strict=True):
            starts, ends = self._starts[begin:end].tolist(), self._ends[begin:end].tolist()
            found.append([msgspec.Raw(text[start:stop]) for start, stop in zip(starts, ends, strict=True)])
        return found
