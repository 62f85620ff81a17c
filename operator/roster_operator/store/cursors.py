"""How far the merged rows reach: what a delta has to be asked from. It stands beside the data, never in Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql

from .tables import TABLES


@dataclass(frozen=True)
class Reach:
    """newest: per entity the latest date_last_modified of a merged row, where any has one. pulled: when the pull of
    the newest merged run began."""

    newest: dict[str, datetime]
    pulled: datetime


def wanted_delta(conn: psycopg.Connection, mode: str, choices: str, *, rewound: bool = False) -> Reach | None:
    """The reach where a run's mode asks for changes only; None where a delta would not show all that has to be merged.

    choices: a mark of the settings that say what is taken. That is before the first merge, when all is new; after a
    merge whose removals wait; where the merged rows were read under other settings: what they left out is in the
    source as it was, and no delta shows it; and where the database was put back (rewound): a source need not remember
    for so long what it has deleted.
    """
    return reach(conn) if mode == "Delta" and not rewound and _all_was_taken(conn, choices) else None


def _all_was_taken(conn: psycopg.Connection, choices: str) -> bool:
    row = conn.execute(
        "select plan -> 'held', array(select distinct e.value ->> 'choices' from jsonb_each(pull) e)"
        " from roster.sync_run where tenant = (select roster.session_tenant())"
        " and state = 'Merged' and mode <> 'Undo' order by data_version desc limit 1"
    ).fetchone()
    return row is not None and not row[0] and row[1] == [choices]


def reach(conn: psycopg.Connection) -> Reach | None:
    """The reach of the login's own tenant; None before its first merge, and between an undo and the next whole pull."""
    # What an undo took back lies before the rows' dates: a whole pull has to see it again first.
    row = conn.execute(
        "select r.started_at from roster.sync_run r where r.tenant = (select roster.session_tenant())"
        " and r.state = 'Merged' and r.mode <> 'Undo' and not exists (select from roster.sync_run u"
        " where u.tenant = r.tenant and u.state = 'Merged' and u.mode = 'Undo' and not exists ("
        "  select from roster.sync_run p where p.tenant = r.tenant and p.state = 'Merged' and p.mode <> 'Undo'"
        "  and p.data_version > u.data_version and p.started_at > u.merged_at and not exists ("
        "   select from jsonb_each(p.pull) e where (e.value ->> 'delta')::boolean)))"
        " order by r.data_version desc limit 1"
    ).fetchone()
    if row is None:
        return None
    newest: dict[str, datetime] = {}
    for table in TABLES:
        found = conn.execute(
            sql.SQL(
                "select max(date_last_modified) from {} where tenant = (select roster.session_tenant())"
                " and source = 'SIS'"
            ).format(sql.Identifier("roster", table.name))
        ).fetchone()
        if found is not None and found[0] is not None:
            newest[table.entity] = found[0]
    return Reach(newest, row[0])
