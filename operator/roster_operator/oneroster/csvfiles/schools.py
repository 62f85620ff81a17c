"""At which school a row of a bundle is: on hashes, whole columns at once. A school is its line in orgs.csv."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .kept import NONE, Hashes, Kept

# The column of a row's school. People and what hangs on them are looked up.
_COLUMNS = {
    "orgs": "sourcedId",
    "courses": "orgSourcedId",
    "classes": "schoolSourcedId",
    "enrollments": "schoolSourcedId",
    "roles": "orgSourcedId",
}
_OF_PEOPLE = {"demographics": "sourcedId", "userProfiles": "userSourcedId"}


class Schools:
    """kept: the files that were read to their end."""

    def __init__(self, kept: Mapping[str, Kept]) -> None:
        self._kept = kept
        self._found: dict[str, Hashes] = {}
        orgs = kept.get("orgs")
        ids = NONE if orgs is None else orgs.column("sourcedId")
        self._ids, at = np.unique(ids, return_index=True)
        self._org_lines = NONE if orgs is None else orgs.all_lines()[at]

    def at_lines(self, table: str, lines: NDArray[np.uint32]) -> Hashes:
        """For each line of a file, the line in orgs.csv of the org that its row belongs to; 0 where none is known."""
        found = np.zeros(len(lines), dtype=np.int64)
        kept = self._kept.get(table)
        if kept is None or not kept.count or not len(self._ids):
            return found
        starts = kept.all_lines()
        rows = np.searchsorted(starts, lines)
        rows[rows == kept.count] = 0
        theirs = np.where(starts[rows] == lines, self._of(table)[rows], 0)
        return np.where(theirs == 0, 0, _looked_up(self._ids, self._org_lines, theirs))

    def _of(self, table: str) -> Hashes:
        """The hash of each row's org; 0 for none."""
        found = self._found.get(table)
        if found is None:
            found = self._found[table] = self._look(table, self._kept[table])
        return found

    def _look(self, table: str, kept: Kept) -> Hashes:
        none = np.zeros(kept.count, dtype=np.int64)
        if table == "users":
            return self._of_users(kept, none)
        if table in _OF_PEOPLE:
            people = kept.column(_OF_PEOPLE[table])
            if "users" not in self._kept or not len(people):
                return none
            ids, at = np.unique(self._kept["users"].column("sourcedId"), return_index=True)
            return _looked_up(ids, self._of("users")[at], people) if len(ids) else none
        column = kept.column(_COLUMNS.get(table, ""))
        return column if len(column) else none

    def _of_users(self, kept: Kept, none: Hashes) -> Hashes:
        """The primary org, or else the first that is named."""
        rows, orgs = kept.pairs("orgSourcedIds")
        if len(rows):
            having, at = np.unique(rows, return_index=True)
            none[having] = orgs[at]
        roles = self._kept.get("roles")
        if roles is not None and len(roles.column("userSourcedId")) and len(roles.column("orgSourcedId")):
            ids, at = np.unique(roles.column("userSourcedId"), return_index=True)
            none = _looked_up(ids, roles.column("orgSourcedId")[at], kept.column("sourcedId"))
        primary = kept.column("primaryOrgSourcedId")
        return np.where(primary != 0, primary, none) if len(primary) else none


def _looked_up(keys: Hashes, values: Hashes, wanted: Hashes) -> Hashes:
    """The value of each wanted key; 0 for one that is not there. keys: sorted, at least one."""
    at = np.searchsorted(keys, wanted)
    at[at == len(keys)] = 0
    return np.where(keys[at] == wanted, values[at], 0)
