"""What a plan would change, record by record, for people who may read records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from . import plan as plans
from . import runs
from .tables import BY_ENTITY

# What identifies nobody and explains nothing: bookkeeping.
_LEFT_OUT = frozenset({"date_last_modified", "metadata"})


@dataclass(frozen=True)
class Change:
    """One record. `fields` is column → (old, new); for a create old is None, for a removal it is empty."""

    entity: str
    action: str
    sourced_id: str
    fields: dict[str, tuple[Any, Any]]


_CHANGES = (
    "select e.action, e.sourced_id, e.old, e.new from ("
    " select case when m.sourced_id is null then 'create' when m.status = 'inactive' then 'reactivate'"
    " else 'update' end"
    "   as action, s.sourced_id, to_jsonb(m) as old, to_jsonb(s) as new"
    " from {stage} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " where s.status = 'active' and coalesce(m.source, 'SIS') = 'SIS'"
    "   and (m.sourced_id is null or m.status = 'inactive' or m.row_hash <> s.row_hash) and "
    + plans.VALID_STAGED
    + " union all"
    " select 'tobedeleted', m.sourced_id, to_jsonb(m), null from {merged} m"
    " join {stage} s on s.sourced_id = m.sourced_id"
    " where {removable} and m.tenant = {tenant} and m.status = 'active' and m.source = 'SIS'"
    "   and s.status = 'tobedeleted' and " + plans.VALID_STAGED + " union all"
    " select 'vanished', m.sourced_id, to_jsonb(m), null from {merged} m where {removable} and "
    + plans.VANISHED
    + " union all select 'outOfScope', m.sourced_id, to_jsonb(m), null from {merged} m where "
    + plans.SCOPED_OUT
    + ") e"
    " where ({action}::text is null or e.action = {action}) order by e.sourced_id limit {limit}"
)


def changes(
    conn: psycopg.Connection, run: runs.Run, entity: str, *, action: str | None = None, limit: int = 50
) -> list[Change]:
    """The first `limit` changes of one entity by sourcedId. The run must be Staged."""
    table = BY_ENTITY[entity]
    query = sql.SQL(_CHANGES).format(
        **plans.names(run, table, runs.session_tenant(conn)),
        removable=sql.Literal(entity in run.removable),
        action=sql.Literal(action),
        limit=sql.Literal(limit),
    )
    found: list[Change] = []
    for what, sourced_id, old, new in conn.execute(query).fetchall():
        before: dict[str, Any] = old or {}
        after: dict[str, Any] = new or {}
        fields = {
            name: (before.get(name), after.get(name))
            for name in table.column_names
            if new is not None and name not in _LEFT_OUT and before.get(name) != after.get(name)
        }
        found.append(Change(entity, str(what), str(sourced_id), fields))
    return found
