"""Ages are told by the API server's clock: what was stamped in the cluster is compared with nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from roster_operator.controller.client import _offset

NOW = datetime(2026, 11, 25, 12, 0, 0, 400_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        ("Wed, 25 Nov 2026 12:00:00 GMT", timedelta()),
        ("Wed, 25 Nov 2026 11:59:56 GMT", timedelta()),
        ("Wed, 25 Nov 2026 13:00:00 GMT", timedelta(seconds=3599.6)),
        ("Wed, 25 Nov 2026 11:00:00 GMT", timedelta(seconds=-3600.4)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_how_much_the_api_server_is_ahead(date: str | None, offset: timedelta | None) -> None:
    assert _offset(date, NOW) == offset
