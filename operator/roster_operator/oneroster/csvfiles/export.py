"""Records as a OneRoster CSV bundle, in either version."""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, cast

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.records import Record, User

from .cells import safe_cell
from .headers import METADATA
from .manifest import SHOWN
from .tables import KNOWN, TABLES, Column, Kind, Table, Version

_NUMBER = re.compile(r"[+-]?[0-9][0-9 ().,/x-]*")
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_SPECIAL = {
    "sourcedId": "sourced_id",
    "dateLastModified": "date_last_modified",
    "agentSourcedIds": "agent_sourced_ids",
    "orgSourcedIds": "org_sourced_ids",
    "termSourcedIds": "term_sourced_ids",
}


class NotRepresentableError(ValueError):
    """A record that the files cannot hold as it is; the message names entity and field, never a value."""


def export(
    records: Mapping[Entity, Iterable[Record]],
    version: Version,
    *,
    mode: Literal["bulk", "delta"] = "bulk",
    escape_formulas: bool = True,
) -> bytes:
    """The zip. Entities that are not given are called absent.

    bulk: only active records, without status and time, as the standard has it. delta: all, with both, to the
    millisecond. escape_formulas: a text that a spreadsheet would run gets a quote before it; ids, words, dates and
    telephone numbers stay as they are. Switch it off for a program that reads the files back.

    In memory: all of it. Raises NotRepresentableError.
    """
    writer = _Writer(version, mode, escape=escape_formulas)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for entity, found in records.items():
            for name, text in writer.files(entity, list(found)):
                file.writestr(zipfile.ZipInfo(f"{name}.csv"), text, zipfile.ZIP_DEFLATED)
        file.writestr(zipfile.ZipInfo(SHOWN), _text(writer.manifest()), zipfile.ZIP_DEFLATED)
    return held.getvalue()


def _text(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


class _Writer:
    def __init__(self, version: Version, mode: str, *, escape: bool) -> None:
        self._version: Version = version
        self._mode = mode
        self._escape = escape
        self._written: set[str] = set()

    def manifest(self) -> list[list[str]]:
        rows = [["propertyName", "value"], ["manifest.version", "1.0"], ["oneroster.version", self._version]]
        return rows + [[f"file.{name}", self._mode if name in self._written else "absent"] for name in sorted(KNOWN)]

    def files(self, entity: Entity, records: list[Record]) -> list[tuple[str, str]]:
        if self._mode == "bulk":
            records = [record for record in records if record.status == "active"]
        tables = TABLES[self._version]
        found = [(entity.value, self._file(tables[entity.value], records))]
        if entity is Entity.USERS and self._version == "1.2":
            roles = [role for record in cast(list[User], records) for role in self._roles(record)]
            found.append(("roles", _text([[column.name for column in tables["roles"].columns], *roles])))
        self._written.update(name for name, _ in found)
        return found

    def _file(self, table: Table, records: list[Record]) -> str:
        columns = [column for column in table.columns if column.kind is not Kind.OLD]
        keys = sorted({key for record in records for key in record.metadata or {}})
        rows: list[list[str]] = [[*(column.name for column in columns), *(METADATA + key for key in keys)]]
        for record in records:
            metadata = record.metadata or {}
            row = [self._cell(table, column, record) for column in columns]
            rows.append(row + [self._metadata(table, metadata.get(key)) for key in keys])
        return _text(rows)

    def _cell(self, table: Table, column: Column, record: Record) -> str:
        if column.kind is Kind.PASSWORD or (self._mode == "bulk" and column.kind in (Kind.STATUS, Kind.STAMP)):
            return ""
        value: Any = getattr(record, _SPECIAL.get(column.name) or _snake(column.name))
        if value is None or value == []:
            return ""
        if column.kind is Kind.USER_IDS:
            return _joined([self._user_id(table, item) for item in value])
        if isinstance(value, list):
            return _joined(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            moment = value.astimezone(UTC)
            return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
        if isinstance(value, date):
            return value.isoformat()
        return self._shown(str(value)) if column.kind is Kind.TEXT else str(value)

    def _shown(self, text: str) -> str:
        return safe_cell(text) if self._escape and not _NUMBER.fullmatch(text) else text

    def _user_id(self, table: Table, item: dict[str, str]) -> str:
        if ":" in item["type"]:
            raise NotRepresentableError(f"{table.name}: a type in userIds has a colon, and the files part by it.")
        return f"{{{item['type']}:{item['identifier']}}}"

    def _metadata(self, table: Table, value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise NotRepresentableError(f"{table.name}: metadata that are no text, and the files have only text.")
        return self._shown(value)

    def _roles(self, user: User) -> list[list[str]]:
        head = ["", ""]
        if self._mode == "delta":
            moment = user.date_last_modified or datetime.fromtimestamp(0, UTC)
            head = ["active", f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"]
        names = ("role_type", "role", "begin_date", "end_date", "org_sourced_id", "user_profile")
        return [
            [f"{user.sourced_id}/{number}", *head, user.sourced_id, *(role[name] or "" for name in names)]
            for number, role in enumerate(user.roles)
        ]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _joined(items: list[str]) -> str:
    """A list in a cell. An item that could be taken for several, or for less than it is, stands in quotes."""
    return ",".join(f'"{item.replace(chr(34), chr(34) * 2)}"' if _QUOTED.search(item) else item for item in items)
