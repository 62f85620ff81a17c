"""What the merges of the last days did, beside a plan: each record once, so that a slow bleed is seen as one loss.

The rows themselves say it (inactive_since, last_changed, first_seen), so that it costs one pass over the rows that a
tenant has now, however long its history; only values before a change are looked up in change_log, for the days of the
window. The window begins anew after a first load, and after a merge that a person let through beyond its limits: what
was looked at once is not held again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from .labels import SCHOOL
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY

if TYPE_CHECKING:
    from .plan import Plan

BEYOND = "beyond"  # in sync_run.approval: the limits that the plan went beyond when a person approved it

# The last merge before the window.
_BEFORE = (
    "select r.data_version, r.merged_at, r.data_version = (select max(n.data_version) from roster.sync_run n"
    " where n.tenant = {tenant} and n.state = 'Merged') from roster.sync_run r where r.tenant = {tenant}"
    " and r.state = 'Merged' and (r.merged_at <= now() - make_interval(days => {days}) or r.approval ? {beyond}"
    " or r.data_version = (select min(o.data_version) from roster.sync_run o where o.tenant = {tenant}"
    " and o.state = 'Merged')) order by r.data_version desc limit 1"
)
# A record that this plan changes again counts with the plan. Joined as sets: with a subquery for each row, PostgreSQL
# read all staged rows once for each merged one where its estimate of either was low.
_TOUCHED = (
    "select count(*) filter (where t.status = 'inactive' and t.inactive_since > {since}"
    " and t.inactive_cause not in ('concluded', 'undone', 'link', 'newKey') and not t.again),"
    " count(*) filter (where t.status = 'active' and t.first_seen <= {since} and not t.again),"
    " count(*) filter (where t.status = 'active' and t.first_seen > {since} and t.known)"
    " from (select m.status, m.inactive_since, m.inactive_cause, m.first_seen, {known} as known,"
    " a.sourced_id is not null as again from {merged} m left join (select s.sourced_id from {stage} s"
    " where s.status = 'active' and " + VALID_STAGED + ") a on a.sourced_id = m.sourced_id {schools}"
    " where m.tenant = {tenant} and m.source = 'SIS' and m.last_changed > {since}) t"
)
# A school that was new within the window brought all its records at once, and no limit counted them.
_KNOWN_SCHOOLS = (
    "left join (select distinct {school_of_k} as school from {merged} k where k.tenant = {tenant}"
    " and k.first_seen <= {since} and {school_of_k} is not null) o on o.school = {school_of_m}"
)
_PEOPLE = (
    "with w as materialized (select distinct on (l.sourced_id) l.sourced_id, l.old ->> 'role' as role,"
    " l.old ->> 'email' as email from roster.change_log l where l.tenant = {tenant} and l.data_version > {version}"
    " and l.entity = 'users' and l.action = 'update' order by l.sourced_id, l.data_version)"
    " select count(*) filter (where w.role is distinct from t.new_role)"
    " - count(*) filter (where t.role is distinct from t.new_role),"
    " count(*) filter (where w.email is distinct from t.new_email)"
    " - count(*) filter (where t.email is distinct from t.new_email)"
    " from w join (select m.sourced_id, m.role, m.email,"
    " case when s.sourced_id is null then m.role else s.role end as new_role,"
    " case when s.sourced_id is null then m.email else s.email end as new_email"
    " from {merged} m left join (select s.* from {stage} s where s.status = 'active' and "
    + VALID_STAGED
    + ") s on s.sourced_id = m.sourced_id where m.tenant = {tenant} and m.status = 'active') t"
    " on t.sourced_id = w.sourced_id"
)


@dataclass(frozen=True)
class Before:
    """What merges of the window did to one entity, without what the plan does to the same records."""

    lost: int = 0
    updated: int = 0
    created: int = 0


@dataclass(frozen=True)
class Window:
    """days: how long it is. role_changes, email_changes: people, in addition to the plan's."""

    days: int
    entities: dict[str, Before] = field(default_factory=dict[str, Before])
    role_changes: int = 0
    email_changes: int = 0

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Window:
        """What dataclasses.asdict gave."""
        entities = {entity: Before(**counts) for entity, counts in data.get("entities", {}).items()}
        return cls(data.get("days", 0), entities, data.get("role_changes", 0), data.get("email_changes", 0))


def look(conn: psycopg.Connection, gone: Removals, plan: Plan, days: int, *, people: bool) -> Window:
    """The window before a plan; empty where nothing was merged in it, or where the plan does nothing.

    people: the plan changes somebody's role or e-mail address.
    """
    found = Window(days)
    if not days or not plan.changes:
        return found
    start = conn.execute(
        sql.SQL(_BEFORE).format(tenant=sql.Literal(gone.tenant), days=sql.Literal(days), beyond=sql.Literal(BEYOND))
    ).fetchone()
    if start is None or start[2]:
        return found
    version, since, _ = start
    for entity, counts in plan.entities.items():
        if counts.losses or counts.update or counts.create:
            found.entities[entity] = _touched(conn, gone, entity, since)
    return Window(days, found.entities, *(_people(conn, gone, int(version)) if people else (0, 0)))


def _touched(conn: psycopg.Connection, gone: Removals, entity: str, since: datetime) -> Before:
    given = {**names(gone.run, BY_ENTITY[entity], gone.tenant), "since": sql.Literal(since)}
    known, schools = sql.SQL("true"), sql.Composed([])
    if entity == "demographics":
        known = sql.SQL("false")  # they come with their people
    elif entity not in ("orgs", "academicSessions"):
        known = sql.SQL("o.school is not null")
        schools = sql.SQL(_KNOWN_SCHOOLS).format(
            **given,
            school_of_m=sql.SQL(SCHOOL[entity].replace("{r}", "m")),
            school_of_k=sql.SQL(SCHOOL[entity].replace("{r}", "k")),
        )
    row = conn.execute(sql.SQL(_TOUCHED).format(**given, known=known, schools=schools)).fetchone()
    return Before(*map(int, row)) if row else Before()


def _people(conn: psycopg.Connection, gone: Removals, version: int) -> tuple[int, int]:
    given = names(gone.run, BY_ENTITY["users"], gone.tenant)
    row = conn.execute(sql.SQL(_PEOPLE).format(**given, version=sql.Literal(version))).fetchone()
    return (max(0, int(row[0])), max(0, int(row[1]))) if row else (0, 0)
