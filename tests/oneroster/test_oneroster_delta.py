"""From when on a delta is asked for, and in which words."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from roster_operator.oneroster.delta import OVERLAP, PROBE, filter_of, since

PULLED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
_moments = st.integers(-300_000_000, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


def test_the_filter_is_the_standards_own() -> None:
    new_york = timezone(timedelta(hours=-5))
    assert filter_of(datetime(2026, 8, 1, tzinfo=UTC)) == "dateLastModified>'2026-08-01T00:00:00.000Z'"
    assert filter_of(datetime(2026, 7, 31, 19, tzinfo=new_york)) == "dateLastModified>'2026-08-01T00:00:00.000Z'"
    assert PROBE == "dateLastModified>'1970-01-01T00:00:00.000Z'"


def test_without_any_date_everything_has_to_be_read() -> None:
    assert since(None, PULLED) is None


def test_a_record_from_the_future_hides_nothing() -> None:
    assert since(datetime(2999, 1, 1, tzinfo=UTC), PULLED) == PULLED - OVERLAP


@given(newest=_moments, pulled=_moments)
def test_nothing_that_changed_after_either_clock_is_left_out(newest: datetime, pulled: datetime) -> None:
    found = since(newest, pulled)
    assert found is not None
    assert found.year >= 1970
    assert found < newest or newest.year < 1971
    assert found < pulled or pulled.year < 1971
