"""From a connection's spec to a staged plan: what the Job and the command line do alike."""

from __future__ import annotations

import psycopg

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.limits import Limits
from roster_operator.api.task import Policy
from roster_operator.store.cursors import wanted_delta
from roster_operator.store.runs import RunName

from .choices import choices_of
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
) -> Staged:
    """Open the source that the spec describes, pull what it wants taken, and stage it. conn: the stage login.

    upload: the digest of the zip, for connections that take uploads. Raises WorkerError, OneRosterError, StoreError.
    """
    choices = choices_of(spec)
    delta = wanted_delta(conn, name.mode, choices.mark)
    with open_source(spec, secret, policy, conn, delta=delta, upload=upload) as opened:
        return stage(opened.source, conn, name, attempt, limits, progress, choices, opened.origin)
