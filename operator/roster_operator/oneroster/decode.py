"""From bytes to normalised records: `split` cuts a page, `Decoder` reads one record.

A first load decodes every record of a district, so a record without a fault takes the typed
shortcut of `fast`; everything else is read field by field by `careful`, which is the meaning.
"""

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from .careful import READERS, Reader
from .entities import Entity
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

    def __init__(self, entity: Entity, version: Version, omit: frozenset[str] = frozenset()) -> None:
        self._entity = entity
        self._omit = omit
        self._read = READERS[entity]
        self._shortcut: Callable[[bytes], Record | None] | None = SHORTCUTS.get(entity)
        self._users = entity is Entity.USERS
        self._version: Version = version

    def without(self, names: frozenset[str]) -> "Decoder":
        """One that passes over these fields, by the standard's names, so that nothing in them can be wrong."""
        return Decoder(self._entity, self._version, names)

    def __call__(self, raw: bytes | memoryview | msgspec.Raw) -> Decoded:
        data = raw if type(raw) is bytes else bytes(raw)
        # An escape may hide a NUL, or the name of a key. Only users carry passwords in the field; looking for
        # them in every enrollment would cost a third of its time, and metadata is looked at key by key anyway.
        suspicious = b"\\" in data and _ESCAPE.search(data) is not None
        if self._users and not suspicious:
            folded = data.lower()
            suspicious = b"assword" in folded or b"credential" in folded
        if not suspicious and self._shortcut is not None:
            record = self._shortcut(data)
            if record is not None:
                return Decoded(record, record.sourced_id, (), False)
        return self._carefully(data, suspicious)

    def _carefully(self, data: bytes, suspicious: bool) -> Decoded:
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
        read = Reader(fields, len(data), self._version)
        record = self._read(read)
        return Decoded(None if read.invalid else record, record.sourced_id or None, tuple(read.problems), secret)


def _invalid(code: str, suspicious: bool) -> Decoded:
    return Decoded(None, None, (Problem(code, "error", None),), suspicious)
