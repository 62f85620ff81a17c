"""Days pass: every time that the database holds of a tenant moves so many days back."""

from __future__ import annotations

import psycopg
from psycopg import sql

from roster_operator.store.tables import TABLES

# Written by PostgreSQL with its own clock, so it is the rows that have to move.
_TIMES = (
    *((table.name, name) for table in TABLES for name in ("inactive_since", "first_seen", "last_changed")),
    *(("sync_run", name) for name in ("started_at", "staged_at", "merged_at", "ended_at")),
    *(("succession", name) for name in ("since", "first_seen_before", "undone_at")),
    ("manual_change", "changed_at"),
    ("pin", "until"),
    ("app_access", "granted_at"),
    ("app_access", "revoked_at"),
)


def elapse(owner: psycopg.Connection, tenant: str, days: int) -> None:
    """owner: the owner's connection."""
    with owner.transaction():
        for table, column in _TIMES:
            query = "update {} set {} = {} - make_interval(days => %s) where tenant = %s and {} is not null"
            name = sql.Identifier(column)
            owner.execute(sql.SQL(query).format(sql.Identifier("roster", table), name, name, name), (days, tenant))
        for name in ("inactive_since", "first_seen", "last_changed"):
            owner.execute(
                "update roster.change_log set old = jsonb_set(old, %s, to_jsonb((old ->> %s)::timestamptz"
                " - make_interval(days => %s))) where tenant = %s and old ->> %s is not null",
                ([name], name, days, tenant, name),
            )
        staged = owner.execute(
            "select c.relname::text from roster.sync_run r join pg_class c"
            " on c.relnamespace = 'roster_stage'::regnamespace and c.relname ="
            " roster.stage_table(r.tenant, r.run, r.token, 'undo') where r.tenant = %s",
            (tenant,),
        ).fetchall()
        for (table,) in staged:
            query = "update {} set inactive_since = inactive_since - make_interval(days => %s)"
            owner.execute(sql.SQL(query).format(sql.Identifier("roster_stage", str(table))), (days,))
