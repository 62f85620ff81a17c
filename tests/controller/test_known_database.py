"""What a connection's status knows of its database, after merges, tests and a database that was put back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.controller.values import NOW

from roster_operator.api.connection import Ledger, RosterConnectionStatus
from roster_operator.api.sync import Phase, Rewound
from roster_operator.api.task import Outcome, Step, WorkerSummary
from roster_operator.controller.known import from_syncs, from_test
from roster_operator.controller.view import SyncRecord


def ledger(version: int) -> Ledger:
    return Ledger(database="d", data_version=version, run=f"run-{version}")


def record(minutes: int, version: int | None = None, reason: str = "Merged") -> SyncRecord:
    at = NOW + timedelta(minutes=minutes)
    merged = version is not None
    return SyncRecord(
        uid="u", connection="springfield", phase=Phase.MERGED if merged else Phase.BLOCKED, reason=reason,
        created=at, waiting_since=None, staged=at, finished=at if merged else None, digest="sha256:a", summary="",
        settled=merged, outlives=None, ledger=ledger(version) if merged else None,
    )  # fmt: skip


def known(version: int | None = 8, rewound: datetime | None = None) -> RosterConnectionStatus:
    if version is None:
        return RosterConnectionStatus()
    return RosterConnectionStatus(ledger=ledger(version), ledger_time=NOW, database_rewound_time=rewound)


@pytest.mark.parametrize(
    ("before", "syncs", "version", "rewound"),
    [
        (known(None), [record(-2, 7), record(-1, 8)], 8, False),
        (known(8), [record(-1, 8)], 8, False),
        (known(8), [record(1, 9)], 9, False),
        (known(8), [record(1, reason="DatabaseRewound")], 8, True),
        (known(8), [record(-1, reason="DatabaseRewound")], 8, False),
        (known(8, NOW), [record(2, 6)], 6, False),
        (known(8, NOW), [record(1, reason="Rejected")], 8, True),
    ],
)
def test_syncs_say_what_is_known(
    before: RosterConnectionStatus, syncs: list[SyncRecord], version: int, rewound: bool
) -> None:
    from_syncs(before, syncs)
    assert before.ledger == ledger(version)
    assert (before.database_rewound_time is not None) is rewound


def test_a_test_adds_to_what_is_known_and_never_takes_away() -> None:
    status = known(8)
    found = WorkerSummary(step=Step.TEST, outcome=Outcome.TESTED, ledger=ledger(5), rewound=Rewound(known=8, found=5))
    from_test(status, found, NOW)
    assert (status.ledger, status.database_rewound_time) == (ledger(8), NOW)
    from_test(status, None, NOW)
    from_test(status, WorkerSummary(step=Step.TEST, outcome=Outcome.TESTED), NOW)
    assert status.database_rewound_time == NOW
    from_test(status, WorkerSummary(step=Step.TEST, outcome=Outcome.TESTED, ledger=ledger(11)), NOW)
    assert (status.ledger, status.database_rewound_time) == (ledger(11), None)
