"""From a connection's spec to a staged plan: what the Job and the command line do alike."""

from __future__ import annotations

import psycopg

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.limits import Limits
from roster_operator.api.task import Policy
from roster_operator.store.cursors import Reach, wanted_delta
from roster_operator.store.ledger import Rewound
from roster_operator.store.runs import RunName

from .choices import choices_of
from .failures import DeltaNotEnoughError
from .inputs import SecretValues
from .pull import Progress
from .sources import open_source
from .stage import Staged, stage


def stage_connection(
    conn: psycopg.Connection,
    name: RunName,
    spec: RosterConnectionSpec,
    secret: SecretValues,
    policy: Policy,
    *,
    attempt: int,
    limits: Limits,
    progress: Progress,
    upload: str | None,
    rewound: Rewound | None = None,
) -> Staged:
    """Open the source that the spec describes, pull what it wants taken, and stage it. conn: the stage login.

    upload: the digest of the zip, for connections that take uploads. rewound: the database was found behind what was
    known of it. A delta in which records may have come under another sourcedId is left, and everything is read.
    Raises WorkerError, OneRosterError, StoreError.
    """
    choices = choices_of(spec)
    delta = wanted_delta(conn, name.mode, choices.mark, rewound=rewound is not None)

    def pull(delta: Reach | None, *, or_whole: bool) -> Staged:
        with open_source(spec, secret, policy, conn, delta=delta, upload=upload) as opened:
            more = (choices, opened.origin, rewound)
            return stage(opened.source, conn, name, attempt, limits, progress, *more, or_whole=or_whole)

    try:
        # A bundle cannot be asked for more than it holds.
        return pull(delta, or_whole=delta is not None and spec.api is not None)
    except DeltaNotEnoughError:
        return pull(None, or_whole=False)
