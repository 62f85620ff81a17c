"""What goes in a merge, and why. One home: plan, merge, checks and review must say the same.

A record goes in one of four ways: the source marks it, no longer shows it, it is no longer taken, or it is undone. The
cause that is named looks closer: what simply ended is `concluded`, and what goes with its school is `schoolClosed`.
"Ended" is judged by the day on which the run began, so that a plan means the same before and after midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import LiteralString

import psycopg
from psycopg import sql

from . import conflicts, overlays, runs
from .bound import Bound
from .labels import SCHOOL
from .tables import BY_ENTITY, Table, stage_table

CONCLUDED, SCHOOL_CLOSED = "concluded", "schoolClosed"
MARKED, VANISHED, OUT_OF_SCOPE = "tobedeleted", "vanished", "outOfScope"
# A record that an undo makes inactive, or inactive again.
UNDONE = "undone"
CAUSES = (MARKED, VANISHED, OUT_OF_SCOPE, CONCLUDED, SCHOOL_CLOSED, UNDONE)
# What only a pull that is proved complete may remove.
NEEDS_PROOF = (MARKED, VANISHED)
# What stays for now: its pull is not proved complete, or removals wait because of a limit.
WITHHELD, HELD = "withheld", "held"


def names(run: runs.Run, table: Table, tenant: str) -> dict[str, sql.Composable]:
    """The names that the statements of plan, merge and review are written with."""
    plain = stage_table(tenant, run.run, run.token, table.name)
    given: dict[str, sql.Composable] = {
        "merged": sql.Identifier("roster", table.name),
        "plain": plain,
        "stage": overlays.staged(run, table, plain),
        "issue": stage_table(tenant, run.run, run.token, "issue"),
        "unseen": stage_table(tenant, run.run, run.token, "unseen"),
        "scoped_out": stage_table(tenant, run.run, run.token, "scoped_out"),
        "undo": stage_table(tenant, run.run, run.token, "undo"),
        "started": sql.Literal(run.started_at),
        "successions": overlays.successions(run, table),
        "succeeded": overlays.succeeded(run, table),
        "entity": sql.Literal(table.entity),
        "tenant": sql.Literal(tenant),
    }
    return given | {"issue": conflicts.issues(given)} if run.mode == conflicts.UNDO else given


# A record with an error is skipped, and its merged row stays as it was.
SKIPPED = "exists (select from {issue} i where i.entity = {entity} and i.severity = 'error' and i.sourced_id = {id})"
VALID_STAGED = "not " + SKIPPED.replace("{id}", "s.sourced_id")
_STAYS = (
    "exists (select from {stage} s where s.sourced_id = m.sourced_id and s.status = 'active' and " + VALID_STAGED + ")"
)
_IN_SCOPED_OUT = "exists (select from {scoped_out} o where o.entity = {entity} and o.sourced_id = m.sourced_id)"
_ACTIVE: LiteralString = "m.tenant = {tenant} and m.status = 'active' and m.source = 'SIS'"
_NOT_SHOWN: LiteralString = (
    " and not exists (select from {stage} s where s.sourced_id = m.sourced_id)"
    " and not " + SKIPPED.replace("{id}", "m.sourced_id") + " and not " + _IN_SCOPED_OUT + " and not {succeeded}"
)
# Each is true of merged rows m, and no two of them are true of one row.
GOING: dict[str, LiteralString] = {
    UNDONE: (
        _ACTIVE + " and exists (select from {stage} s"
        " where s.sourced_id = m.sourced_id and s.status = 'undone' and " + VALID_STAGED + ") and not {succeeded}"
    ),
    OUT_OF_SCOPE: _ACTIVE + " and " + _IN_SCOPED_OUT + " and not " + SKIPPED.replace("{id}", "m.sourced_id"),
    MARKED: (
        _ACTIVE + " and exists (select from {stage} s"
        " where s.sourced_id = m.sourced_id and s.status = 'tobedeleted' and " + VALID_STAGED + ") and not {succeeded}"
    ),
    # Not seen byte for byte, and not staged under its key either.
    VANISHED: (
        _ACTIVE
        # A row without a hash was never seen by it. One join for both: with an OR PostgreSQL would read all unseen
        # hashes again for each row, where there are too many for its work_mem.
        + " and exists (select from (select true as hashed, u.raw_hash from {unseen} u where u.entity = {entity}"
        " union all select false, 0) u where u.hashed = (m.raw_hash is not null)"
        " and u.raw_hash = coalesce(m.raw_hash, 0))"
        # One whose hash was cleared since the pull began may well have been shown by it.
        " and (m.raw_hash is not null or m.last_changed < {started})" + _NOT_SHOWN
    ),
}
# The same in two, which PostgreSQL can estimate: it takes what the one join above finds for half of the table, and
# plans for that. Rows without a hash are few, and have an index.
_VANISHED_BY: tuple[LiteralString, ...] = (
    _ACTIVE + " and exists (select from {unseen} u where u.entity = {entity} and u.raw_hash = m.raw_hash)" + _NOT_SHOWN,
    _ACTIVE + " and m.raw_hash is null and m.last_changed < {started}" + _NOT_SHOWN,
)

# Rows that a pull of changes did not show as ones that stay: of those whose likes come it can say no more.
NOT_SHOWN_TO_STAY: LiteralString = (
    _ACTIVE + " and not exists (select from {stage} s where s.sourced_id = m.sourced_id and s.status = 'active')"
)

_LISTED: LiteralString = (
    "select m.sourced_id, g.cause, m from unnest({ids}::text[], {causes}::text[]) g(sourced_id, cause)"
    " join {merged} m on m.tenant = {tenant} and m.sourced_id = g.sourced_id"
)
_NONE: LiteralString = "select m.sourced_id, null::text as cause, m from {merged} m where m.tenant = {tenant} and false"

# Merged rows whose person, or what follows from their person, comes under another id: they end, and are no removals.
SUCCEEDED: LiteralString = "m.tenant = {tenant} and m.status = 'active' and {succeeded}"

_OVER_SESSIONS = (
    "select s.sourced_id from {stage} s where s.status = 'active' and s.end_date <= {today} and "
    + VALID_STAGED
    + " union select m.sourced_id from {merged} m where m.tenant = {tenant} and m.end_date <= {today} and not "
    + _STAYS
)
_CLOSED_BEFORE = (
    "select m.sourced_id from {merged} m where m.tenant = {tenant} and m.type = 'school' and m.status = 'inactive'"
    " and not " + _STAYS
)
_OVER_TERMS: LiteralString = "(cardinality({r}.term_sourced_ids) > 0 and {r}.term_sourced_ids <@ {over})"
_OVER_CLASSES = (
    "select s.sourced_id from {stage} s where s.status = 'active' and "
    + _OVER_TERMS.replace("{r}", "s")
    + " and "
    + VALID_STAGED
    + " union all select m.sourced_id from {merged} m where m.tenant = {tenant} and "
    + _OVER_TERMS.replace("{r}", "m")
    + " and not "
    + _STAYS
)


@dataclass(frozen=True)
class Removals:
    """Which merged rows go, and why. In all statements the merged row is `m`.

    over: ids of sessions that have ended, as they are after the merge. closed: ids of schools that are gone after it.
    hold: what counts as a loss stays for now. listed: per entity (sourcedId, cause) of the rows that go, once a plan
    has found them and they are few: the statements that follow it in its transaction need not look for them again.
    """

    run: runs.Run
    tenant: str
    today: date
    over: tuple[str, ...]
    closed: tuple[str, ...]
    hold: bool
    listed: dict[str, list[tuple[str, str]]] = field(default_factory=dict[str, list[tuple[str, str]]])

    def ways(self, table: Table) -> Iterator[tuple[str, sql.Composed]]:
        """How records of an entity may go, and the condition for it; also where they stay for now.

        A way may come twice, with conditions of which no two are true of one row.
        """
        facts = (self.run.pull or {}).get(table.entity, {})
        for way, condition in GOING.items():
            if way == UNDONE and self.run.mode != conflicts.UNDO:
                continue
            if way != VANISHED or (facts.get("pulled") and not facts.get("delta")):
                for part in _VANISHED_BY if way == VANISHED else (condition,):
                    yield way, sql.SQL(part).format(**names(self.run, table, self.tenant))

    def cause(self, table: Table, way: str) -> sql.Composable:
        """Why a row goes that goes in this way, as an expression: one of CAUSES, or WITHHELD, or HELD.

        What is out of scope needs no proof that the pull is complete: it was shown, or follows from what was, or its
        entity is not taken at all. An undo is not about what a source shows.
        """
        if way == UNDONE:
            return sql.Literal(UNDONE)
        if way in NEEDS_PROOF and table.entity not in self.run.removable:
            return sql.Literal(WITHHELD)
        named: list[sql.Composable] = [sql.SQL("when {} then {}").format(self._ended(table), sql.Literal(CONCLUDED))]
        if way in NEEDS_PROOF and self.closed and not self.hold:
            named.append(sql.SQL("when {} then {}").format(self._school_closed(table), sql.Literal(SCHOOL_CLOSED)))
        return sql.SQL("case {} else {} end").format(sql.SQL(" ").join(named), sql.Literal(HELD if self.hold else way))

    def gone(self, table: Table) -> sql.Composed:
        """A query for the rows that go: sourced_id, cause, and the row itself as `m`."""
        listed = self.listed.get(table.entity)
        if listed is not None:
            return sql.SQL(_LISTED if listed else _NONE).format(
                merged=sql.Identifier("roster", table.name),
                tenant=sql.Literal(self.tenant),
                ids=Bound([sourced_id for sourced_id, _ in listed]),
                causes=sql.Literal([cause for _, cause in listed]),
            )
        rows = sql.SQL(" union all ").join(
            sql.SQL("select m.sourced_id, {} as cause, m from {} m where {}").format(
                self.cause(table, way), sql.Identifier("roster", table.name), condition
            )
            for way, condition in self.ways(table)
            if way not in NEEDS_PROOF or table.entity in self.run.removable
        )
        return (
            sql.SQL("select g.* from ({}) g where g.cause <> {}").format(rows, sql.Literal(HELD)) if self.hold else rows
        )

    def marked_but_named_otherwise(self, conn: psycopg.Connection, table: Table) -> int:
        """Records that the source showed as deleted and that go for another cause."""
        condition = dict(self.ways(table))[MARKED]
        row = conn.execute(
            sql.SQL("select count(*) from {} m where {} and {} in ({}, {})").format(
                sql.Identifier("roster", table.name),
                condition,
                self.cause(table, MARKED),
                sql.Literal(CONCLUDED),
                sql.Literal(SCHOOL_CLOSED),
            )
        ).fetchone()
        return int(row[0]) if row else 0

    def _ended(self, table: Table) -> sql.Composable:
        today, over = sql.Literal(self.today), Bound(list(self.over))
        match table.entity:
            case "academicSessions":
                return sql.SQL("m.end_date <= {}").format(today)
            case "classes":
                return sql.SQL(_OVER_TERMS).format(r=sql.Identifier("m"), over=over)
            case "enrollments":
                classes = sql.SQL(_OVER_CLASSES).format(**names(self.run, BY_ENTITY["classes"], self.tenant), over=over)
                return sql.SQL("(m.end_date <= {} or m.class_sourced_id in ({}))").format(today, classes)
            case _:
                return sql.SQL("false")

    def _school_closed(self, table: Table) -> sql.Composable:
        closed = Bound(list(self.closed))
        if table.entity == "demographics":
            # They go with their person. One who stays is staged, or was seen unchanged at a school that is open.
            school = sql.SQL(SCHOOL["users"]).format(r=sql.Identifier("u"))
            return sql.SQL(
                "m.sourced_id in (select u.sourced_id from roster.users u where u.tenant = {} and {} = any ({})"
                " and not exists (select from {} s where s.sourced_id = u.sourced_id and s.status = 'active'))"
            ).format(
                sql.Literal(self.tenant),
                school,
                closed,
                stage_table(self.tenant, self.run.run, self.run.token, "users"),
            )
        if table.entity in ("orgs", "academicSessions"):
            return sql.SQL("false")
        return sql.SQL("{} = any ({})").format(sql.SQL(SCHOOL[table.entity]).format(r=sql.Identifier("m")), closed)


def of(conn: psycopg.Connection, run: runs.Run, *, hold: bool | None = None) -> Removals:
    """What a merge of this sealed run would remove now. To be asked before the merge changes any row.

    hold: what counts as a loss stays for now. None: as it was decided for the run's recorded plan.
    """
    hold = bool((run.plan or {}).get("held")) if hold is None else hold
    tenant = runs.session_tenant(conn)
    today = run.started_at.astimezone(UTC).date()
    sessions = sql.SQL(_OVER_SESSIONS).format(
        **names(run, BY_ENTITY["academicSessions"], tenant), today=sql.Literal(today)
    )
    over = tuple(str(row[0]) for row in conn.execute(sessions).fetchall())
    orgs = BY_ENTITY["orgs"]
    found = Removals(run, tenant, today, over, (), hold)
    ways = [
        sql.SQL("select m.sourced_id from {} m where m.type = 'school' and {}").format(
            sql.Identifier("roster", orgs.name), condition
        )
        for way, condition in found.ways(orgs)
        if way in NEEDS_PROOF and orgs.entity in run.removable
    ]
    before = sql.SQL(_CLOSED_BEFORE).format(**names(run, orgs, tenant))
    rows = conn.execute(sql.SQL(" union ").join([before, *ways])).fetchall()
    return Removals(run, tenant, today, over, tuple(str(row[0]) for row in rows), hold)
