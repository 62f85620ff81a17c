"""The `filter` query parameter: one or two comparisons, joined by AND or OR."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from roster_sample_sis.districts import instant

_TERM = re.compile(r"^\s*([A-Za-z][A-Za-z.]*)\s*(!=|>=|<=|=|>|<|~)\s*'([^']*)'\s*$")
_JOIN = re.compile(r"\s+(AND|OR)\s+(?=[A-Za-z.]+\s*(?:!=|>=|<=|=|>|<|~)\s*')", re.IGNORECASE)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_decode = msgspec.json.Decoder(dict[str, object]).decode


class FilterError(ValueError):
    """A filter this server cannot read; the text says why."""


class _Term(NamedTuple):
    field: str
    symbol: str
    value: str
    # The value as an instant, when the field is dateLastModified.
    instant: int

    def holds(self, value: object) -> bool:
        if self.field == "dateLastModified" and self.symbol != "~":
            return _COMPARE[self.symbol](_instant(str(value)), self.instant)
        texts = [str(item) for item in value] if isinstance(value, list) else ["" if value is None else str(value)]  # pyright: ignore[reportUnknownVariableType]
        if self.symbol == "~":
            return any(self.value.casefold() in text.casefold() for text in texts)
        return any(_COMPARE[self.symbol](text, self.value) for text in texts)


class Filter(NamedTuple):
    """A parsed filter. `text` is what it was parsed from, and its identity."""

    text: str
    terms: tuple[_Term, ...]
    either: bool

    @property
    def only_modified(self) -> bool:
        """Whether it can be answered from dateLastModified alone, without decoding records."""
        return all(term.field == "dateLastModified" and term.symbol != "~" for term in self.terms)

    def matches_instant(self, modified: int) -> bool:
        """Whether a record last modified at `modified` (ms since 1970) is chosen; needs `only_modified`."""
        found = (_COMPARE[term.symbol](modified, term.instant) for term in self.terms)
        return any(found) if self.either else all(found)

    def matches_record(self, record: bytes) -> bool:
        """Whether a record is chosen; texts are compared as texts, lists by any of their items."""
        fields = _decode(record)
        found = (term.holds(fields.get(term.field)) for term in self.terms)
        return any(found) if self.either else all(found)


def _instant(value: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise FilterError("dateLastModified is compared with a date and time") from None
    return instant(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def parse(text: str) -> Filter:
    """Reads a filter. Raises FilterError."""
    pieces = _JOIN.split(text)
    if len(pieces) not in (1, 3):
        raise FilterError("at most one AND or OR")
    terms: list[_Term] = []
    for piece in pieces[::2]:
        match = _TERM.match(piece)
        if match is None:
            raise FilterError("a comparison is written field='value'")
        field, symbol, value = match.groups()
        at = _instant(value) if field == "dateLastModified" and symbol != "~" else 0
        terms.append(_Term(field, symbol, value, at))
    return Filter(text, tuple(terms), len(pieces) == 3 and pieces[1].upper() == "OR")
