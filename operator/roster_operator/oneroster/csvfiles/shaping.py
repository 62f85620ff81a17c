"""A row as the bytes of a record: the JSON that REST would send for it, so that one decoder reads both.

Passwords are gone before anything is made of a row. What is odd about a row, and would not be seen in the JSON, is
written before it: `!` and a list of [code, severity, field], and a line end.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from roster_operator.oneroster.choices import ATTRIBUTES
from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.expected import Needs
from roster_operator.oneroster.problems import Decoded, Problem
from roster_operator.oneroster.rolechanges import ALONE, SOME, UNSHOWN
from roster_operator.oneroster.source import Raw, Version

from .cells import date_cell, items, user_ids
from .headers import Layout
from .tables import TABLES, Column, Kind

Marks = list[tuple[str, str, str | None]]
_Write = Callable[[dict[str, Any], str, Marks], None]

_encode = msgspec.json.Encoder().encode
_ERROR, _WARNING = "error", "warning"


def csv_needs(entity: Entity, version: Version) -> Needs:
    """What the standard's files require and a record can live without: columns that are `expected`."""
    columns = TABLES[version][entity.value].columns
    names = ATTRIBUTES[entity]
    fields = tuple((column.field, names[column.field]) for column in columns if column.need == "expected")
    return Needs(fields, role_org=True)


class CsvDecoder:
    """Reads one row of an entity, as a Shaper wrote it; never raises for it."""

    def __init__(self, entity: Entity, version: Version, omit: frozenset[str] = frozenset()) -> None:
        self._entity, self._omit = entity, omit
        self._version: Version = version
        self._decode = Decoder(entity, version, omit, csv_needs(entity, version))

    def without(self, names: frozenset[str]) -> "CsvDecoder":
        """One that passes over these fields, by the standard's names."""
        return CsvDecoder(self._entity, self._version, names)

    def __call__(self, raw: Raw) -> Decoded:
        data = raw if type(raw) is bytes else bytes(raw)
        if data[:1] == b"!":
            return self._marked(data)
        return self._decode(data)

    def _marked(self, data: bytes) -> Decoded:
        head, _, rest = data.partition(b"\n")
        marks = [
            Problem(code, _ERROR if severity == _ERROR else _WARNING, field)
            for code, severity, field in msgspec.json.decode(head[1:])
            if field not in self._omit
        ]
        decoded = self._decode(rest)
        record = None if any(mark.severity == _ERROR for mark in marks) else decoded.record
        return decoded._replace(record=record, problems=(*marks, *decoded.problems))


class Shaper:
    """Writes the rows of one file. bulk: an empty status means active; in a delta it is an error."""

    def __init__(self, layout: Layout, *, bulk: bool, some_roles: bool = False) -> None:
        """some_roles: those that a row of users gets are not all that the person has."""
        self._layout = layout
        self._some_roles = some_roles
        self.bulk = bulk
        self._plan = _plan(layout)
        self._password = layout.at.get("password")
        # What the file has beyond what is kept.
        self.passwords = self.filled = False

    def row(self, row: list[str], roles: Sequence[bytes] | None = None) -> bytes:
        """The bytes of one row. roles: from another file, where the version has them there."""
        layout = self._layout
        marks: Marks = []
        if len(row) != layout.width:
            _fit(row, layout, marks)
        fields = self.fields(row, marks)
        if self.bulk:
            if "status" in fields or "dateLastModified" in fields:
                self.filled = True
            fields.setdefault("status", "active")
        else:
            if "status" not in fields:
                marks.append(("MissingRequired", _ERROR, "status"))
                fields["status"] = "active"
            if "dateLastModified" not in fields:
                marks.append(("MissingExpected", _WARNING, "dateLastModified"))
        if roles is not None:
            fields["roles"] = _read(roles, marks)
            if self._some_roles:
                marks.append((SOME if roles else UNSHOWN, _WARNING, None))
                if not roles:
                    fields["role"] = _STANDS_FOR_NOTHING["role"]
        data = _encode(fields)
        return b"!" + _encode(marks) + b"\n" + data if marks else data

    def fields(self, row: list[str], marks: Marks) -> dict[str, Any]:
        """The fields of a row that has as many cells as the header; its password is emptied."""
        if self._password is not None and row[self._password]:
            row[self._password] = ""
            self.passwords = True
        fields: dict[str, Any] = {}
        for at, name, write in self._plan:
            cell = row[at]
            if cell:
                if write is None:
                    fields[name] = cell
                else:
                    write(fields, cell, marks)
        return fields


def _fit(row: list[str], layout: Layout, marks: Marks) -> None:
    """Makes the row as wide as the header."""
    width = layout.width
    if len(row) < width:
        if len(row) < layout.named:
            marks.append(("ShortRow", _WARNING, None))
        row.extend([""] * (width - len(row)))
    else:
        # One comma too many moves every value after it into another column.
        marks.append(("TooManyCells", _ERROR, None) if any(row[width:]) else ("LongRow", _WARNING, None))
        del row[width:]


_STANDS_FOR_NOTHING: dict[str, Any] = {
    "status": "active", "enabledUser": "true", "givenName": "-", "familyName": "-", "username": "-", "role": "student",
}  # fmt: skip


def roles_alone(sourced_id: str, roles: Sequence[bytes]) -> bytes:
    """A user of whom only roles are shown. Everything else of the record stands for nothing."""
    marks: Marks = [(ALONE, _WARNING, None), (SOME if roles else UNSHOWN, _WARNING, None)]
    fields = {"sourcedId": sourced_id} | _STANDS_FOR_NOTHING | {"roles": _read(roles, marks)}
    return b"!" + _encode(marks) + b"\n" + _encode(fields)


def _read(roles: Sequence[bytes], marks: Marks) -> list[msgspec.Raw]:
    """The roles as JSON; what is odd about their rows goes to the marks."""
    found: list[msgspec.Raw] = []
    for each in roles:
        data = each
        if each[:1] == b"!":
            head, _, data = each.partition(b"\n")
            marks += [(code, severity, field) for code, severity, field in msgspec.json.decode(head[1:])]
        found.append(msgspec.Raw(data))
    return found


def role(shaper: Shaper, layout: Layout, row: list[str], *, gone: bool = False) -> tuple[str, bytes] | None:
    """A row of roles.csv: whose it is, and the role as REST has it, with marks like a user's own. None for one that is
    to be deleted, or with `gone` for every other.

    A role that cannot be read makes its user unreadable: without it, the user would lose it.
    """
    marks: Marks = []
    if len(row) != layout.width:
        _fit(row, layout, marks)
    fields = shaper.fields(row, marks)
    if (str(fields.get("status", "")).strip().lower() in ("tobedeleted", "inactive")) is not gone:
        return None
    if not shaper.bulk and "status" not in fields:
        marks.append(("MissingRequired", _ERROR, "status"))
    user = fields.get("user", {}).get("sourcedId", "")
    kept = {name: fields[name] for name in ("role", "roleType", "org", "beginDate", "endDate") if name in fields}
    if "userProfile" in fields:
        kept["userProfile"] = fields["userProfile"]["sourcedId"]
    if not marks:
        return user, _encode(kept)
    told = [(code, severity, f"roles.{field}" if field else "roles") for code, severity, field in marks]
    return user, b"!" + _encode(told) + b"\n" + _encode(kept)


def _plan(layout: Layout) -> list[tuple[int, str, _Write | None]]:
    plan: list[tuple[int, str, _Write | None]] = [
        (layout.at[column.name], column.field, _writer(column))
        for column in layout.table.columns
        if column.name in layout.at and column.kind is not Kind.PASSWORD
    ]
    return plan + [(at, name, _metadata(name)) for at, name in layout.metadata]


def _metadata(key: str) -> _Write:
    def write(fields: dict[str, Any], cell: str, marks: Marks) -> None:  # noqa: ARG001
        fields.setdefault("metadata", {})[key] = cell

    return write


def _writer(column: Column) -> _Write | None:
    name = column.field

    def one(fields: dict[str, Any], cell: str, marks: Marks) -> None:  # noqa: ARG001
        fields[name] = {"sourcedId": cell}

    def many(fields: dict[str, Any], cell: str, marks: Marks) -> None:  # noqa: ARG001
        fields[name] = [{"sourcedId": item} for item in items(cell)]

    def several(fields: dict[str, Any], cell: str, marks: Marks) -> None:  # noqa: ARG001
        fields[name] = items(cell)

    def a_day(fields: dict[str, Any], cell: str, marks: Marks) -> None:
        fields[name], code = date_cell(cell)
        # The decoder says itself what is no date.
        if code and code != "BadDate":
            marks.append((code, _WARNING, name))

    def ids(fields: dict[str, Any], cell: str, marks: Marks) -> None:
        fields[name], code = user_ids(cell)
        if code:
            marks.append((code, _ERROR if code == "BadUserIds" else _WARNING, name))

    writers: dict[Kind, _Write] = {
        Kind.REF: one,
        Kind.REFS: many,
        Kind.LIST: several,
        Kind.DATE: a_day,
        Kind.USER_IDS: ids,
    }
    return writers.get(column.kind)
