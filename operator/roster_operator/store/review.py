"""What a plan would change, record by record, for people who may read records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from . import overlays, removals, runs
from . import plan as plans
from .bound import Bound
from .labels import LABELS, SCHOOL, label_of
from .removals import VALID_STAGED, Removals, names
from .tables import BY_ENTITY, Table

# What identifies nobody and explains nothing: bookkeeping.
_LEFT_OUT = frozenset({"date_last_modified", "metadata"})
ACTIONS = ("create", "update", "reactivate", *removals.CAUSES, plans.LINK, plans.NEW_KEY, plans.UNLINK, "pinned")


@dataclass(frozen=True)
class Change:
    """One record. `fields` is column → (old, new); for a create old is None, for a removal it is empty.

    label: what people call the record. school: sourcedId of the school that it belongs to, where it belongs to one.
    link, newKey: the record of the new id, beside that of the old one. pinned: (what a person pinned, what the source
    says); nothing is changed.
    """

    entity: str
    action: str
    sourced_id: str
    fields: dict[str, tuple[Any, Any]]
    label: str = ""
    school: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Which changes are asked for. search: a part of a name, an id, an address. field: a column that changes.
    after: sourcedId of the last one that was seen."""

    action: str | None = None
    search: str | None = None
    school: str | None = None
    field: str | None = None
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class SchoolChanges:
    """What a plan does to the people of one school. `active`: merged before. actions: action → people."""

    school: str | None  # sourcedId; None for those who belong to none
    name: str
    active: int
    actions: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def removed(self) -> int:
        """People who would be deactivated."""
        return sum(self.actions.get(action, 0) for action in removals.CAUSES)

    @property
    def total(self) -> int:
        """All people who change."""
        return sum(self.actions.values())


# Each branch gives (action, sourced_id, school) of the records that a merge changes in one way.
_STAGED: LiteralString = (
    "select case when x.arrival is not null then x.kind when m.sourced_id is null then 'create'"
    " when m.status = 'inactive' then 'reactivate' else 'update' end as action, s.sourced_id, {school_of_s} as school"
    " from {stage} s left join {merged} m on m.tenant = {tenant} and m.sourced_id = s.sourced_id"
    " left join {successions} x on x.new_sourced_id = s.sourced_id"
    " where s.status = 'active' and coalesce(m.source, 'SIS') = 'SIS'"
    "   and (m.sourced_id is null or m.status = 'inactive' or m.row_hash <> s.row_hash) and " + VALID_STAGED
)
# Somebody who was added by hand, and who is in the SIS already; or who is parted from whom they were linked to.
_LINKED: LiteralString = (
    "select x.kind as action, m.sourced_id, {school_of_m} as school from {successions} x join {merged} m"
    " on m.tenant = {tenant} and m.sourced_id = x.new_sourced_id where x.arrival is null"
    " and ({action}::text is null or x.kind = {action})"
)
# What a person pinned, where the source says something else.
_PINNED: LiteralString = (
    "select 'pinned' as action, s.sourced_id, {school_of_s} as school from {plain} s join {pins} p"
    " on p.sourced_id = s.sourced_id where s.status = 'active' and to_jsonb(s) || p.pinned <> to_jsonb(s)"
    " and coalesce({action}::text, 'pinned') = 'pinned' and " + VALID_STAGED
)
_REMOVED: LiteralString = (
    "select g.cause as action, m.sourced_id, {school_of_m} as school from ({gone}) g"
    " join {merged} m on m.tenant = {tenant} and m.sourced_id = g.sourced_id"
    " where ({cause}::text is null or g.cause = {cause})"
)


def changes(conn: psycopg.Connection, run: runs.Run, entity: str, wanted: Wanted | None = None) -> list[Change]:
    """The changes of one entity by sourcedId, `limit` at most. The run must be Staged."""
    wanted = wanted or Wanted()
    table = BY_ENTITY[entity]
    gone = removals.of(conn, run)
    given = given_names(conn, run, table)
    # First which records, then their rows by id: of what such a query gives PostgreSQL expects one row, and would look
    # for each of fifty through whole tables.
    query = sql.SQL(
        "select c.action, c.sourced_id, c.school from ({effects}) c where {after}::text is null"
        ' or c.sourced_id > {after} order by c.sourced_id collate "C" limit {limit}'
    ).format(effects=effects(gone, table, given, wanted), after=Bound(wanted.after), limit=sql.Literal(wanted.limit))
    listed = [(str(action), str(sourced_id), school) for action, sourced_id, school in conn.execute(query).fetchall()]
    rows = _Rows(conn, run, table, given, [(action, sourced_id) for action, sourced_id, _ in listed])
    found: list[Change] = []
    for action, sourced_id, school in listed:
        old, new = rows.of(action, sourced_id)
        before: dict[str, Any] = old or {}
        after: dict[str, Any] = new or {} if action not in removals.CAUSES else {}
        shown = before if action == "pinned" else ("sourced_id", *table.column_names) if before else table.column_names
        fields = {
            name: (before.get(name), after.get(name))
            for name in shown
            if after and name not in _LEFT_OUT and before.get(name) != after.get(name)
        }
        label = label_of(entity, after or before)
        found.append(Change(entity, action, sourced_id, fields, label, school))
    return found


class _Rows:
    """The rows that changes are told from: merged, staged, pinned, and those of the ids that others succeed."""

    def __init__(
        self,
        conn: psycopg.Connection,
        run: runs.Run,
        table: Table,
        given: dict[str, sql.Composable],
        listed: list[tuple[str, str]],
    ) -> None:
        ids = [sourced_id for _, sourced_id in listed]
        pinned = [sourced_id for action, sourced_id in listed if action == "pinned"]

        def rows(query: LiteralString, of: list[str]) -> list[tuple[Any, ...]]:
            return conn.execute(sql.SQL(query).format(**given, ids=Bound(of))).fetchall() if of else []

        self._old_ids: dict[tuple[str, str], str] = {}
        if table.entity in run.succeeded:
            query: LiteralString = (
                "select x.kind, x.new_sourced_id, x.old_sourced_id from {successions} x"
                " where x.new_sourced_id = any ({ids}::text[])"
            )
            self._old_ids = {(str(kind), str(new)): str(old) for kind, new, old in rows(query, ids)}
        self._merged: dict[str, Any] = dict(
            rows(
                "select m.sourced_id, to_jsonb(m) from {merged} m where m.tenant = {tenant}"
                " and m.sourced_id = any ({ids}::text[])",
                [*ids, *self._old_ids.values()],
            )
        )
        self._staged: dict[str, Any] = dict(
            rows(
                "select s.sourced_id, to_jsonb(s) from {stage} s where s.status = 'active'"
                " and s.sourced_id = any ({ids}::text[])",
                ids,
            )
        )
        self._pinned: dict[str, tuple[Any, Any]] = {
            str(sourced_id): (values, said)
            for sourced_id, values, said in rows(
                "select p.sourced_id, p.pinned, to_jsonb(r) from {pins} p join {plain} r on r.sourced_id = p.sourced_id"
                " and r.status = 'active' where p.sourced_id = any ({ids}::text[])",
                pinned,
            )
        }

    def of(self, action: str, sourced_id: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """(old, new) of a change."""
        merged, staged = self._merged.get(sourced_id), self._staged.get(sourced_id)
        if action == "pinned":
            return self._pinned.get(sourced_id, (None, None))
        if action in (plans.LINK, plans.NEW_KEY):
            return self._merged.get(self._old_ids.get((action, sourced_id), "")), staged or merged
        return merged, staged


def by_school(conn: psycopg.Connection, run: runs.Run) -> list[SchoolChanges]:
    """What happens to the people of each school, most removals first. The run must be Staged."""
    table = BY_ENTITY["users"]
    given = given_names(conn, run, table)
    counts: dict[str | None, dict[str, int]] = {}
    query = sql.SQL("select c.school, c.action, count(*) from ({}) c group by 1, 2")
    for school, action, count in conn.execute(
        query.format(effects(removals.of(conn, run), table, given, Wanted()))
    ).fetchall():
        if action != "pinned":  # nothing happens to them
            counts.setdefault(school, {})[str(action)] = int(count)
    query = sql.SQL(
        "select {school_of_m}, count(*) from {merged} m where m.tenant = {tenant} and m.status = 'active' group by 1"
    )
    active = {school: int(count) for school, count in conn.execute(query.format(**given)).fetchall()}
    named = school_names(conn, run, [school for school in counts if school is not None])
    found = [
        SchoolChanges(school, named.get(school or "", ""), active.get(school, 0), actions)
        for school, actions in counts.items()
    ]
    return sorted(found, key=lambda each: (-each.removed, -each.total, each.name, each.school or ""))


def school_names(conn: psycopg.Connection, run: runs.Run, schools: Iterable[str]) -> dict[str, str]:
    """sourcedId → name, as it will be after the merge, as far as there is one."""
    query = sql.SQL(
        "select o.sourced_id, o.name from (select m.sourced_id, m.name, 1 as rank from {merged} m"
        " where m.tenant = {tenant} union all select s.sourced_id, s.name, 2 from {stage} s where s.status = 'active')"
        " o where o.sourced_id = any ({ids}) order by o.rank"
    ).format(**names(run, BY_ENTITY["orgs"], runs.session_tenant(conn)), ids=Bound(list(schools)))
    return {str(sourced_id): str(name) for sourced_id, name in conn.execute(query).fetchall()}


@dataclass(frozen=True)
class Known:
    """What a record is called, and the sourcedId of its school."""

    label: str
    school: str | None


def known(conn: psycopg.Connection, run: runs.Run, entity: str, ids: Iterable[str]) -> dict[str, Known]:
    """What these records are called, by sourcedId: as staged, else as merged; without those that nobody knows."""
    table = BY_ENTITY[entity]
    query = sql.SQL(
        "select x.sourced_id, {school_of_m}, to_jsonb(m), 1 as rank from {merged} m,"
        " unnest({ids}::text[]) x(sourced_id) where m.tenant = {tenant} and m.sourced_id = x.sourced_id union all"
        " select s.sourced_id, {school_of_s}, to_jsonb(s), 2 from {stage} s where s.sourced_id = any ({ids})"
        " and s.status = 'active' order by rank"
    ).format(**given_names(conn, run, table), ids=Bound(list(ids)))
    return {
        str(sourced_id): Known(label_of(entity, row), school)
        for sourced_id, school, row, _ in conn.execute(query).fetchall()
    }


def given_names(conn: psycopg.Connection, run: runs.Run, table: Table) -> dict[str, sql.Composable]:
    """The names that statements about a plan's records are written with."""
    return {
        **names(run, table, runs.session_tenant(conn)),
        "pins": overlays.pins(run, table),
        "school_of_s": sql.SQL(SCHOOL[table.entity].replace("{r}", "s")),
        "school_of_m": sql.SQL(SCHOOL[table.entity].replace("{r}", "m")),
    }


def effects(gone: Removals, table: Table, given: dict[str, sql.Composable], wanted: Wanted) -> sql.Composable:
    """A query for the records that a merge changes: action, sourced_id, school."""
    branches: list[sql.Composable] = []
    if wanted.action not in removals.CAUSES:
        branch = sql.SQL(_STAGED).format(**given) + _condition(table, wanted, "s")
        if wanted.field is not None and wanted.field in table.column_names:
            name = sql.Identifier(wanted.field)
            branch += sql.SQL(" and m.status = 'active' and m.{} is distinct from s.{}").format(name, name)
        if wanted.action is not None:
            branch = sql.SQL("select * from ({}) b where b.action = {}").format(branch, sql.Literal(wanted.action))
        branches.append(branch)
    if wanted.field is None and wanted.action in (None, *removals.CAUSES):
        removed = sql.SQL(_REMOVED).format(**given, gone=gone.gone(table), cause=sql.Literal(wanted.action))
        branches.append(removed + _condition(table, wanted, "m"))
    others: tuple[tuple[LiteralString, LiteralString], ...] = ((_LINKED, "m"), (_PINNED, "s"))
    if wanted.field is None:
        for statement, row in others:
            branch = sql.SQL(statement).format(**given, action=sql.Literal(wanted.action))
            branches.append(branch + _condition(table, wanted, row))
    if not branches:
        return sql.SQL("select null::text as action, null::text as sourced_id, null::text as school where false")
    return sql.SQL(" union all ").join(branches)


def _condition(table: Table, wanted: Wanted, row: LiteralString) -> sql.Composable:
    """The part of a branch's condition that the person typed."""
    condition: sql.Composable = sql.SQL("")
    if wanted.school is not None:
        school = SCHOOL[table.entity].replace("{r}", row)
        condition += sql.SQL(" and {} = {}").format(sql.SQL(school), Bound(wanted.school))
    if wanted.search:
        columns = sql.SQL(", ").join(sql.Identifier(row, name) for name in ("sourced_id", *LABELS[table.entity]))
        condition += sql.SQL(" and position(lower({}) in lower(concat_ws(' ', {}))) > 0").format(
            Bound(wanted.search), columns
        )
    return condition
