"""When a schedule's moments are. Pure, and in UTC; the time zone's summer time is followed as Debian's cron does it.

A moment at a fixed hour that a spring night leaves out comes right after the gap, and one that an autumn night has
twice comes once. A schedule that counts in hours or minutes ("*/30 * * * *") goes by elapsed time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# A busy schedule's latest moment lies close: the days before it are then not counted through.
_SPANS = (timedelta(hours=2), timedelta(days=2), timedelta(days=40))


class ScheduleError(Exception):
    """A schedule or time zone that makes no sense. `reason` is stable, the message a sentence with its next step."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name. Raises ScheduleError(TimeZoneUnknown)."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ScheduleError(
            "TimeZoneUnknown", "timeZone names no time zone. Give one as the IANA lists it, such as America/Chicago."
        ) from None


def moments(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The schedule's moments after this one: in UTC, each later than the one before. Raises ScheduleError."""
    try:
        found = CronSim(_NAMES.get(expression, expression), after.astimezone(zone))
    except CronSimError as error:
        raise ScheduleError(
            "ScheduleInvalid", f"schedule cannot be read ({error}). Write five fields as cron has them: 0 3 * * *."
        ) from None
    last = after
    for local in found:
        moment = local.astimezone(UTC)
        # In the hour that an autumn night has twice, and after a gap, the same moment can be found again.
        if moment > last:
            last = moment
            yield moment


def latest(expression: str, zone: ZoneInfo, after: datetime, upto: datetime) -> datetime | None:
    """The latest moment after the first and not after the second; None where there is none. Raises ScheduleError."""
    for begin in (*(upto - span for span in _SPANS), after):
        found = None
        for moment in moments(expression, zone, max(begin, after)):
            if moment > upto:
                break
            found = moment
        if found is not None or begin <= after:
            return found
    return None
