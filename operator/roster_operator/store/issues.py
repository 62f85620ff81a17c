"""The problems of single records and of files that a pull found, for people who may read records."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from . import plan as plans
from . import review, runs
from .bound import Bound
from .conflicts import UNDO
from .tables import TABLES


@dataclass(frozen=True)
class RecordIssue:
    """One problem of one record. label and school (a name) are empty where nobody knows them.

    file, line: where it stands, if it came in a file; a problem of the file itself has no sourced_id.
    """

    entity: str
    sourced_id: str | None
    code: str
    severity: str
    field: str | None
    label: str
    school: str
    file: str | None = None
    line: int | None = None


def listing(
    conn: psycopg.Connection,
    run: runs.Run,
    *,
    code: str | None = None,
    entity: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[RecordIssue]:
    """The problems by entity, code and sourcedId. The run must be Staged."""
    rows = conn.execute(
        sql.SQL(
            "select i.entity, i.sourced_id, i.code, i.severity, i.field, {place} from {issue} i"
            " where ({code}::text is null or i.code = {code}) and ({what}::text is null or i.entity = {what})"
            ' order by i.entity, i.code, i.sourced_id collate "C", i.field, 7 limit {limit} offset {offset}'
        ).format(
            issue=plans.issues_of(run, runs.session_tenant(conn)),
            # An undo reads no files.
            place=sql.SQL("null, null" if run.mode == UNDO else "i.file, i.line"),
            code=Bound(code),
            what=Bound(entity),
            limit=sql.Literal(limit),
            offset=sql.Literal(offset),
        )
    ).fetchall()
    known = {
        table.entity: review.known(conn, run, table.entity, ids)
        for table in TABLES
        if (ids := [str(row[1]) for row in rows if row[0] == table.entity and row[1] is not None])
    }
    wanted = {found.school for each in known.values() for found in each.values() if found.school}
    schools = review.school_names(conn, run, wanted) if wanted else {}
    found: list[RecordIssue] = []
    for what, sourced_id, issue, severity, field, file, line in rows:
        record = known.get(what, {}).get(sourced_id)
        label, school = (record.label, schools.get(record.school or "", "")) if record else ("", "")
        found.append(RecordIssue(what, sourced_id, issue, severity, field, label, school, file, line))
    return found
