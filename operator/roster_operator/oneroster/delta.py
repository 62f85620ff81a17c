"""Pulling only what changed, by dateLastModified: from when on, and how it is asked for. Pure.

A delta is only as good as the server's word. It never shows a record that the server simply dropped, so it proves
nothing about what is missing; `rest` marks its reports so.
"""

from datetime import UTC, datetime, timedelta

# Some servers know only the day of a change, or write it in a zone that they do not name; some commit a change long
# after they stamped it. What is shown twice costs a look at its hash.
OVERLAP = timedelta(hours=25)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def since(newest: datetime | None, pulled: datetime) -> datetime | None:
    """From when on changes are asked for, or None where everything has to be read.

    newest: the latest dateLastModified among the merged records, by the server's clock. pulled: when the pull began
    that brought them, by ours. The earlier of the two counts: a record with a date in the future must not hide the
    changes of years, and a server whose clock is behind must not lose those of an hour.
    """
    if newest is None:
        return None
    return max(_BEGINNING, min(newest, pulled) - OVERLAP)


def filter_of(moment: datetime) -> str:
    """The standard's filter for records that changed after a moment."""
    return f"dateLastModified>'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z'"


# Every record of a server passes it. One that shows none for it does not know the filter, and would answer any other
# with an empty list just the same.
PROBE = filter_of(_BEGINNING)
