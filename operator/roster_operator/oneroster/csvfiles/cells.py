"""What the text of one cell means, where it is not simply the text. Pure."""

import csv
import re
from datetime import date
from typing import Any

from roster_operator.oneroster.values import day, stamp

# A district has a few thousand distinct days. The cap keeps a hostile one from filling the memory.
_DATES: dict[str, tuple[str, str]] = {}
_DATES_CAP = 50_000
_PARTS = re.compile(r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})")
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_USER_ID = re.compile(r"\{([^{}:]*):([^{}]*)\}")


def safe_cell(text: str) -> str:
    """The text for a cell that no spreadsheet runs."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def date_cell(cell: str) -> tuple[str, str]:
    """(the day as YYYY-MM-DD, code of a finding or ""). A cell that is no day, or could be two, comes back as it was,
    with BadDate."""
    known = _DATES.get(cell)
    if known is None:
        known = _date(cell.strip())
        if known[1] == "BadDate":
            known = (cell, "BadDate")
        elif not known[1] and known[0] != cell:
            known = (known[0], "DateFormat")
        if len(_DATES) < _DATES_CAP:
            _DATES[cell] = known
    return known


def _date(text: str) -> tuple[str, str]:
    try:
        if len(text) > 10 and text[10] in "T ":
            stamp(text)
            return day(text[:10]).isoformat(), "DateWithTime"
        return day(text).isoformat(), ""
    except ValueError:
        pass
    match = _PARTS.fullmatch(text) if text.isascii() else None
    if match is None:
        return text, "BadDate"
    first, _, second, third = match.groups()
    one, two, three = int(first), int(second), int(third)
    try:
        if len(first) == 4:
            return date(one, two, three).isoformat(), "DateFormat"
        # Day and month can be told apart only where one is beyond twelve, or both are the same.
        if len(third) == 4 and (one > 12 or two > 12 or one == two):
            month, of_month = (two, one) if one > 12 else (one, two)
            return date(three, month, of_month).isoformat(), "DateFormat"
    except ValueError:
        pass
    return text, "BadDate"


def items(cell: str) -> list[str]:
    """A list in a cell: parted by commas, an item with a comma of its own in quotes."""
    if '"' in cell:
        try:
            return [item for row in csv.reader([cell], strict=True, skipinitialspace=True) for item in row if item]
        except csv.Error:
            pass
    elif "," not in cell and cell[:1] != " " and cell[-1:] != " ":
        return [cell]
    return [item for part in cell.split(",") if (item := part.strip())]


def user_ids(cell: str) -> tuple[list[Any], str]:
    """`{Type:Id},{Type:Id}` as REST has it, and the code of a finding or "". What cannot be read stays as it was."""
    found: list[Any] = []
    code = ""
    for item in items(cell):
        match = _USER_ID.fullmatch(item)
        if match is not None:
            found.append({"type": match[1], "identifier": match[2]})
        elif item[:1] == "{" and item[-1:] == "}" and ":" in item:
            kind, _, identifier = item[1:-1].partition(":")
            found.append({"type": kind, "identifier": identifier})
        elif "{" in item or "}" in item:
            return [cell], "BadUserIds"
        else:
            kind, colon, identifier = item.partition(":")
            found.append({"type": kind, "identifier": identifier} if colon else {"identifier": item})
            code = "UserIdsSpelling"
    return found, code
