"""What kind of change a plan is, in numbers that name nobody: which fields change, whose roles, which ids in use go.

Reviewed beside the plan and judged by limits; no part of its digest. Only records that change are looked at.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from . import impact, runs, window
from .impact import SchoolLoss
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY, TABLES, Table
from .window import Window

if TYPE_CHECKING:
    from .plan import Plan

# Whoever holds one of these sees much of a district; each new one is named in a review.
PRIVILEGED_ROLES = ("administrator", "districtAdministrator", "principal", "siteAdministrator", "systemAdministrator")

_CHANGED = (
    " from {stage} s join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id where s.status = 'active'"
    " and m.status = 'active' and m.source = 'SIS' and m.row_hash <> s.row_hash and " + VALID_STAGED
)
_PRIVILEGED = (
    "select count(*) from {stage} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " and m.status = 'active' where s.status = 'active' and s.role = any ({privileged})"
    " and s.role is distinct from m.role and coalesce(m.source, 'SIS') = 'SIS'"
    " and not exists (select from {successions} x join {merged} o"
    " on o.tenant = {tenant} and o.sourced_id = x.old_sourced_id and o.role = s.role"
    " where x.new_sourced_id = s.sourced_id) and " + VALID_STAGED
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

    schools: what each school loses. arrivals: per entity, new records that no limit counts (impact). window: what the
    merges of the last days did beside it. new_privileged: people who get one of PRIVILEGED_ROLES and do not hold that
    role now.
    """

    fields: list[FieldChange] = field(default_factory=list[FieldChange])
    role_changes: int = 0
    email_changes: int = 0
    new_privileged: int = 0
    in_use: dict[str, int] = field(default_factory=dict[str, int])
    schools: list[SchoolLoss] = field(default_factory=list[SchoolLoss])
    arrivals: dict[str, int] = field(default_factory=dict[str, int])
    window: Window = field(default_factory=lambda: Window(0))

    def to_dict(self) -> dict[str, Any]:
        """As kept in sync_run.plan."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Profile:
        """What `to_dict` gave."""
        return replace(
            cls(**data),
            fields=[FieldChange(**each) for each in data.get("fields", [])],
            schools=[SchoolLoss(**each) for each in data.get("schools", [])],
            window=Window.from_dict(data.get("window", {})),
        )


def run(conn: psycopg.Connection, run: runs.Run, plan: Plan, gone: Removals, *, days: int = 0) -> Profile:
    """The profile of a sealed run's plan, as it is now. To be called inside the plan's transaction.

    gone: the plan's removals. days: of the window.
    """
    tenant = gone.tenant
    changed = [table for table in TABLES if plan.entities[table.entity].update or plan.entities[table.entity].followed]
    fields = [change for table in changed for change in _fields(conn, run, table, tenant)]
    fields.sort(key=lambda each: (-each.changed, each.entity, each.field))
    users = {each.field: each.changed for each in fields if each.entity == "users"}
    losses, arrivals = impact.by_school(conn, gone, plan)
    return Profile(
        fields,
        users.get("role", 0),
        users.get("email", 0),
        _privileged(conn, run, tenant),
        {table.entity: hit for table in TABLES if (hit := _in_use(conn, gone, table))},
        losses,
        arrivals,
        window.look(conn, gone, plan, days, people=bool(users.get("role") or users.get("email"))),
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
