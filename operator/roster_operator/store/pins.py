"""Values that a person has set on a row of the SIS. Syncs leave them alone until then.

A pin never touches the row's raw hash: a run that saw the row unchanged, and waits, stays right. Rows with pins are
never recognised by their bytes alone (seen.SeenIndex), so the record is staged with every pull and compared value by
value (overlays). The row's own hash becomes one that no source has: where an undo brings the row back after the pin has
gone, the next pull does not take it for what the source says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

from . import overlays, removals
from .by_hand import begin, log
from .database import Database, connect
from .errors import StoreError
from .runs import Run, jsonb
from .tables import BY_ENTITY, Column, Kind, Table

# What a record refers to is not pinned: it may go. A role stands in `roles`, too, and decides what somebody may see.
_NEVER = frozenset({"date_last_modified", "metadata", "role", "roles", "user_ids"})


@dataclass(frozen=True)
class Pin:
    """One value. until: exclusive; None: until it is released. released: it holds no more, and the next full sync takes
    the source's value."""

    entity: str
    sourced_id: str
    field: str
    value: Any
    until: datetime | None
    pinned_by: str
    reason: str | None
    pinned_at: datetime
    released: bool


def fields(entity: str) -> list[str]:
    """The columns of an entity that can be pinned. Raises StoreError(EntityUnknown)."""
    table = BY_ENTITY.get(entity)
    if table is None:
        raise StoreError("EntityUnknown", "There is no such entity.", f"One of {', '.join(BY_ENTITY)}.")
    return [
        column.name
        for column in table.columns
        if column.name not in _NEVER and "sourced_id" not in column.name and column.kind is not Kind.JSON
    ]


def parsed(entity: str, field: str, text: str) -> Any:
    """A value as a person types it: text and dates as they are, true or false, a number, a list with commas.

    Raises StoreError(EntityUnknown, FieldNotPinnable, PinInvalid).
    """
    kind = _column(entity, field).kind
    if kind is Kind.ARRAY:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is Kind.BOOLEAN:
        if text not in {"true", "false"}:
            raise StoreError("PinInvalid", "The field cannot have this value.", "It is true or false.")
        return text == "true"
    return text


def put(
    url: Database,
    tenant: str,
    entity: str,
    sourced_id: str,
    field: str,
    value: Any,
    *,
    by: str,
    reason: str | None = None,
    until: datetime | None = None,
) -> None:
    """Give an active row of the SIS another value, and keep it so. value: as JSON has it; None empties the field.

    Raises StoreError(EntityUnknown, FieldNotPinnable, PinInvalid, RecordUnknown, TenantUnknown).
    """
    # PostgreSQL would refuse it as well, and write the value into its log.
    if not _fits(_column(entity, field).kind, value):
        raise _invalid()
    table = BY_ENTITY[entity]
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        old = _row(conn, table, tenant, sourced_id)
        try:
            with conn.transaction():
                conn.execute(
                    "insert into roster.pin (tenant, entity, sourced_id, field, value, until, pinned_by, reason)"
                    " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (tenant, entity, sourced_id, field)"
                    " do update set value = excluded.value, until = excluded.until, pinned_by = excluded.pinned_by,"
                    " reason = excluded.reason, pinned_at = now(), released_at = null, released_by = null",
                    (tenant, entity, sourced_id, field, jsonb(value), until, by, reason),
                )
                conn.execute("select roster.apply_pin(%s, %s, %s, %s)", (tenant, entity, sourced_id, field))
        except (psycopg.DataError, psycopg.IntegrityError):
            raise _invalid() from None
        log(conn, tenant, version, run, "manualUpdate", entity, sourced_id, old)


def release(
    url: Database, tenant: str, entity: str, sourced_id: str, field: str, *, by: str, reason: str | None = None
) -> None:
    """Let the source have its way again: with the next sync that shows the record, not before.

    Raises StoreError(PinUnknown, TenantUnknown).
    """
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason or f"The pin of {field} is released.")
        done = conn.execute(
            "update roster.pin set released_at = now(), released_by = %s where tenant = %s and entity = %s"
            " and sourced_id = %s and field = %s and released_at is null",
            (by, tenant, entity, sourced_id, field),
        )
        if not done.rowcount:
            raise StoreError("PinUnknown", "There is no such pin.", "`roster pin list` shows them.")
        table = BY_ENTITY[entity]
        row = conn.execute(
            sql.SQL("select to_jsonb(m) from {} m where tenant = %s and sourced_id = %s").format(
                sql.Identifier("roster", table.name)
            ),
            (tenant, sourced_id),
        ).fetchone()
        log(conn, tenant, version, run, "unpin", entity, sourced_id, row and row[0])


def listing(url: Database, tenant: str, entity: str | None = None, sourced_id: str | None = None) -> list[Pin]:
    """The pins of a tenant, of an entity, or of one record, by entity, sourcedId and field."""
    with connect(url) as conn:
        rows = conn.execute(
            "select entity, sourced_id, field, value, until, pinned_by, reason, pinned_at,"
            " released_at is not null or coalesce(until <= now(), false) from roster.pin where tenant = %(tenant)s"
            " and (%(entity)s::text is null or entity = %(entity)s)"
            " and (%(sourced_id)s::text is null or sourced_id = %(sourced_id)s)"
            ' order by entity, sourced_id, field collate "C"',
            {"tenant": tenant, "entity": entity, "sourced_id": sourced_id},
        ).fetchall()
    return [Pin(*row) for row in rows]


def settle(conn: psycopg.Connection, run: Run) -> None:
    """Part of a merge: pins that hold no more go, once the source's value has been taken."""
    for entity in run.pinned:
        given = {
            **removals.names(run, BY_ENTITY[entity], run.tenant),
            "started": sql.Literal(run.started_at),
            "pins": overlays.pins(run, BY_ENTITY[entity]),
        }
        # Where no other pin is left the row is as the source has it, and its hash says so.
        conn.execute(sql.SQL(_AS_THE_SOURCE).format(**given))
        conn.execute(sql.SQL(_SPENT).format(**given))


_AS_THE_SOURCE: LiteralString = (
    "update {merged} m set row_hash = s.row_hash from {plain} s join {pins} p on p.sourced_id = s.sourced_id"
    " where m.tenant = {tenant} and m.sourced_id = s.sourced_id and m.status = 'active' and s.status = 'active'"
    " and not p.live and " + removals.VALID_STAGED
)
_SPENT: LiteralString = (
    "delete from roster.pin p using {plain} s where p.tenant = {tenant} and p.entity = {entity}"
    " and p.sourced_id = s.sourced_id and not "
    + overlays.LIVE
    + " and s.status = 'active' and "
    + removals.VALID_STAGED
)


def _fits(kind: Kind, value: Any) -> bool:
    """Whether a column of this kind can have a value, as JSON has it."""
    if value is None:
        return True
    match kind:
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.ARRAY:
            return isinstance(value, list) and all(_is_text(each) for each in cast("list[object]", value))
        case Kind.INTEGER:
            return not isinstance(value, bool) and re.fullmatch(r"-?[0-9]{1,9}", str(value)) is not None
        case Kind.DATE | Kind.TIMESTAMP:
            try:
                (date if kind is Kind.DATE else datetime).fromisoformat(value)
            except (TypeError, ValueError):
                return False
            return True
        case Kind.TEXT | Kind.JSON:
            return _is_text(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _invalid() -> StoreError:
    return StoreError("PinInvalid", "The field cannot have this value.", "Check its type; a date is 2026-11-24.")


def _column(entity: str, field: str) -> Column:
    if field not in fields(entity):
        raise StoreError("FieldNotPinnable", "This field cannot be pinned.", f"One of {', '.join(fields(entity))}.")
    return next(column for column in BY_ENTITY[entity].columns if column.name == field)


def _row(conn: psycopg.Connection, table: Table, tenant: str, sourced_id: str) -> Any:
    row = conn.execute(
        sql.SQL(
            "select to_jsonb(m) from {} m where tenant = %s and sourced_id = %s and status = 'active'"
            " and source = 'SIS'"
        ).format(sql.Identifier("roster", table.name)),
        (tenant, sourced_id),
    ).fetchone()
    if row is None:
        raise StoreError(
            "RecordUnknown",
            "The district has no active record of the SIS with this sourcedId.",
            "What was added by hand is changed with `roster student edit`.",
        )
    return row[0]
