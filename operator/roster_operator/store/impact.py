"""Where a plan's losses and arrivals fall, by school. Ids of schools stay in the database: status has counts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import sql

from . import removals, runs
from .bound import Bound
from .labels import SCHOOL
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY, Table

if TYPE_CHECKING:
    from .plan import Plan

# Entities whose losses are looked at school by school.
BY_SCHOOL = ("users", "classes", "enrollments")
# Of all entities together. A plan that hits more schools is beyond its limits by far.
LOSSES_KEPT = 500

# One pass over the merged rows answers for both.
_SIZES: LiteralString = (
    "with sizes as materialized (select {school_of_m} as school, count(*) as n from {merged} m"
    " where m.tenant = {tenant} and m.status = 'active' group by 1) {found}"
)
_LOST: LiteralString = (
    "select true, l.school, l.n, a.n from (select {school} as school, count(*) as n from ({gone}) g"
    " where g.cause <> {concluded} group by 1) l join sizes a on a.school = l.school"
)
_COME: LiteralString = (
    "select false, n.school, n.n, 0 from (select {school_of_s} as school, count(*) as n from {stage} s"
    " where s.status = 'active' and " + VALID_STAGED + " and not exists (select from {merged} m"
    " where m.tenant = {tenant} and m.sourced_id = s.sourced_id) group by 1) n"
    " where n.school is not null and not exists (select from sizes a where a.school = n.school)"
)
_THEIR_DEMOGRAPHICS = (
    "select count(*) from {stage} s join {people} p on p.sourced_id = s.sourced_id and p.status = 'active'"
    " where s.status = 'active' and {school_of_p} = any ({schools}) and not exists (select from {merged} m"
    " where m.tenant = {tenant} and m.sourced_id = s.sourced_id) and " + VALID_STAGED
)


@dataclass(frozen=True)
class SchoolLoss:
    """How many records of an entity one school would lose, of those that it has now. closed: the school goes too."""

    entity: str
    school: str  # sourcedId
    lost: int
    active: int
    closed: bool = False

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.lost / self.active if self.active else 1.0


def by_school(conn: psycopg.Connection, gone: Removals, plan: Plan) -> tuple[list[SchoolLoss], dict[str, int]]:
    """The schools that lose something that counts, the hardest hit first, LOSSES_KEPT at most; and per entity the new
    records that no limit counts: those of schools that had none of the kind, and those of an entity that had none at
    all. A school that is new in the source or in scope brings all its records at once."""
    losses: list[SchoolLoss] = []
    arrivals: dict[str, int] = {}
    schools: list[str] = []
    for entity, counts in plan.entities.items():
        table = BY_ENTITY[entity]
        loses, comes = entity in BY_SCHOOL and bool(counts.losses), bool(counts.create) and not plan.first
        if comes and not counts.active and not _ever(conn, table, gone.tenant):
            arrivals[entity], comes = counts.create, False
        elif comes and entity == "demographics":
            arrivals[entity] = _their_demographics(conn, gone.run, gone.tenant, schools) if schools else 0
        if entity in ("orgs", "academicSessions", "demographics") or not (loses or comes):
            continue
        lost, come = _looked_at(conn, gone, table, loses=loses, comes=comes)
        losses += [SchoolLoss(entity, school, n, active, school in gone.closed) for school, n, active in lost]
        if comes:
            arrivals[entity] = sum(n for _, n, _ in come)
        if entity == "users":
            schools = [school for school, _, _ in come]
    hardest = sorted(losses, key=lambda each: (-each.share, -each.lost, each.entity, each.school))[:LOSSES_KEPT]
    return hardest, {entity: count for entity, count in arrivals.items() if count}


_Rows = list[tuple[str, int, int]]  # school, records, records that it has now


def _looked_at(
    conn: psycopg.Connection, gone: Removals, table: Table, *, loses: bool, comes: bool
) -> tuple[_Rows, _Rows]:
    given = names(gone.run, table, gone.tenant)
    sides: tuple[tuple[str, LiteralString], ...] = (("school", "(g.m)"), ("school_of_m", "m"), ("school_of_s", "s"))
    schools = {side: sql.SQL(SCHOOL[table.entity].replace("{r}", row)) for side, row in sides}
    parts: list[sql.Composable] = []
    if loses:
        parts.append(sql.SQL(_LOST).format(**schools, gone=gone.gone(table), concluded=sql.Literal(removals.CONCLUDED)))
    if comes:
        parts.append(sql.SQL(_COME).format(**given, **schools))
    query = sql.SQL(_SIZES).format(**given, **schools, found=sql.SQL(" union all ").join(parts))
    found: tuple[_Rows, _Rows] = ([], [])
    for lost, school, n, active in conn.execute(query).fetchall():
        found[0 if lost else 1].append((str(school), int(n), int(active)))
    return found


def new_schools(conn: psycopg.Connection, gone: Removals, table: Table) -> list[str]:
    """The sourcedIds of schools that had none of an entity's records, and get some."""
    return [school for school, _, _ in _looked_at(conn, gone, table, loses=False, comes=True)[1]]


def _ever(conn: psycopg.Connection, table: Table, tenant: str) -> bool:
    query = sql.SQL("select exists (select from {} where tenant = {})")
    row = conn.execute(query.format(sql.Identifier("roster", table.name), sql.Literal(tenant))).fetchone()
    return bool(row and row[0])


def _their_demographics(conn: psycopg.Connection, run: runs.Run, tenant: str, schools: list[str]) -> int:
    query = sql.SQL(_THEIR_DEMOGRAPHICS).format(
        **names(run, BY_ENTITY["demographics"], tenant),
        people=names(run, BY_ENTITY["users"], tenant)["stage"],
        school_of_p=sql.SQL(SCHOOL["users"].replace("{r}", "p")),
        schools=Bound(schools),
    )
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
