"""The roles of a 1.2 bundle by user: a file of their own there, a part of the user everywhere else."""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

# So many different roles are kept once. A district has as many as it has schools, kinds of people and dates.
_SHARED = 50_000


class Roles:
    """20 bytes a row, and the text of each different role. Users are known by a hash of 64 bits.

    Whoever makes two of his own ids collide gives one of his users the roles of another, which he could do in the
    file itself.
    """

    def __init__(self, rows: Iterable[tuple[str, bytes, int] | None]) -> None:
        """rows: (user, role, line)."""
        text = bytearray()
        places: dict[bytes, tuple[int, int]] = {}
        users, starts, ends, lines = array("Q"), array("Q"), array("Q"), array("I")
        digest = xxhash.xxh3_64_intdigest
        for found in rows:
            if found is None:
                continue
            user, role, line = found
            place = places.get(role)
            if place is None:
                place = len(text), len(text) + len(role)
                text += role
                if len(places) < _SHARED:
                    places[role] = place
            users.append(digest(user.encode()))
            starts.append(place[0])
            ends.append(place[1])
            lines.append(line)
        self._text = bytes(text)
        hashes = np.frombuffer(users, dtype=np.uint64) if users else np.empty(0, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        self._users = hashes[order]
        self._starts = np.array(starts, dtype=np.uint64)[order]
        self._ends = np.array(ends, dtype=np.uint64)[order]
        self._lines = np.array(lines, dtype=np.uint32)[order]
        self._asked: list[NDArray[np.uint64]] = []

    def of(self, users: Sequence[str]) -> list[list[bytes]]:
        """The roles of each of these users, in the file's order, as `shaping.role` wrote them."""
        digest = xxhash.xxh3_64_intdigest
        hashes = np.fromiter((digest(user.encode()) for user in users), dtype=np.uint64, count=len(users))
        self._asked.append(hashes)
        first = np.searchsorted(self._users, hashes, side="left").tolist()
        last = np.searchsorted(self._users, hashes, side="right").tolist()
        text = self._text
        found: list[list[bytes]] = []
        for begin, end in zip(first, last, strict=True):
            starts, ends = self._starts[begin:end].tolist(), self._ends[begin:end].tolist()
            found.append([text[start:stop] for start, stop in zip(starts, ends, strict=True)])
        return found

    def of_nobody(self, most: int) -> list[int]:
        """The first lines of roles whose users nobody asked for."""
        asked = np.concatenate(self._asked) if self._asked else self._users[:0]
        return np.sort(self._lines[~np.isin(self._users, asked)])[:most].tolist()

    def placed(self, user: str) -> list[tuple[int, bytes]]:
        """(line, role) of one user, in the file's order."""
        key = xxhash.xxh3_64_intdigest(user.encode())
        first, last = (np.searchsorted(self._users, np.uint64(key), side=side) for side in ("left", "right"))
        return list(zip(self._lines[first:last].tolist(), self.of([user])[0], strict=True))


class Shown:
    """The users that were shown, by a hash of 8 bytes each."""

    def __init__(self) -> None:
        self._users = array("Q")
        self._sorted: np.ndarray[tuple[int], np.dtype[np.uint64]] | None = None

    def add(self, users: Iterable[str]) -> None:
        """Before anything is asked."""
        self._users.extend(xxhash.xxh3_64_intdigest(user.encode()) for user in users)

    def others(self, users: Sequence[str]) -> list[int]:
        """Positions of those that were not shown."""
        if not self._users:
            return list(range(len(users)))
        if self._sorted is None:
            self._sorted = np.sort(np.frombuffer(self._users, dtype=np.uint64))
        known = self._sorted
        digest = xxhash.xxh3_64_intdigest
        hashes = np.fromiter((digest(user.encode()) for user in users), dtype=np.uint64, count=len(users))
        at = np.searchsorted(known, hashes)
        at[at == len(known)] = 0
        return np.flatnonzero(known[at] != hashes).tolist()
