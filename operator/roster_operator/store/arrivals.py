"""What a plan's counts need to know of ids that succeed others, and of pins. Counts only; no part of the digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from . import conflicts, overlays, removals
from .removals import VALID_STAGED
from .runs import Run
from .tables import Table

# What two records have in common that are the same thing under two sourcedIds. Users, enrollments and demographics are
# not in here: they are recognised one by one, and keep what hangs on them.
_ALIKE: dict[str, LiteralString] = {
    "orgs": "{r}.type, coalesce({r}.identifier, {r}.name)",
    "academicSessions": "{r}.type, {r}.title, {r}.start_date, {r}.end_date",
    "courses": "{r}.course_code, {r}.title",
    "classes": "{r}.class_code, {r}.title, {r}.periods",
}
# An enrollment that differs in nothing but the person's id, and that is the new one of the same person.
_FOLLOWED: LiteralString = (
    "select s.sourced_id from {stage} s join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " and m.status = 'active' and m.source = 'SIS' and m.row_hash <> s.row_hash"
    " join roster.proposed_succession x on x.tenant = {tenant} and x.run = {run} and x.entity = 'users'"
    " and x.old_sourced_id = m.user_sourced_id and x.new_sourced_id = s.user_sourced_id"
    " where s.status = 'active' and ({others_staged}) is not distinct from ({others_merged}) and "
)

_SHOWN: LiteralString = (
    "select count(*) from {successions} x join {plain} s on s.sourced_id = x.old_sourced_id"
    " where x.kind = 'newKey' and s.status <> 'active' and " + VALID_STAGED
)


@dataclass(frozen=True)
class Ids:
    """Records, as EntityPlan names them."""

    arrived: int = 0
    returned: int = 0
    rekeyed: int = 0
    followed: int = 0
    pinned: int = 0
    shown: int = 0  # of those whose id another one succeeds: shown to go


def counted(
    conn: psycopg.Connection,
    run: Run,
    table: Table,
    names: Mapping[str, sql.Composable],
    *,
    vanished: LiteralString | None,
) -> Ids:
    """names: as plan.names gives them. vanished: the condition for merged rows that go, or None where none do."""

    def count(query: LiteralString, **more: sql.Composable) -> int:
        row = conn.execute(sql.SQL(query).format(**names, **more)).fetchone()
        return int(row[0]) if row else 0

    arrivals: LiteralString = "select count(*) from {successions} x where x.arrival = "
    moved = table.entity in run.succeeded
    return Ids(
        arrived=count(arrivals + "'create'") if moved else 0,
        returned=count(arrivals + "'reactivate'") if moved else 0,
        rekeyed=_alike(conn, table, names, vanished) if vanished else 0,
        followed=_followed(conn, run, table, names),
        pinned=_pinned(conn, run, table, names) if table.entity in run.pinned else 0,
        shown=count(_SHOWN) if moved else 0,
    )


def vanished(run: Run, table: Table) -> LiteralString | None:
    """The condition for merged rows that may have come under another id; None where nothing vanishes."""
    if run.mode == conflicts.UNDO:
        return None
    delta = (run.pull or {}).get(table.entity, {}).get("delta")
    return removals.NOT_SHOWN_TO_STAY if delta else removals.GOING[removals.VANISHED]


_GONE: LiteralString = "from {merged} m where "
_COME: LiteralString = (
    "from {stage} s where s.status = 'active' and not exists (select from {merged} m where m.tenant = {tenant}"
    " and m.sourced_id = s.sourced_id) and " + VALID_STAGED
)


def _alike(
    conn: psycopg.Connection,
    table: Table,
    names: Mapping[str, sql.Composable],
    vanished: LiteralString,
) -> int:
    key = _ALIKE.get(table.entity)
    if key is None:
        return 0
    query: LiteralString = (
        "select coalesce(sum(least(g.n, c.n)), 0) from (select row({gone_key})::text as key, count(*) as n "
        + _GONE + vanished + " group by 1) g join (select row({come_key})::text as key, count(*) as n "
        + _COME + " group by 1) c using (key)"
    )  # fmt: skip
    row = conn.execute(sql.SQL(query).format(**names, **_keys(key))).fetchone()
    return int(row[0]) if row else 0


def alike(
    table: Table, names: Mapping[str, sql.Composable], vanished: LiteralString, action: LiteralString = "vanished"
) -> sql.Composable:
    """A query for (action, sourced_id) of records that vanish and of those like them that come under another id.

    action: what the first of the two are called."""
    key = _ALIKE[table.entity]
    gone = "select m.sourced_id, row({gone_key})::text as key " + _GONE + vanished
    come = "select s.sourced_id, row({come_key})::text as key " + _COME
    return sql.SQL(
        "with gone as materialized (" + gone + "), come as materialized (" + come + ")"
        " select {action} as action, sourced_id from gone where key in (select key from come)"
        " union all select 'create', sourced_id from come where key in (select key from gone)"
    ).format(**names, **_keys(key), action=sql.Literal(action))


def _keys(key: LiteralString) -> dict[str, sql.Composable]:
    return {side: sql.SQL(key).format(r=sql.Identifier(r)) for side, r in (("gone_key", "m"), ("come_key", "s"))}


def followed(run: Run, table: Table, names: Mapping[str, sql.Composable]) -> sql.Composable | None:
    """A query for the enrollments that only name their person by the new id; None where there can be none."""
    if table.entity != "enrollments" or "users" not in run.succeeded:
        return None
    others = [name for name in table.column_names if name not in {"user_sourced_id", "date_last_modified"}]
    sides = {
        side: sql.SQL(", ").join(sql.Identifier(r, name) for name in others)
        for side, r in (("others_staged", "s"), ("others_merged", "m"))
    }
    return sql.SQL(_FOLLOWED + VALID_STAGED).format(**names, **sides, run=sql.Literal(run.run))


def _followed(conn: psycopg.Connection, run: Run, table: Table, names: Mapping[str, sql.Composable]) -> int:
    found = followed(run, table, names)
    if found is None:
        return 0
    row = conn.execute(sql.SQL("select count(*) from ({}) f").format(found)).fetchone()
    return int(row[0]) if row else 0


def _pinned(conn: psycopg.Connection, run: Run, table: Table, names: Mapping[str, sql.Composable]) -> int:
    query = sql.SQL(
        "select count(*) from {plain} s join {pins} p on p.sourced_id = s.sourced_id"
        " where s.status = 'active' and to_jsonb(s) || p.pinned <> to_jsonb(s) and " + VALID_STAGED
    ).format(**names, pins=overlays.pins(run, table))
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
