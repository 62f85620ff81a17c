"""What stands between a staged row and its effect: values that people pinned, and ids that succeed others.

Both are read through names that the plan's statements are written with (plan.names). Where a tenant has no pins and a
run no successions, the statements are the plain ones.
"""

from __future__ import annotations

from typing import LiteralString

from psycopg import sql

from .runs import Run
from .tables import Table

# A run judges pins by the moment it began: one that ends while its plan waits changes no digest.
LIVE: LiteralString = "(p.released_at is null and (p.until is null or p.until > {started}))"

# One row for each staged record that carries pins: those that hold, as columns, and whether any does. A new id has the
# pins of the one that it succeeds.
PINS: LiteralString = (
    "(select coalesce(x.new_sourced_id, p.sourced_id) as sourced_id,"
    " coalesce(jsonb_object_agg(p.field, p.value) filter (where " + LIVE + "), '{{}}') as pinned, bool_or(" + LIVE + ")"
    " as live from roster.pin p left join roster.proposed_succession x on x.tenant = p.tenant and x.run = {run_id}"
    " and x.entity = p.entity and x.old_sourced_id = p.sourced_id and x.kind <> 'unlink'"
    " where p.tenant = {tenant} and p.entity = {entity} group by 1)"
)
# Staged rows with pinned values in the place of the source's. A row with a pin is compared value by value: its hash
# stays where nothing differs, and is another one where anything does. That holds for a pin that was released, too:
# the source may have said the same all the time, and the value is still to come back.
_EFFECTIVE: LiteralString = (
    "(select s.* from {staged} s where not exists (select from roster.pin p where p.tenant = {tenant}"
    " and p.entity = {entity} and p.sourced_id = s.sourced_id) and not exists (select from {pins} p"
    " where p.sourced_id = s.sourced_id)"
    " union all select r.* from {staged} s join {pins} p on p.sourced_id = s.sourced_id"
    " left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " cross join lateral (select to_jsonb(s) || p.pinned as row, sha256(s.row_hash || convert_to((select"
    " coalesce(string_agg(k, ',' order by k), '') from jsonb_object_keys(p.pinned) k), 'UTF8')) as other) o"
    " cross join lateral jsonb_populate_record(null::{staged}, o.row || jsonb_build_object('row_hash',"
    " case when m.sourced_id is null or exists (select from unnest({columns}::text[]) c"
    " where o.row -> c is distinct from to_jsonb(m) -> c) then o.other else m.row_hash end)) r)"
)


def staged(run: Run, table: Table, plain: sql.Identifier) -> sql.Composable:
    """The staged rows of an entity, as their effect has them."""
    if table.entity not in run.pinned:
        return plain
    columns = [name for name in table.column_names if name != "date_last_modified"]
    return sql.SQL(_EFFECTIVE).format(
        staged=plain,
        merged=sql.Identifier("roster", table.name),
        tenant=sql.Literal(run.tenant),
        entity=sql.Literal(table.entity),
        columns=sql.Literal(columns),
        pins=pins(run, table),
    )


def pins(run: Run, table: Table) -> sql.Composable:
    """(sourced_id, pinned, live) of the records of an entity that carry pins."""
    return sql.SQL(PINS).format(
        tenant=sql.Literal(run.tenant),
        entity=sql.Literal(table.entity),
        run_id=sql.Literal(run.run),
        started=sql.Literal(run.started_at),
    )


def successions(run: Run, table: Table) -> sql.Composable:
    """(old_sourced_id, new_sourced_id, kind, basis, arrival) of an entity, as this run proposes them."""
    if table.entity not in run.succeeded:
        return sql.SQL(
            "(select null::text as old_sourced_id, null::text as new_sourced_id, null::text as kind,"
            " null::text as basis, null::text as arrival where false)"
        )
    return sql.SQL(
        "(select x.old_sourced_id, x.new_sourced_id, x.kind, x.basis, x.arrival from roster.proposed_succession x"
        " where x.tenant = {tenant} and x.run = {run} and x.entity = {entity})"
    ).format(tenant=sql.Literal(run.tenant), run=sql.Literal(run.run), entity=sql.Literal(table.entity))


def succeeded(run: Run, table: Table, column: LiteralString = "m.sourced_id") -> sql.Composable:
    """Whether the id in this column is succeeded by another one in this run."""
    if table.entity not in run.succeeded:
        return sql.SQL("false")
    return sql.SQL(
        "exists (select from roster.proposed_succession x where x.tenant = {tenant} and x.run = {run}"
        " and x.entity = {entity} and x.kind <> 'unlink' and x.old_sourced_id = " + column + ")"
    ).format(tenant=sql.Literal(run.tenant), run=sql.Literal(run.run), entity=sql.Literal(table.entity))
