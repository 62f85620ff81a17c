"""From bytes to normalised records: `split` cuts a page, `Decoder` reads one record.

A first load decodes every record of a district, so a record without a fault takes the typed
shortcut of `fast`; everything else is read field by field by `careful`, which is the meaning.
"""

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Literal

import msgspec

from .careful import READERS, Reader
from .deceptive import problems_of
from .entities import Entity
from .expected import Needs, rest_needs
from .fast import SHORTCUTS
from .pagebody import split
from .problems import Decoded, Problem
from .records import Record
from .values import MAX_RECORD_BYTES, has_secret, without_secrets

__all__ = ["Decoded", "Decoder", "Problem", "Version", "split"]

Version = Literal["1.1", "1.2"]

# Escapes of ASCII: \u0000, and letters that nobody escapes without intent.
_ESCAPE = re.compile(rb"\\u00[0-7]")
_decode_any = msgspec.json.Decoder().decode


class Decoder:
    """Reads records of one entity. Call it with the JSON bytes of one record; it never raises for them."""

    def __init__(
        self, entity: Entity, version: Version, omit: frozenset[str] = frozenset(), needs: Needs | None = None
    ) -> None:
        """needs: what another binding than REST requires."""
        self._entity = entity
        self._omit = omit
        self._read = READERS[entity]
        self._shortcut: Callable[[bytes, str], Record | None] | None = SHORTCUTS.get(entity)
        self._users = entity is Entity.USERS
        self._version: Version = version
        self._needs = rest_needs(entity, version) if needs is None else needs
        self._expected = [(field, name) for field, name in self._needs.fields if field not in omit]
        # For the hot path: always a tuple, and nearly always all there.
        self._wanted = attrgetter("sourced_id", "sourced_id", *(name for _, name in self._expected))

    def without(self, names: frozenset[str]) -> "Decoder":
        """One that passes over these fields, by the standard's names, so that nothing in them can be wrong."""
        return Decoder(self._entity, self._version, names, self._needs)

    def __call__(self, raw: bytes | memoryview | msgspec.Raw) -> Decoded:
        data = raw if type(raw) is bytes else bytes(raw)
        # An escape may hide a NUL, or the name of a key. Only users carry passwords in the field; looking for
        # them in every enrollment would cost a third of its time, and metadata is looked at key by key anyway.
        escaped = b"\\" in data
        suspicious = escaped and _ESCAPE.search(data) is not None
        if self._users and not suspicious:
            folded = data.lower()
            suspicious = b"assword" in folded or b"credential" in folded
        if not suspicious and self._shortcut is not None:
            record = self._shortcut(data, self._version)
            if record is not None:
                told = problems_of(self._entity, record) if escaped or not data.isascii() else ()
                if not all(self._wanted(record)):
                    told = (*self._missed(record), *told)
                return Decoded(record, record.sourced_id, told, False)
        return self._carefully(data, suspicious, plain=not escaped and data.isascii())

    def _carefully(self, data: bytes, suspicious: bool, *, plain: bool) -> Decoded:
        if len(data) > MAX_RECORD_BYTES:
            return _invalid("RecordTooLarge", suspicious)
        try:
            fields = _decode_any(data)
        except RecursionError:
            return _invalid("TooDeep", suspicious)
        except UnicodeDecodeError:
            return _invalid("BadUTF8", suspicious)
        except msgspec.ValidationError:
            return _invalid("NumberOutOfRange", suspicious)
        except msgspec.DecodeError:
            return _invalid("MalformedJSON", suspicious)
        if not isinstance(fields, dict):
            return _invalid("NotAnObject", suspicious)
        try:
            secret = has_secret(fields if suspicious else fields.get("metadata"))
            if secret:
                fields = without_secrets(fields)
        except RecursionError:
            sourced_id = Reader(fields, 0, self._version).identity(fields.get("sourcedId"), "sourcedId")
            return Decoded(None, sourced_id, (Problem("TooDeep", "error", None),), True)
        if self._omit:
            fields = {key: value for key, value in fields.items() if key not in self._omit}
        read = Reader(fields, len(data), self._version, self._needs)
        record = self._read(read)
        for missed in self._missed(record):
            read.expected(None, missed.field or "")
        problems = tuple(read.problems)
        if read.invalid:
            return Decoded(None, record.sourced_id or None, problems, secret)
        return Decoded(
            record, record.sourced_id, problems if plain else problems + problems_of(self._entity, record), secret
        )

    def _missed(self, record: Record) -> list[Problem]:
        """What the standard requires and the record can live without."""
        missing = [field for field, name in self._expected if not getattr(record, name)]
        return [Problem("MissingExpected", "warning", field) for field in missing]


def _invalid(code: str, suspicious: bool) -> Decoded:
    return Decoded(None, None, (Problem(code, "error", None),), suspicious)
