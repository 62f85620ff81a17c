"""Staging an undo: what a merged run did, turned round, from the history.

Each record gets back what the run found: its old values; its old status; a record that it created is deactivated, for
nothing is ever deleted by a merge. No raw hash is staged, so the next pull reads these records again and plans them by
what the source says then.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from . import runs
from .conflicts import GONE
from .errors import StoreError
from .runs import Run, merged_under, session_tenant
from .stage import Issue, Stage
from .tables import TABLES, Table

# Counts of an EntityPlan, one for each cause.
_REMOVED = ("tobedeleted", "vanished", "out_of_scope", "undone", "concluded", "school_closed")
_ENTRIES: LiteralString = (
    " from roster.change_log l where l.tenant = {tenant} and l.data_version = {version} and l.run = {undone}"
    " and l.entity = {entity}"
    # What links and new keys did beside the rows of the source is turned round with them (successions).
    " and l.action not in ('link', 'unlink', 'followed')"
)
_COUNT = "select count(distinct l.sourced_id)" + _ENTRIES
_STAGE = (
    "with undone as materialized (select distinct on (l.sourced_id) l.sourced_id, l.old"
    + _ENTRIES
    + " order by l.sourced_id),"
    # What the first change since has found is what the undone sync had left.
    " later as materialized (select distinct on (l.sourced_id) l.sourced_id, l.old from roster.change_log l"
    " join undone d on d.sourced_id = l.sourced_id where l.tenant = {tenant} and l.data_version > {version}"
    # One merge may change an enrollment and then have it follow its person: the first of the two found it as it was.
    " and l.entity = {entity} order by l.sourced_id, l.data_version, l.action in ('followed', 'unlink')),"
    " wanted as materialized (select w.*,"
    " case when d.old is not null and w.status = 'active' then 'active' else 'undone' end as staged_status,"
    " case when l.sourced_id is null then m.row_hash else (l.old ->> 'row_hash')::bytea end as left_hash,"
    " case when l.sourced_id is null then m.status else l.old ->> 'status' end as left_status"
    " from undone d left join later l on l.sourced_id = d.sourced_id"
    " left join {merged} m on m.tenant = {tenant} and m.sourced_id = d.sourced_id"
    # A record that the undone sync created: as it had left it, but inactive.
    " cross join lateral jsonb_populate_record(null::{merged}, coalesce(d.old, l.old, to_jsonb(m))) w"
    " where w.sourced_id is not null),"
    " noted as (insert into {undo} (entity, sourced_id, left_hash, left_status, overwrite, inactive_cause,"
    " inactive_since) select {entity}, w.sourced_id, w.left_hash, w.left_status, {overwrite}, w.inactive_cause,"
    " w.inactive_since from wanted w)"
    " insert into {stage} (sourced_id, status, row_hash, {columns})"
    " select w.sourced_id, w.staged_status, w.row_hash, {wanted_columns} from wanted w"
)


def find(conn: psycopg.Connection, namespace: str, name: str) -> Run:
    """The run that was merged last under this RosterSync's name, or has this id. Raises StoreError(UndoUnknown)."""
    found = merged_under(conn, namespace, name)
    if found is None:
        with suppress(ValueError):
            found = runs.find(conn, UUID(name))
    if found is None or found.state != "Merged":
        raise StoreError(
            "UndoUnknown",
            "No sync of this name was merged for this connection.",
            "Name a merged RosterSync of the same connection; `kubectl roster history` lists them.",
        )
    return found


def stage(conn: psycopg.Connection, opened: Stage, undone: Run, *, overwrite: bool) -> dict[str, Any]:
    """Stage the undo of a merged run, and give the facts to seal it with. conn: the stage login.

    overwrite: records that something changed since get their old values all the same.
    Raises StoreError(UndoHistoryGone).
    """
    conn.execute("select roster.record_undo(%s, %s, %s)", (opened.run, opened.token, undone.run))
    tenant = session_tenant(conn)
    found = {table.entity: _stage(conn, opened, undone, table, tenant, overwrite=overwrite) for table in TABLES}
    missing = {entity: max(0, _changed(undone, entity) - count) for entity, count in found.items()}
    if any(missing.values()) and not any(found.values()):
        raise StoreError(
            "UndoHistoryGone",
            "The history of this sync is gone: its retention is over, or it was erased.",
            "What it changed can only be changed back in the source.",
        )
    opened.issues([Issue(entity, None, GONE, "warning") for entity, count in missing.items() for _ in range(count)])
    # As a pull of changes: nothing vanishes by not being in it.
    return {
        entity: {"pulled": True, "delta": True, "received": count, "invalid": 0, "complete": True}
        for entity, count in found.items()
    }


def _stage(conn: psycopg.Connection, opened: Stage, undone: Run, table: Table, tenant: str, *, overwrite: bool) -> int:
    """One entity; gives the number of records that the undone run changed."""
    given: dict[str, sql.Composable] = {
        "tenant": sql.Literal(tenant),
        "version": sql.Literal(undone.data_version),
        "undone": sql.Literal(undone.run),
        "entity": sql.Literal(table.entity),
    }
    row = conn.execute(sql.SQL(_COUNT).format(**given)).fetchone()
    count = int(row[0]) if row else 0
    if count:
        conn.execute(
            sql.SQL(_STAGE).format(
                **given,
                merged=sql.Identifier("roster", table.name),
                undo=opened.name("undo"),
                stage=opened.name(table.name),
                overwrite=sql.Literal(overwrite),
                columns=sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
                wanted_columns=sql.SQL(", ").join(sql.Identifier("w", name) for name in table.column_names),
            )
        )
    return count


def _changed(undone: Run, entity: str) -> int:
    """How many records of an entity a run has changed, by its own plan."""
    counts: dict[str, int] = ((undone.plan or {}).get("entities") or {}).get(entity, {})
    moved = ("new_key", "arrived", "returned", "followed")
    return sum(counts.get(effect, 0) for effect in ("create", "update", "reactivate", *_REMOVED, *moved))
