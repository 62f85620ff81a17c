"""Where a plan's losses and arrivals fall, by school. Ids of schools stay in the database: status has counts only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from . import removals, runs
from .labels import SCHOOL
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY, Table

if TYPE_CHECKING:
    from .plan import Plan

# Entities whose losses are looked at school by school.
BY_SCHOOL = ("users", "classes", "enrollments")
# Of all entities together. A plan that hits more schools is beyond its limits by far.
LOSSES_KEPT = 500

_LOSSES = (
    "with lost as materialized (select {school} as school, count(*) as n from ({gone}) g"
    " where g.cause <> {concluded} group by 1)"
    " select l.school, l.n, a.n from lost l join (select {school_of_m} as school, count(*) as n from {merged} m"
    " where m.tenant = {tenant} and m.status = 'active' group by 1) a on a.school = l.school"
)
_ARRIVALS = (
    "select n.school, n.n from (select {school_of_s} as school, count(*) as n from {stage} s where s.status = 'active'"
    " and " + VALID_STAGED + " and not exists (select from {merged} m where m.tenant = {tenant}"
    " and m.sourced_id = s.sourced_id) group by 1) n where n.school is not null and n.school not in ("
    "select {school_of_m} from {merged} m where m.tenant = {tenant} and m.status = 'active'"
    " and {school_of_m} is not null)"
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


def losses(conn: psycopg.Connection, gone: Removals, plan: Plan) -> list[SchoolLoss]:
    """The schools that lose something that counts, the hardest hit first, LOSSES_KEPT at most."""
    found: list[SchoolLoss] = []
    for entity in BY_SCHOOL:
        if not plan.entities[entity].losses:
            continue
        table = BY_ENTITY[entity]
        query = sql.SQL(_LOSSES).format(
            **names(gone.run, table, gone.tenant),
            school=sql.SQL(SCHOOL[entity].replace("{r}", "(g.m)")),
            school_of_m=sql.SQL(SCHOOL[entity].replace("{r}", "m")),
            gone=gone.gone(table),
            concluded=sql.Literal(removals.CONCLUDED),
        )
        closed = set(gone.closed)
        found += [
            SchoolLoss(entity, str(school), int(lost), int(active), school in closed)
            for school, lost, active in conn.execute(query).fetchall()
        ]
    return sorted(found, key=lambda each: (-each.share, -each.lost, each.entity, each.school))[:LOSSES_KEPT]


def arrivals(conn: psycopg.Connection, run: runs.Run, plan: Plan) -> dict[str, int]:
    """Per entity, the new records that no limit counts: those of schools that had none of the kind, and those of an
    entity that had none at all. A school that is new in the source or in scope brings all its records at once."""
    if plan.first:
        return {}
    tenant = runs.session_tenant(conn)
    found: dict[str, int] = {}
    schools: list[str] = []
    for entity, counts in plan.entities.items():
        table = BY_ENTITY[entity]
        if not counts.create:
            continue
        if not counts.active and not _ever(conn, table, tenant):
            found[entity] = counts.create
        elif entity == "demographics":
            found[entity] = _their_demographics(conn, run, tenant, schools) if schools else 0
        elif entity not in ("orgs", "academicSessions"):
            query = sql.SQL(_ARRIVALS).format(
                **names(run, table, tenant),
                school_of_s=sql.SQL(SCHOOL[entity].replace("{r}", "s")),
                school_of_m=sql.SQL(SCHOOL[entity].replace("{r}", "m")),
            )
            rows = conn.execute(query).fetchall()
            found[entity] = sum(int(count) for _, count in rows)
            if entity == "users":
                schools = [str(school) for school, _ in rows]
    return {entity: count for entity, count in found.items() if count}


def _ever(conn: psycopg.Connection, table: Table, tenant: str) -> bool:
    query = sql.SQL("select exists (select from {} where tenant = {})")
    row = conn.execute(query.format(sql.Identifier("roster", table.name), sql.Literal(tenant))).fetchone()
    return bool(row and row[0])


def _their_demographics(conn: psycopg.Connection, run: runs.Run, tenant: str, schools: list[str]) -> int:
    query = sql.SQL(_THEIR_DEMOGRAPHICS).format(
        **names(run, BY_ENTITY["demographics"], tenant),
        people=names(run, BY_ENTITY["users"], tenant)["stage"],
        school_of_p=sql.SQL(SCHOOL["users"].replace("{r}", "p")),
        schools=sql.Literal(schools),
    )
    row = conn.execute(query).fetchone()
    return int(row[0]) if row else 0
