"""The problems of single records that a pull found, for people who may read records."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from . import plan as plans
from . import review, runs
from .tables import TABLES


@dataclass(frozen=True)
class RecordIssue:
    """One problem of one record. label and school (a name) are empty where nobody knows them."""

    entity: str
    sourced_id: str | None
    code: str
    severity: str
    field: str | None
    label: str
    school: str


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
            "select i.entity, i.sourced_id, i.code, i.severity, i.field from {issue} i"
            " where ({code}::text is null or i.code = {code}) and ({what}::text is null or i.entity = {what})"
            ' order by i.entity, i.code, i.sourced_id collate "C", i.field limit {limit} offset {offset}'
        ).format(
            issue=plans.issues_of(run, runs.session_tenant(conn)),
            code=sql.Literal(code),
            what=sql.Literal(entity),
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
    for what, sourced_id, issue, severity, field in rows:
        record = known.get(what, {}).get(sourced_id)
        label, school = (record.label, schools.get(record.school or "", "")) if record else ("", "")
        found.append(RecordIssue(what, sourced_id, issue, severity, field, label, school))
    return found
