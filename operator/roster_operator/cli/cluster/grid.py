"""Lines for people: columns that fit the terminal or fold, and sentences that wrap. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

GAP = "   "


@dataclass(frozen=True)
class Line:
    """A line, and its colour. The colour says nothing that the words do not."""

    text: str
    tone: str = ""  # red | yellow | green, or none


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, tones: Sequence[str] = ()
) -> list[Line]:
    """Rows under headings; numbers to the right. Where `width` columns are too few, each row is a block of lines."""
    widths = [max(len(cell) for cell in column) for column in zip(headings, *rows, strict=True)]
    if width is not None and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        return _blocks(headings, rows, tones)
    right = [bool(rows) and all(_is_number(row[at]) for row in rows) for at in range(len(headings))]
    colours = ["", *tones, *[""] * (len(rows) - len(tones))]
    return [
        Line(
            GAP.join(
                cell.rjust(size) if number else cell.ljust(size)
                for cell, size, number in zip(row, widths, right, strict=True)
            ).rstrip(),
            tone,
        )
        for row, tone in zip([headings, *rows], colours, strict=True)
    ]


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], tones: Sequence[str]) -> list[Line]:
    label = max(len(heading) for heading in headings[1:])
    lines: list[Line] = []
    for at, row in enumerate(rows):
        tone = tones[at] if at < len(tones) else ""
        lines.append(Line(row[0], tone))
        lines += [
            Line(f"  {heading.ljust(label)}  {cell}") for heading, cell in zip(headings[1:], row[1:], strict=True)
        ]
    return lines


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(" !", "").isdigit() or cell == ""


def sentence(text: str, width: int | None, lead: str = "", tone: str = "") -> list[Line]:
    """A sentence after its lead, wrapped under itself. Without a width it is one line, for programs that search it."""
    if width is None:
        return [Line(lead + text, tone)]
    wrapped = textwrap.wrap(
        text, max(width - len(lead), 24), break_long_words=False, break_on_hyphens=False
    ) or [""]  # fmt: skip
    return [Line((lead if at == 0 else " " * len(lead)) + part, tone) for at, part in enumerate(wrapped)]
