"""When a connection is pulled by itself, and when nothing of it may be pulled or merged. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from roster_operator.api.automatic import AutomaticStatus, AutomaticSync, Pause, PauseMode
from roster_operator.api.connection import RosterConnectionSpec, find
from roster_operator.api.sync import Mode

from .conditions import Wanted
from .objects import Connection, parse_duration, show_time
from .schedule import ScheduleError, latest, moments, zone_of
from .settings import Settings

SCHEDULED = "Scheduled"
_UTC = ZoneInfo("Etc/UTC")


@dataclass(frozen=True)
class Hold:
    """Why nothing is merged now. `staging`: nothing is pulled either."""

    reason: str  # Suspended | Paused
    message: str
    until: datetime | None
    staging: bool


@dataclass(frozen=True)
class Automation:
    """What a connection's schedule says at one moment."""

    condition: Wanted
    status: AutomaticStatus | None
    next: datetime | None = None  # when the next sync is made
    due: datetime | None = None  # the scheduled time for which one is to be made now
    mode: Mode = Mode.FULL
    wake: datetime | None = None  # when the answer changes by itself
    late_since: datetime | None = None  # due: when the first sync that is not made yet was to be made


def hold_of(spec: RosterConnectionSpec, now: datetime, *, undo: bool = False) -> Hold | None:
    """Whether the connection is suspended, or in a pause.

    undo: the sync is one. Whoever saw a wrong merge suspends the connection first, so that does not hold the cure.
    """
    if spec.suspend and not undo:
        return Hold("Suspended", "The connection is suspended (spec.suspend).", None, staging=True)
    auto = spec.automatic_sync
    if auto is None:
        return None
    zone = _zone(auto)
    today = now.astimezone(zone).date()
    found = [pause for pause in auto.pause if pause.covers(today)]
    if not found:
        return None
    # Where two overlap, the one that lets less through counts, and for as long as any of its kind lasts.
    kind = PauseMode.SKIP if any(pause.mode is PauseMode.SKIP for pause in found) else PauseMode.REHEARSE
    pause = max((pause for pause in found if pause.mode is kind), key=lambda pause: pause.to)
    text = f"The connection is paused until the end of {pause.to} ({pause.mode.value}): {pause.reason}."
    return Hold("Paused", text, _end(pause.to, zone), staging=kind is PauseMode.SKIP)


def in_pause(spec: RosterConnectionSpec, moment: datetime) -> bool:
    """A pause window holds this moment."""
    auto = spec.automatic_sync
    if auto is None:
        return False
    day = moment.astimezone(_zone(auto)).date()
    return any(pause.covers(day) for pause in auto.pause)


def automation_of(connection: Connection, now: datetime, settings: Settings) -> Automation | None:
    """What the schedule says now; None where there is none."""
    auto = connection.spec.automatic_sync
    if auto is None:
        return None
    idle = connection.status.automatic
    try:
        zone = zone_of(auto.time_zone)
        first = next(moments(auto.schedule, zone, now), None)
    except ScheduleError as error:
        return _idle(idle, error.reason, str(error))
    hold = hold_of(connection.spec, now)
    if hold and hold.staging:
        return _idle(idle, hold.reason, f"{hold.message} No sync is made.", hold.until)
    if connection.status.last_merged_time is None:
        return _idle(
            idle,
            "FirstMergeNeeded",
            "It begins after the connection's first merge: create a RosterSync, review it, and approve it.",
        )
    status = _status(connection, auto, now)
    late = jitter(connection.meta.uid, settings)
    done = max(status.since, status.last_scheduled or status.since)
    due = latest(auto.schedule, zone, done, now - late)
    if due is not None and (_over(auto, due, zone) or _skipped(connection.spec, due)):
        due = None
    coming = _coming(connection.spec, zone, max(done, now - late))
    if first is None or (coming is None and due is None):
        return _idle(idle, "UntilPassed", "No moment of the schedule is left before until.")
    plan = coming + late if coming else None
    text = f"The next sync is made at {show_time(plan)}." if plan else "The last sync is due."
    if hold:
        text = f"{hold.message} Syncs are staged, and not merged. {text}"
    if connection.status.undone:
        text += " An undo was merged since the last pull: that sync waits for a person, whatever the policy."
    reason = "Rehearsing" if hold else SCHEDULED
    wake = min((moment for moment in (plan, hold.until if hold else None) if moment), default=None)
    mode = mode_of(connection, due, zone) if due else Mode.FULL
    missed = _coming(connection.spec, zone, done) if due else None
    late_since = missed + late if missed else None
    return Automation(Wanted(SCHEDULED, True, reason, text), status, plan, due, mode, wake, late_since)


def mode_of(connection: Connection, due: datetime, zone: ZoneInfo) -> Mode:
    """Full, unless deltas are permitted, and a full pull was merged lately, and since the last pause and undo."""
    auto, full = connection.spec.automatic_sync, connection.status.last_full_merged_time
    if auto is None or auto.full_every is None or full is None or connection.spec.api is None:
        return Mode.FULL
    if connection.status.undone or due - full >= parse_duration(auto.full_every):
        return Mode.FULL
    ends = (_end(pause.to, zone) for pause in auto.pause)
    return Mode.FULL if any(full < end <= due for end in ends) else Mode.DELTA


def jitter(uid: str, settings: Settings) -> timedelta:
    """How much later than scheduled this connection is pulled: always the same, so that ten thousand spread."""
    share = int.from_bytes(hashlib.sha256(f"schedule/{uid}".encode()).digest()[:4], "big") / 2**32
    return timedelta(seconds=int(settings.schedule_jitter * share))


def _status(connection: Connection, auto: AutomaticSync, now: datetime) -> AutomaticStatus:
    """What is remembered of a schedule in force. One that is new, or in force again, missed nothing before."""
    before, text = connection.status.automatic, f"{auto.schedule} {auto.time_zone}"
    condition = find(connection.status.conditions, SCHEDULED)
    if before is None:
        return AutomaticStatus(schedule=text, since=now)
    if before.schedule != text or condition is None or condition.status != "True":
        return before.model_copy(update={"schedule": text, "since": now})
    return before


def _idle(status: AutomaticStatus | None, reason: str, message: str, wake: datetime | None = None) -> Automation:
    return Automation(Wanted(SCHEDULED, False, reason, message), status, wake=wake)


def _coming(spec: RosterConnectionSpec, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first moment from here on that is neither left out by a pause nor after the end."""
    auto = spec.automatic_sync
    if auto is None:
        return None
    begin = after
    for _ in range(len(auto.pause) + 1):  # each turn leaves at least one pause behind
        moment = next(moments(auto.schedule, zone, begin), None)
        if moment is None or _over(auto, moment, zone):
            return None
        skips = _skips(auto, moment, zone)
        if not skips:
            return moment
        begin = max(_end(pause.to, zone) for pause in skips) - timedelta(seconds=1)
    return None


def _skipped(spec: RosterConnectionSpec, moment: datetime) -> bool:
    auto = spec.automatic_sync
    return auto is not None and bool(_skips(auto, moment, _zone(auto)))


def _skips(auto: AutomaticSync, moment: datetime, zone: ZoneInfo) -> list[Pause]:
    day = moment.astimezone(zone).date()
    return [pause for pause in auto.pause if pause.mode is PauseMode.SKIP and pause.covers(day)]


def _over(auto: AutomaticSync, moment: datetime, zone: ZoneInfo) -> bool:
    return auto.until is not None and moment.astimezone(zone).date() > auto.until


def _zone(auto: AutomaticSync) -> ZoneInfo:
    """A pause holds also where the time zone makes no sense."""
    try:
        return zone_of(auto.time_zone)
    except ScheduleError:
        return _UTC


def _end(day: date, zone: ZoneInfo) -> datetime:
    """When this day is over."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
