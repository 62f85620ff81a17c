"""Staging an undo: from the history in the database, without any source."""

from __future__ import annotations

import psycopg

from roster_operator.api.limits import Limits
from roster_operator.store import undo
from roster_operator.store.ledger import Rewound
from roster_operator.store.runs import Run, RunName
from roster_operator.store.stage import Stage

from .stage import Filled, Staged, planned


def stage_undo(
    conn: psycopg.Connection,
    name: RunName,
    undone: Run,
    *,
    attempt: int,
    limits: Limits,
    overwrite: bool,
    rewound: Rewound | None = None,
) -> Staged:
    """Stage what takes back a merged run, and plan it. conn: the stage login.

    overwrite: also where something changed a record since. Raises StoreError; then nothing is staged.
    """

    def turn_round(opened: Stage) -> Filled:
        return Filled(undo.stage(conn, opened, undone, overwrite=overwrite))

    return planned(conn, name, attempt, limits, turn_round, rewound)
