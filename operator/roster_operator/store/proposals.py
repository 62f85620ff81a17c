"""The map of a plan that changes people's ids, for those who decide on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from . import removals, runs
from .bound import Bound
from .tables import BY_ENTITY


@dataclass(frozen=True)
class Proposal:
    """One id that another one succeeds. kind: link, newKey or unlink. basis: what is equal on both sides. name: of the
    record as it is merged; new_name: as it was staged, or is merged already. granted: the old id has access that was
    not revoked."""

    old: str
    new: str
    kind: str
    basis: str
    name: str
    new_name: str
    role: str | None
    granted: bool


_PROPOSED: LiteralString = (
    "select x.old_sourced_id as old, x.new_sourced_id as new, x.kind, x.basis,"
    " concat_ws(' ', o.given_name, o.family_name) as name,"
    " concat_ws(' ', coalesce(s.given_name, n.given_name), coalesce(s.family_name, n.family_name)) as new_name,"
    " coalesce(s.role, n.role, o.role) as role, exists (select from roster.app_access a where a.tenant = x.tenant"
    " and a.user_sourced_id = x.old_sourced_id and a.revoked_at is null) as granted"
    " from roster.proposed_succession x"
    " left join {merged} o on o.tenant = x.tenant and o.sourced_id = x.old_sourced_id"
    " left join {merged} n on n.tenant = x.tenant and n.sourced_id = x.new_sourced_id"
    " left join {plain} s on s.sourced_id = x.new_sourced_id and s.status = 'active'"
    " where x.tenant = {tenant} and x.run = {run} and x.entity = 'users'"
    " and ({after}::text is null or x.old_sourced_id > {after}) order by x.old_sourced_id limit {limit}"
)


def proposed(conn: psycopg.Connection, run: runs.Run, after: str | None = None, limit: int = 50) -> list[Proposal]:
    """The people whose ids a staged run would change, by the old id. after: the last one that was seen."""
    given = removals.names(run, BY_ENTITY["users"], run.tenant)
    cursor = conn.cursor(row_factory=class_row(Proposal))
    cursor.execute(
        sql.SQL(_PROPOSED).format(**given, run=sql.Literal(run.run), after=Bound(after), limit=sql.Literal(limit))
    )
    return cursor.fetchall()
