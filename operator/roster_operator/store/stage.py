"""Staging: the tables of one run, filled by COPY, then sealed.

Only the stage login's INSERT right makes writing possible, and sealing takes it away: what is planned, reviewed and
approved afterwards cannot change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from .copytext import RowWriter
from .runs import RunName, jsonb, session_tenant
from .seen import Hashes, SeenIndex
from .tables import STAGE_COLUMNS, TABLES, Kind, Table, stage_table

_FLUSH_ROWS = 2000


@dataclass(frozen=True)
class Issue:
    """A problem of one record, or of a file. `sourced_id` stays in the database.

    page: of a server's listing, from 1. file, line (from 1; 0 is the whole file): where the records come from files,
    and then a problem of the file itself has no sourced_id, and field is the column.
    """

    entity: str
    sourced_id: str | None
    code: str
    severity: str  # error: the record is skipped; warning; info: of a file
    field: str | None = None
    page: int | None = None
    file: str | None = None
    line: int | None = None


class Stage:
    """An open stage. Raises FencedError once a newer attempt has taken over."""

    def __init__(self, conn: psycopg.Connection, name: RunName, attempt: int) -> None:
        row = conn.execute(
            "select roster.open_stage(%s, %s, %s, %s, %s, %s)",
            (name.run, attempt, name.cluster, name.namespace, name.name, name.mode),
        ).fetchone()
        assert row is not None
        self._conn = conn
        self.run = name.run
        self.token: int = row[0]
        self._tenant = session_tenant(conn)

    def name(self, what: str) -> sql.Identifier:
        """One of the tables."""
        return stage_table(self._tenant, self.run, self.token, what)

    def table(self, table: Table) -> TableStage:
        """A writer for one entity's records."""
        return TableStage(self._conn, self, table)

    def issues(self, issues: Sequence[Issue]) -> None:
        """Record problems of records."""
        if not issues:
            return
        query = sql.SQL("copy {} (entity, sourced_id, code, severity, field, page, file, line) from stdin").format(
            self.name("issue")
        )
        with self._conn.cursor() as cursor, cursor.copy(query) as copy:
            for each in issues:
                place = (each.page, each.file, each.line)
                copy.write_row((each.entity, each.sourced_id, each.code, each.severity, each.field, *place))

    def unseen(self, table: Table, hashes: Hashes) -> None:
        """Record the raw hashes of merged rows that the pull did not show."""
        if not len(hashes):
            return
        query = sql.SQL("copy {} (entity, raw_hash) from stdin").format(self.name("unseen"))
        signed = hashes.view("int64").tolist()
        with self._conn.cursor() as cursor, cursor.copy(query) as copy:
            for start in range(0, len(signed), 50_000):
                copy.write("".join(f"{table.entity}\t{h}\n" for h in signed[start : start + 50_000]))

    def scoped_out(self, table: Table, sourced_ids: Sequence[str], *, shown: bool = True) -> None:
        """Record ids that are out of scope. `shown`: the source showed them in this pull."""
        if not sourced_ids:
            return
        query = sql.SQL("copy {} (entity, sourced_id, shown) from stdin").format(self.name("scoped_out"))
        with self._conn.cursor() as cursor, cursor.copy(query) as copy:
            for sourced_id in sourced_ids:
                copy.write_row((table.entity, sourced_id, shown))

    def close_scope(
        self,
        schools: Sequence[str],
        *,
        enrolled_only: bool,
        untaken: Sequence[str],
        removable: Sequence[str],
        partial: Sequence[str],
    ) -> None:
        """Work out what follows from the ids that were left out. Comes after the last entity and before `seal`.

        schools: ids of the only schools that are taken; none: all. untaken, removable, partial: entities that are not
        taken at all, that may lose records, and that showed only changes or nothing at all.
        """
        self._conn.execute(
            "select roster.scope_stage(%s, %s, %s, %s, %s, %s, %s)",
            (self.run, self.token, list(schools), enrolled_only, list(untaken), list(removable), list(partial)),
        )

    def restart(self, table: Table) -> None:
        """Empty what was staged of one entity."""
        self._conn.execute(
            "select roster.restart_stage(%s, %s, %s, %s)", (self.run, self.token, table.name, table.entity)
        )

    def skipped(self, entity: str) -> int:
        """How many ids of an entity have a record that cannot be taken."""
        row = self._conn.execute(
            sql.SQL("select count(distinct sourced_id) from {} where entity = %s and severity = 'error'").format(
                self.name("issue")
            ),
            (entity,),
        ).fetchone()
        return int(row[0]) if row else 0

    def seal(self, source_version: str | None, pull: dict[str, Any], removable: Sequence[str]) -> None:
        """End of writing. `pull` is kept as the proof of what was received."""
        self._conn.execute(
            "select roster.seal_stage(%s, %s, %s, %s, %s)",
            (self.run, self.token, source_version, jsonb(pull), list(removable)),
        )

    def fail(self, reason: str) -> None:
        """Drop the tables and keep the reason."""
        self._conn.execute("select roster.fail_stage(%s, %s, %s)", (self.run, self.token, reason))


@dataclass
class TableStage:
    """Collects one entity's rows and writes them in batches."""

    _conn: psycopg.Connection
    _stage: Stage
    table: Table
    rows: int = 0
    _pending: list[list[str | None]] = field(default_factory=list[list[str | None]])

    def __post_init__(self) -> None:
        kinds = (Kind.TEXT, Kind.TEXT, Kind.INTEGER, Kind.TEXT, *(c.kind for c in self.table.columns))
        self._writer = RowWriter(kinds)
        self._target = self._stage.name(self.table.name)
        self._copy = sql.SQL("copy {} ({}) from stdin").format(
            self._target,
            sql.SQL(", ").join(map(sql.Identifier, (*STAGE_COLUMNS, *self.table.column_names))),
        )

    def add(self, sourced_id: str, status: str, raw_hash: int | None, row_hash: str, values: Sequence[object]) -> None:
        r"""Stage one record: `raw_hash` signed, 64 bits; `row_hash` as `\x…`; `values` in column order."""
        self._pending.append(self._writer.cells((sourced_id, status, raw_hash, row_hash, *values)))
        self.rows += 1
        if len(self._pending) >= _FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        if self._pending:
            with self._conn.cursor() as cursor, cursor.copy(self._copy) as copy:
                for row in self._pending:
                    copy.write_row(row)
            self._pending.clear()

    def drop_pending(self) -> None:
        """Forget what was collected and not yet written: the listing is read again."""
        self._pending.clear()

    def duplicates(self) -> list[str]:
        """Ids that were staged, or left out of scope, more than once."""
        query = sql.SQL(
            "select sourced_id from (select sourced_id from {stage} union all"
            " select sourced_id from {scoped_out} where entity = %s) s group by 1 having count(*) > 1"
        ).format(stage=self._target, scoped_out=self._stage.name("scoped_out"))
        return [str(row[0]) for row in self._conn.execute(query, (self.table.entity,)).fetchall()]

    def shown_twice(self, index: SeenIndex) -> list[str]:
        """Ids that were shown unchanged once and otherwise another time, readable or not: the listing moved while it
        was read.

        Needs `unseen` and all issues written first.
        """
        if not index.seen_count:
            return []
        query = sql.SQL(
            "select distinct s.sourced_id, m.raw_hash from (select sourced_id from {stage}"
            " union all select sourced_id from {issue} where entity = %(entity)s and severity = 'error'"
            " union all select sourced_id from {scoped_out} where entity = %(entity)s and shown) s"
            " join roster.{merged} m on m.sourced_id = s.sourced_id"
            " where m.tenant = (select roster.session_tenant()) and m.status = 'active' and m.source = 'SIS'"
            " and m.raw_hash is not null"
            " and not exists (select from {unseen} u where u.entity = %(entity)s and u.raw_hash = m.raw_hash)"
        ).format(
            stage=self._target,
            issue=self._stage.name("issue"),
            scoped_out=self._stage.name("scoped_out"),
            merged=sql.Identifier(self.table.name),
            unseen=self._stage.name("unseen"),
        )
        found = self._conn.execute(query, {"entity": self.table.entity}).fetchall()
        # A row that another run merged meanwhile has bytes that this pull never compared with.
        return [str(sourced_id) for sourced_id, raw_hash in found if index.saw(raw_hash)]


def merged_rows(conn: psycopg.Connection, table: Table, sourced_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The merged rows of these ids, active or not: column → value."""
    query = sql.SQL(
        "select * from roster.{} where tenant = (select roster.session_tenant()) and sourced_id = any (%s)"
    ).format(sql.Identifier(table.name))
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(query, (list(sourced_ids),))
        return {row["sourced_id"]: row for row in cursor}


@dataclass(frozen=True)
class KnownSession:
    """An academic session as it will be after the merge. `shown`: the source showed it in this pull."""

    sourced_id: str
    start: date
    end: date
    school_year: int | None
    parent: str | None
    shown: bool


def known_sessions(conn: psycopg.Connection, stage: Stage, *, partial: bool) -> list[KnownSession]:
    """All sessions of the tenant: the staged ones, and merged ones that this run has not staged anew.

    partial: the pull showed only changes, so of a row that was left alone nobody knows whether it was shown.
    """
    query = sql.SQL(
        "select sourced_id, start_date as start, end_date as end, school_year, parent_sourced_id as parent,"
        " true as shown from {stage} where status = 'active' union all"
        " select m.sourced_id, m.start_date, m.end_date, m.school_year, m.parent_sourced_id,"
        " not {partial} and m.raw_hash is not null and not exists ("
        " select from {unseen} u where u.entity = 'academicSessions' and u.raw_hash = m.raw_hash)"
        " from roster.academic_sessions m where m.tenant = (select roster.session_tenant()) and m.status = 'active'"
        " and m.source = 'SIS' and not exists (select from {stage} s where s.sourced_id = m.sourced_id)"
    ).format(stage=stage.name("academic_sessions"), unseen=stage.name("unseen"), partial=sql.Literal(partial))
    with conn.cursor(row_factory=class_row(KnownSession)) as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def missing_merged(conn: psycopg.Connection, table: Table, sourced_ids: Sequence[str]) -> set[str]:
    """Of these ids, those that no active merged row of the entity has."""
    missing: set[str] = set()
    query = sql.SQL(
        "select t.id from unnest(%s::text[]) as t(id) where not exists (select from roster.{} m"
        " where m.tenant = (select roster.session_tenant()) and m.sourced_id = t.id and m.status = 'active')"
    ).format(sql.Identifier(table.name))
    for start in range(0, len(sourced_ids), 20_000):
        chunk = list(sourced_ids[start : start + 20_000])
        missing.update(str(row[0]) for row in conn.execute(query, (chunk,)).fetchall())
    return missing


ENTITIES = tuple(table.entity for table in TABLES)
