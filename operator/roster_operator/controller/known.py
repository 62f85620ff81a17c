"""What a connection's status knows of its database, and whether the database was put back. Pure.

Every step is told what was known, and compares: see store/ledger.py. A merge replaces what was known, also by less: a
person has approved it. A test only adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from roster_operator.api.connection import DATABASE_REWOUND, RosterConnectionStatus
from roster_operator.api.task import WorkerSummary

from .approval import Verdict
from .view import SyncRecord

REWOUND = DATABASE_REWOUND


def from_syncs(status: RosterConnectionStatus, syncs: Iterable[SyncRecord]) -> None:
    """Take over what syncs have merged, and what they have found."""
    syncs = list(syncs)
    merged = [(item.finished, item.ledger.data_version, item.ledger) for item in syncs if item.ledger and item.finished]
    if merged:
        at, _, ledger = max(merged, key=lambda one: one[:2])
        # A test from after it may know more of the same database.
        if status.ledger_time is None or at > status.ledger_time:
            status.ledger, status.ledger_time = ledger, at
            status.database_rewound_time = None
    told = [item for item in syncs if item.reason == Verdict.DATABASE_REWOUND]
    moments = [item.finished or item.staged for item in told]
    latest = max((moment for moment in moments if moment), default=None)
    if latest and status.ledger_time and latest > status.ledger_time and status.database_rewound_time is None:
        status.database_rewound_time = latest


def from_test(status: RosterConnectionStatus, summary: WorkerSummary | None, now: datetime) -> None:
    """Take over what a test has found."""
    if summary is None or summary.ledger is None:
        return
    if summary.rewound is not None:
        status.database_rewound_time = status.database_rewound_time or now
        return
    status.database_rewound_time = None
    status.ledger, status.ledger_time = summary.ledger, now
