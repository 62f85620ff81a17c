"""Which records a limit is about, one by one, for people who may read records. The run must be Staged.

A limit counts in `worker.decisions` what `profile` and `plan` have counted; here the same records are named. Where the
window of days is what goes beyond a limit, the records are those of the plan: the others are merged already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from . import arrivals, impact, removals, review, runs
from .bound import Bound
from .labels import SCHOOL
from .removals import names
from .review import Wanted
from .tables import BY_ENTITY, Table


@dataclass(frozen=True)
class Question:
    """A limit, by its field's name in the connection's limits. schools: those that are over it, of perSchool."""

    limit: str
    entity: str
    schools: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """One record. action: what a merge would do to it; `invalid`: it cannot be taken. sourced_id: of a record that
    cannot be taken there may be none. code: why it cannot. school: sourcedId of its school."""

    limit: str
    entity: str
    action: str
    sourced_id: str | None
    label: str = ""
    school: str | None = None
    code: str | None = None


_LOST: LiteralString = (
    "select g.cause as action, m.sourced_id, {school_of_m} as school, null::text as code from ({gone}) g"
    " join {merged} m on m.tenant = {tenant} and m.sourced_id = g.sourced_id where "
)
_IN_USE: LiteralString = (
    "exists (select from roster.reference_use r where r.tenant = {tenant} and r.entity = {entity}"
    " and r.sourced_id = m.sourced_id and (r.used_until is null or r.used_until >= current_date))"
)
_INVALID: LiteralString = (
    "select 'invalid' as action, i.sourced_id, null::text as school, string_agg(distinct i.code, ', ') as code"
    " from {issue} i where i.entity = {entity} and i.severity = 'error'"
    " group by i.sourced_id, case when i.sourced_id is null then i.code end"
)
_PLAIN: LiteralString = "select a.action, a.sourced_id, null::text as school, null::text as code from ({}) a"
_CHANGED: LiteralString = "select c.action, c.sourced_id, c.school, null::text as code from ({effects}) c where "
_NOT_FOLLOWED: LiteralString = "c.action = 'update' and c.sourced_id not in ({followed})"
# What is new with its school no limit counts.
_NOT_NEW: LiteralString = "c.action = 'create' and (c.school is null or c.school <> all ({schools}::text[]))"
_NOT_OF_NEW_PEOPLE: LiteralString = (
    "c.action = 'create' and not exists (select from {people} p where p.sourced_id = c.sourced_id"
    " and p.status = 'active' and {school_of_p} = any ({schools}))"
)


def records(conn: psycopg.Connection, run: runs.Run, asked: Question, *, limit: int) -> list[Held]:
    """The records that a limit is about, by sourcedId, `limit` at most."""
    query = sql.SQL('select * from ({}) h order by h.sourced_id collate "C" nulls last, h.code, h.action limit {}')
    found = conn.execute(query.format(_query(conn, run, asked), sql.Literal(limit))).fetchall()
    known = review.known(conn, run, asked.entity, [row[1] for row in found if row[1] is not None])
    held: list[Held] = []
    for action, sourced_id, school, code in found:
        one = known.get(sourced_id, review.Known("", None))
        held.append(Held(asked.limit, asked.entity, action, sourced_id, one.label, school or one.school, code))
    return held


def _query(conn: psycopg.Connection, run: runs.Run, asked: Question) -> sql.Composable:
    table = BY_ENTITY[asked.entity]
    given = review.given_names(conn, run, table)
    # Also where removals wait: it is they that are asked for.
    gone = removals.of(conn, run, hold=False)

    def changed(condition: LiteralString, wanted: Wanted, **more: sql.Composable) -> sql.Composable:
        return sql.SQL(_CHANGED + condition).format(
            **{**given, "effects": review.effects(gone, table, given, wanted), **more}
        )

    def lost(condition: LiteralString) -> sql.Composable:
        more = {"gone": gone.gone(table), "ended": sql.Literal(removals.CONCLUDED)}
        return sql.SQL(_LOST + condition).format(**given, **more, schools=Bound(list(asked.schools)))

    match asked.limit:
        case "deactivate":
            return lost("g.cause <> {ended}")
        case "perSchool":
            return lost("g.cause <> {ended} and {school_of_m} = any ({schools})")
        case "inUse":
            return lost(_IN_USE)
        case "invalid":
            return sql.SQL(_INVALID).format(**given)
        case "roleChange" | "emailChange":
            field = asked.limit.removesuffix("Change")
            return changed("c.action = 'update'", Wanted(field=field))
        case "update":
            followed = arrivals.followed(run, table, given)
            if followed is None:
                return changed("c.action = 'update'", Wanted(action="update"))
            return changed(_NOT_FOLLOWED, Wanted(action="update"), followed=followed)
        case "create":
            return _created(conn, run, table, gone, changed)
        case "rekeyed" if asked.entity == "users":
            return changed("c.action = 'newKey'", Wanted(action="newKey"))
        case "rekeyed":
            vanished = arrivals.vanished(run, table) or removals.GOING[removals.VANISHED]
            # A pull of changes does not say whether they go.
            action = "vanished" if vanished == removals.GOING[removals.VANISHED] else "notShown"
            return sql.SQL(_PLAIN).format(arrivals.alike(table, given, vanished, action))
        case _:
            raise ValueError(f"no such limit: {asked.limit}")


def _created(
    conn: psycopg.Connection,
    run: runs.Run,
    table: Table,
    gone: removals.Removals,
    changed: Callable[..., sql.Composable],
) -> sql.Composable:
    if table.entity in ("orgs", "academicSessions"):
        return changed("c.action = 'create'", Wanted(action="create"))
    people = BY_ENTITY["users"] if table.entity == "demographics" else table
    schools = Bound(impact.new_schools(conn, gone, people))
    if people is table:
        return changed(_NOT_NEW, Wanted(action="create"), schools=schools)
    more = {
        "people": names(run, people, run.tenant)["stage"],
        "school_of_p": sql.SQL(SCHOOL["users"].replace("{r}", "p")),
    }
    return changed(_NOT_OF_NEW_PEOPLE, Wanted(action="create"), schools=schools, **more)
