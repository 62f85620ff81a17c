"""Somebody who was added by hand and somebody of the SIS who may be one person: a person decides."""

from __future__ import annotations

from typing import Any

from tests.model.district import District, Row
from tests.model.successions import Rows


def may_match(district: District) -> dict[tuple[str, str], str]:
    """Both ids → what they have in common, the strongest first. Without those of whom something was said."""
    people: Rows = district.active("users")
    found: dict[tuple[str, str], str] = {}
    for manual, one in people.items():
        for other, two in people.items():
            if not one.manual or two.manual or (manual, other) in district.decisions:
                continue
            if (one.values["role"] == "student") != (two.values["role"] == "student"):
                continue
            if one.values["identifier"] is not None and one.values["identifier"] == two.values["identifier"]:
                found[manual, other] = "identifier"
            elif one.values["email"] is not None and _plain(one, "email") == _plain(two, "email"):
                found[manual, other] = "email"
            elif _name(one) == _name(two) and {*one.values["org_sourced_ids"]} & {*two.values["org_sourced_ids"]}:
                found[manual, other] = "name"
    return found


def decided(district: District) -> list[tuple[str, str]]:
    """Pairs of which something was said, or that are linked."""
    links = [(done.what.old, done.what.new) for done in district.successions if done.stands]
    return list(dict.fromkeys([*district.decisions, *links]))


def _name(row: Row) -> tuple[Any, Any]:
    return _plain(row, "given_name"), _plain(row, "family_name")


def _plain(row: Row, name: str) -> str | None:
    value = row.values[name]
    return value and "".join(letter.lower() if letter.isascii() else letter for letter in value)
