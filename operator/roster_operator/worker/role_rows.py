"""Users of a delta in which only some of a person's roles stand: completed from what is merged, or told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
import psycopg

from roster_operator.oneroster.choices import empty_values
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.problems import Decoded, Problem
from roster_operator.oneroster.records import Record, User
from roster_operator.oneroster.rolechanges import ALONE, MARKS, UNSHOWN, Role, folded, with_roles
from roster_operator.oneroster.source import Raw
from roster_operator.store.stage import merged_rows
from roster_operator.store.tables import BY_ENTITY

_USERS = BY_ENTITY[Entity.USERS.value]
_EMPTY = empty_values(Entity.USERS)


@runtime_checkable
class ShowsChangedRoles(Protocol):
    """A source whose users may come with some of their roles only."""

    def gone_roles(self, sourced_ids: Sequence[str]) -> dict[str, bytes]:
        """Of these users, those that lose roles: a record of each with what it loses."""
        ...


class RoleRows:
    """Completes the users of one pull. decode: reads a user. emptied: takes out what the settings omit."""

    def __init__(
        self,
        source: ShowsChangedRoles,
        conn: psycopg.Connection,
        decode: Callable[[Raw], Decoded],
        emptied: Callable[[Record], Record],
    ) -> None:
        self._source, self._conn, self._decode, self._emptied = source, conn, decode, emptied

    def completed(self, read: list[Decoded]) -> list[Decoded]:
        """The same, in the same order, with all the roles that each person has afterwards."""
        marks = [{problem.code for problem in decoded.problems} & MARKS for decoded in read]
        ids = [each.sourced_id for each, found in zip(read, marks, strict=True) if found and each.sourced_id]
        if not any(marks):
            return read
        merged = merged_rows(self._conn, _USERS, ids)
        active = {sourced_id: row for sourced_id, row in merged.items() if row["status"] == "active"}
        gone = self._source.gone_roles(ids)
        return [
            self._one(each, found, active.get(each.sourced_id or ""), gone.get(each.sourced_id or ""))
            if found
            else each
            for each, found in zip(read, marks, strict=True)
        ]

    def _one(self, decoded: Decoded, marks: set[str], row: Mapping[str, Any] | None, gone: bytes | None) -> Decoded:
        """row: as it is merged and active. The same bytes mean something else once other roles are merged, so every
        answer says that no hash of them may be kept."""
        user, sourced_id = decoded.record, decoded.sourced_id
        problems = tuple(each for each in decoded.problems if each.code not in MARKS)
        if UNSHOWN in marks:
            problems = tuple(each for each in problems if each.field != "roles")
        if not isinstance(user, User) or sourced_id is None:
            return Decoded(None, sourced_id, problems, True)
        if user.status != "active":  # whatever the roles, the person goes
            return Decoded(user, sourced_id, problems, True)
        shown: list[Role] = [] if UNSHOWN in marks else user.roles
        lost = None if gone is None else self._decode(gone)
        if lost is not None and lost.record is None:
            return Decoded(
                None, sourced_id, (*problems, *(each for each in lost.problems if each.code not in MARKS)), True
            )
        if ALONE in marks:
            if row is None:  # who is not there has nothing to lose
                told = (Problem("RoleWithoutUser", "error", "user"),) if shown else ()
                return Decoded(None, sourced_id, (*problems, *told), True)
            user = self._as_merged(row)
        before: list[Role] = [] if row is None else row["roles"]
        roles, unclear = folded(before, shown, lost.record.roles if lost and isinstance(lost.record, User) else [])
        if unclear:
            problems = (*problems, Problem("RoleChangeUnclear", "warning", "roles"))
        record = with_roles(user, roles)
        if record is None:
            code = "NoRoleLeft" if before else "MissingRequired"
            return Decoded(None, sourced_id, (*problems, Problem(code, "error", "roles")), True)
        return Decoded(record, sourced_id, problems, True)

    def _as_merged(self, row: Mapping[str, Any]) -> User:
        values = {name: _EMPTY.get(name) if row[name] is None else row[name] for name in User.__struct_fields__}
        user = self._emptied(msgspec.convert(values, User, strict=False))
        assert isinstance(user, User)
        return user
