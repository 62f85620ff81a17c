"""Numbers, names and values as people read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic.alias_generators import to_camel

_LONGEST = 200


def plural(amount: int, one: str, many: str | None = None) -> str:
    """A number and its noun."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def joined(parts: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def standard_name(column: str) -> str:
    """A column by the standard's name: given_name → givenName, school_sourced_id → school."""
    return to_camel(column.removesuffix("_sourced_id").replace("_sourced_ids", "s"))


def value(raw: Any) -> str:
    """One field's value; empty for none."""
    if raw is None or raw in ("", []):
        return ""
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    if isinstance(raw, list) and all(isinstance(item, str) for item in raw):
        return _cut(", ".join(raw))
    return _cut(raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
