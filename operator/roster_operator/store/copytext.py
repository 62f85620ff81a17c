"""Values as text for COPY, column by column of a known kind.

psycopg writes the rows and escapes them; here a value becomes the text that PostgreSQL reads for its column. psycopg's
own adaptation looks at each value's type anew, which costs more than the COPY itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from .tables import Kind

_json = msgspec.json.Encoder().encode


def array_literal(values: Sequence[str]) -> str:
    """A text[] literal: every item quoted, so that NULL, commas and braces stay text."""
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


class _Remembered(dict[Any, str]):
    """What was written before: grades, subjects, orgs and dates repeat through a whole district."""

    LIMIT = 10_000

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, key: Any) -> str:
        text = self._write(key)
        if len(self) < self.LIMIT:
            self[key] = text
        return text


def _writer(kind: Kind) -> Callable[[Any], str] | None:
    """How a value that is not None is written; None for text, which stands as it is."""
    match kind:
        case Kind.TEXT:
            return None
        case Kind.BOOLEAN:
            return lambda v: "t" if v else "f"
        case Kind.INTEGER:
            return int.__repr__  # anything but a number fails here, not in PostgreSQL, which would log it
        case Kind.DATE:
            return _Remembered(date.isoformat).__getitem__
        case Kind.TIMESTAMP:
            return _Remembered(datetime.isoformat).__getitem__
        case Kind.ARRAY:
            arrays = _Remembered(array_literal)
            return lambda v: arrays[tuple(v)]
        case Kind.JSON:
            return lambda v: _json(v).decode()


class RowWriter:
    """Makes rows of text, for columns of the given kinds."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._writers = tuple(_writer(kind) for kind in kinds)
        # Most columns are text: only the others are worth a call.
        self._others = tuple((at, write) for at, write in enumerate(self._writers) if write is not None)

    def cells(self, values: Iterable[Any]) -> list[str | None]:
        """One row, for psycopg's `Copy.write_row`. Raises ValueError for a row of another length."""
        cells = list(values)
        if len(cells) != len(self._writers):
            raise ValueError("the row has another number of columns")
        for at, write in self._others:
            value = cells[at]
            if value is not None:
                cells[at] = write(value)
        return cells
