"""The pause windows of a connection, as values: one more, one less, and how they read. Pure.

A window stays the dictionary that the object has, so that what a newer version wrote into it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from roster_operator.api.automatic import Pause, PauseMode

from .grid import Line, table
from .problems import ClusterError, printable

AT_MOST = 32  # windows, as the resource definition has it
Window = dict[str, Any]


def with_pause(windows: Sequence[Window], new: Pause) -> list[Window]:
    """The windows and this one, by their first day. Raises ClusterError."""
    made = new.to_dict()
    for each in windows:
        if (each.get("from"), each.get("to")) == (made["from"], made["to"]):
            raise ClusterError(
                "PauseThere",
                f"There is a pause from {made['from']} to {made['to']} already.",
                "Remove that one first, with `roster pause remove`.",
            )
    if len(windows) >= AT_MOST:
        raise ClusterError(
            "TooManyPauses",
            f"A connection has {AT_MOST} pauses at most.",
            "Remove those that are over, with `roster pause remove`.",
        )
    return sorted([*windows, made], key=lambda each: str(each.get("from")))


def without_pause(windows: Sequence[Window], first: date, last: date | None) -> list[Window]:
    """The windows without the one that begins on `first`; `last` tells two of them apart. Raises ClusterError."""
    named = [
        each
        for each in windows
        if each.get("from") == first.isoformat() and (last is None or each.get("to") == last.isoformat())
    ]
    if not named:
        days = ", ".join(f"{each.get('from')} to {each.get('to')}" for each in windows)
        raise ClusterError(
            "PauseUnknown",
            f"No pause {'is' if last else 'begins on'} {first}{f' to {last}' if last else ''}.",
            f"There {'are' if len(windows) > 1 else 'is'}: {printable(days)}." if windows else "There are none.",
        )
    if len(named) > 1:
        days = ", ".join(str(each.get("to")) for each in named)
        raise ClusterError(
            "PauseAmbiguous", f"Several pauses begin on {first}.", f"Name its last day with --to: {printable(days)}."
        )
    return [each for each in windows if each is not named[0]]


def today(now: datetime, time_zone: str) -> date:
    """The day by the schedule's time zone; by UTC where that is none."""
    try:
        return now.astimezone(ZoneInfo(time_zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return now.date()


def state(window: Window, day: date) -> str:
    """Where a window stands on a day: over, now, to come. ISO days compare as text."""
    if str(window.get("to")) < day.isoformat():
        return "over"
    return "now" if str(window.get("from")) <= day.isoformat() else "to come"


def pauses_table(windows: Sequence[Window], day: date, width: int | None) -> list[Line]:
    """One line a window."""
    rows = [
        [
            printable(str(each.get("from"))),
            printable(str(each.get("to"))),
            printable(str(each.get("mode", PauseMode.SKIP))),
            state(each, day),
            printable(str(each.get("reason", ""))),
        ]
        for each in windows
    ]
    return table(
        ["FROM", "TO", "MODE", "STATE", "REASON"], rows, width, ["yellow" if row[3] == "now" else "" for row in rows]
    )
