"""Pause windows as values."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from roster_operator.api.automatic import Pause
from roster_operator.cli.cluster import pauses
from roster_operator.cli.cluster.pauses import Window
from roster_operator.cli.cluster.problems import ClusterError

SUMMER: Window = {"from": "2027-06-12", "to": "2027-08-10", "mode": "Skip", "reason": "Summer", "newer": 1}
SHORT: Window = {**SUMMER, "to": "2027-06-20"}


def new(first: str = "2027-03-01", last: str = "2027-03-07") -> Pause:
    return Pause.from_dict({"from": first, "to": last, "reason": "Spring"})


def test_a_new_pause_stands_by_its_day_and_leaves_the_others_as_they_were() -> None:
    assert pauses.with_pause([SUMMER], new()) == [
        {"from": "2027-03-01", "to": "2027-03-07", "mode": "Skip", "reason": "Spring"},
        SUMMER,
    ]


def test_the_same_days_twice_and_one_too_many_are_refused() -> None:
    with pytest.raises(ClusterError, match="PauseThere"):
        pauses.with_pause([SUMMER], new("2027-06-12", "2027-08-10"))
    with pytest.raises(ClusterError, match="TooManyPauses"):
        pauses.with_pause([SUMMER] * pauses.AT_MOST, new())


def test_a_pause_is_named_by_its_first_day_and_by_its_last_where_two_begin_together() -> None:
    first, last = date(2027, 6, 12), date(2027, 6, 20)
    assert pauses.without_pause([SUMMER], first, None) == []
    with pytest.raises(ClusterError, match="PauseAmbiguous"):
        pauses.without_pause([SUMMER, SHORT], first, None)
    assert pauses.without_pause([SUMMER, SHORT], first, last) == [SUMMER]
    with pytest.raises(ClusterError, match="PauseUnknown"):
        pauses.without_pause([SUMMER], first, last)


def test_today_is_the_day_of_the_schedule() -> None:
    now = datetime(2027, 6, 12, 3, 0, tzinfo=UTC)
    assert pauses.today(now, "America/Chicago") == date(2027, 6, 11)
    assert pauses.today(now, "Nowhere/None") == date(2027, 6, 12)
    assert [pauses.state(SUMMER, day) for day in (date(2027, 6, 11), date(2027, 8, 10), date(2027, 8, 11))] == [
        "to come",
        "now",
        "over",
    ]


def test_the_table_shows_what_a_newer_version_wrote_without_control_codes() -> None:
    lines = pauses.pauses_table([{**SUMMER, "reason": "\x1b[31mred"}], date(2027, 7, 1), None)
    assert lines[1].text.split() == ["2027-06-12", "2027-08-10", "Skip", "now", "[31mred"]
    assert lines[1].tone == "yellow"
