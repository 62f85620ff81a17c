"""When a schedule's moments are: over nights without an hour, and nights that have one twice."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roster_operator.controller.schedule import ScheduleError, latest, moments, zone_of

CHICAGO, LORD_HOWE, UTC_ZONE = ZoneInfo("America/Chicago"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Etc/UTC")


def at(text: str, zone: ZoneInfo = UTC_ZONE, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def following(expression: str, zone: ZoneInfo, after: datetime, count: int = 3) -> list[str]:
    return [f"{moment.astimezone(zone):%m-%d %H:%M %Z}" for moment in islice(moments(expression, zone, after), count)]


TABLE: list[tuple[str, str, ZoneInfo, str, list[str]]] = [
    ("every night", "0 3 * * *", CHICAGO, "2026-11-24T12:00", ["11-25 03:00 CST", "11-26 03:00 CST", "11-27 03:00 CST"]),
    ("summer and winter are the same hour", "0 3 * * *", CHICAGO, "2026-10-31T00:00", ["10-31 03:00 CDT", "11-01 03:00 CST", "11-02 03:00 CST"]),
    ("a spring night leaves the hour out: right after it", "30 2 * * *", CHICAGO, "2026-03-07T12:00", ["03-08 03:00 CDT", "03-09 02:30 CDT", "03-10 02:30 CDT"]),
    ("two moments that it leaves out are one", "15,45 2 * * *", CHICAGO, "2026-03-07T12:00", ["03-08 03:00 CDT", "03-09 02:15 CDT", "03-09 02:45 CDT"]),
    ("an autumn night has the hour twice: once", "30 1 * * *", CHICAGO, "2026-10-31T12:00", ["11-01 01:30 CDT", "11-02 01:30 CST", "11-03 01:30 CST"]),
    ("every half hour goes by elapsed time, twice", "*/30 * * * *", CHICAGO, "2026-11-01T00:45", ["11-01 01:00 CDT", "11-01 01:30 CDT", "11-01 01:00 CST"]),
    ("a shift of half an hour", "15 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["10-04 02:30 +11", "10-05 02:15 +11", "10-06 02:15 +11"]),
    ("school days", "0 18 * * MON-FRI", CHICAGO, "2026-11-27T12:00", ["11-27 18:00 CST", "11-30 18:00 CST", "12-01 18:00 CST"]),
    ("by name", "@weekly", CHICAGO, "2026-11-24T12:00", ["11-29 00:00 CST", "12-06 00:00 CST", "12-13 00:00 CST"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_moments(expression: str, zone: ZoneInfo, after: str, expected: list[str]) -> None:
    assert following(expression, zone, at(after, zone)) == expected


@pytest.mark.parametrize("name", ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"])
def test_every_name_has_moments(name: str) -> None:
    assert len(following(name, UTC_ZONE, at("2026-11-24T12:00"))) == 3


def test_the_second_pass_through_an_hour_does_not_run_it_again() -> None:
    assert following("30 1 * * *", CHICAGO, at("2026-11-01T01:10", CHICAGO, fold=1), 1) == ["11-02 01:30 CST"]


@pytest.mark.parametrize("expression", ["61 * * * *", "* * * *", "0 3 31 2 *", "a b c d e", "0 3 * * 9", "*/0 * * * *"])
def test_a_schedule_that_makes_no_sense_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError) as told:
        next(moments(expression, UTC_ZONE, at("2026-11-24T12:00")))
    assert told.value.reason == "ScheduleInvalid"


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "America", "Etc/UTC/x", ""])
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ScheduleError) as told:
        zone_of(name)
    assert told.value.reason == "TimeZoneUnknown"


def test_a_moment_that_never_comes_is_none_and_takes_no_time() -> None:
    begun = time.monotonic()
    assert next(moments("0 0 30 2 1", UTC_ZONE, at("2026-11-24T12:00")), None) is not None  # a Monday, or the 30th
    assert latest("0 0 29 2 *", UTC_ZONE, at("2026-11-24T12:00"), at("2027-11-24T12:00")) is None
    assert time.monotonic() - begun < 1


def test_the_latest_of_a_busy_schedule_is_found_without_counting_all() -> None:
    begun = time.monotonic()
    upto = at("2026-11-24T12:00:30")
    assert latest("* * * * *", CHICAGO, at("2016-01-01T00:00"), upto) == at("2026-11-24T12:00")
    assert time.monotonic() - begun < 1


EXPRESSIONS = st.sampled_from(
    ["0 3 * * *", "30 1 * * *", "30 2 * * *", "15,45 1-3 * * *", "*/20 * * * *", "5 */2 * * *", "0 2 * * SUN", "@daily"]
)
ZONES = st.sampled_from([CHICAGO, LORD_HOWE, UTC_ZONE, ZoneInfo("Europe/Dublin"), ZoneInfo("Asia/Kathmandu")])
NIGHTS = st.sampled_from(["2026-03-08", "2026-11-01", "2026-10-04", "2026-04-05", "2026-03-29", "2026-10-25"])


@given(EXPRESSIONS, ZONES, NIGHTS, st.integers(-2000, 1500), st.integers(0, 3000))
@settings(deadline=None)
@example("30 1 * * *", CHICAGO, "2026-11-01", 400, 200)
def test_each_moment_is_met_once_however_the_looks_fall(
    expression: str, zone: ZoneInfo, night: str, first: int, length: int
) -> None:
    """Looking now and then, from what was met last, meets the same moments as looking once."""
    begin = at(f"{night}T06:00") + timedelta(minutes=first)
    end = begin + timedelta(minutes=length)
    found = [moment for moment in islice(moments(expression, zone, begin), 4000) if moment <= end]
    assert found == sorted(set(found))
    assert all(moment > begin for moment in found)
    assert latest(expression, zone, begin, end) == (found[-1] if found else None)
    met: list[datetime] = []
    last, now = begin, begin
    while now < end:
        now += timedelta(minutes=7)
        due = latest(expression, zone, last, min(now, end))
        if due is not None:
            met.append(due)
            last = due
    assert met == found


@given(ZONES, NIGHTS, st.integers(0, 23), st.integers(0, 59))
@settings(deadline=None)
def test_a_daily_moment_comes_once_a_day_and_at_its_hour_where_the_day_has_it(
    zone: ZoneInfo, night: str, hour: int, minute: int
) -> None:
    begin = at(f"{night}T00:00", zone) - timedelta(days=3)
    found = [m.astimezone(zone) for m in islice(moments(f"{minute} {hour} * * *", zone, begin), 7)]
    days = [moment.date() for moment in found]
    assert [later - sooner for sooner, later in pairwise(days)] == [timedelta(days=1)] * 6
    for moment in found:
        wall = moment.replace(hour=hour, minute=minute, fold=0)
        exists = wall.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None)
        if exists:
            assert moment == wall
        else:
            assert timedelta() < moment.replace(tzinfo=None) - wall.replace(tzinfo=None) <= timedelta(hours=1)
