"""What kind of change a plan is, in numbers that name nobody: which fields change, whose roles, which ids in use go.

Reviewed beside the plan and judged by limits; no part of its digest. Only records that change are looked at.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from . import removals, runs
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY, TABLES, Table

# Whoever holds one of these sees much of a district; each new one is named in a review.
PRIVILEGED_ROLES = ("administrator", "districtAdministrator", "principal", "siteAdministrator", "systemAdministrator")

_CHANGED = (
    " from {stage} s join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id where s.status = 'active'"
    " and m.status = 'active' and m.source = 'SIS' and m.row_hash <> s.row_hash and " + VALID_STAGED
)
_PRIVILEGED = (
    "select count(*) from {stage} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " and m.status = 'active' where s.status = 'active' and s.role = any ({privileged})"
    " and s.role is distinct from m.role and coalesce(m.source, 'SIS') = 'SIS' and " + VALID_STAGED
)
_IN_USE: LiteralString = (
    "select count(distinct r.sourced_id) from roster.reference_use r join ({gone}) g on g.sourced_id = r.sourced_id"
    " where r.tenant = {tenant} and r.entity = {entity} and (r.used_until is null or r.used_until >= current_date)"
)


@dataclass(frozen=True)
class FieldChange:
    """One field of one entity: how many records get another value, and of them how many lose theirs."""

    entity: str
    field: str
    changed: int
    emptied: int


@dataclass(frozen=True)
class Profile:
    """fields: most changed first. in_use: per entity the ids that the application uses and that would be removed.

    new_privileged: people who get one of PRIVILEGED_ROLES and do not hold that role now.
    """

    fields: list[FieldChange] = field(default_factory=list[FieldChange])
    role_changes: int = 0
    email_changes: int = 0
    new_privileged: int = 0
    in_use: dict[str, int] = field(default_factory=dict[str, int])

    def to_dict(self) -> dict[str, Any]:
        """As kept in sync_run.plan."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Profile:
        """What `to_dict` gave."""
        return replace(cls(**data), fields=[FieldChange(**each) for each in data.get("fields", [])])


def run(conn: psycopg.Connection, run: runs.Run, *, hold: bool | None = None) -> Profile:
    """The profile of a sealed run's plan, as it is now. To be called inside the plan's transaction.

    hold: as the plan was computed.
    """
    gone = removals.of(conn, run, hold=hold)
    tenant = gone.tenant
    fields = [change for table in TABLES for change in _fields(conn, run, table, tenant)]
    fields.sort(key=lambda each: (-each.changed, each.entity, each.field))
    users = {each.field: each.changed for each in fields if each.entity == "users"}
    return Profile(
        fields,
        users.get("role", 0),
        users.get("email", 0),
        _privileged(conn, run, tenant),
        {table.entity: hit for table in TABLES if (hit := _in_use(conn, gone, table))},
    )


def _fields(conn: psycopg.Connection, run: runs.Run, table: Table, tenant: str) -> list[FieldChange]:
    columns = [name for name in table.column_names if name != "date_last_modified"]
    counts = [
        sql.SQL(
            "count(*) filter (where m.{c} is distinct from s.{c}),"
            " count(*) filter (where m.{c} is not null and s.{c} is null)"
        ).format(c=sql.Identifier(name))
        for name in columns
    ]
    given = names(run, table, tenant)
    row = conn.execute(sql.SQL("select {}").format(sql.SQL(", ").join(counts)) + sql.SQL(_CHANGED).format(**given))
    found = row.fetchone() or ()
    return [
        FieldChange(table.entity, name, found[2 * at], found[2 * at + 1])
        for at, name in enumerate(columns)
        if found and found[2 * at]
    ]


def _privileged(conn: psycopg.Connection, run: runs.Run, tenant: str) -> int:
    given = names(run, BY_ENTITY["users"], tenant)
    query = sql.SQL(_PRIVILEGED).format(**given, privileged=sql.Literal(list(PRIVILEGED_ROLES)))
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0


def _in_use(conn: psycopg.Connection, gone: Removals, table: Table) -> int:
    query = sql.SQL(_IN_USE).format(
        gone=gone.gone(table), tenant=sql.Literal(gone.tenant), entity=sql.Literal(table.entity)
    )
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
