"""Lists of records, gathered in one transaction, and files that leave the console."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import psycopg

from roster_operator.store import review, runs
from roster_operator.store.issues import RecordIssue

from . import standard

MOST_ROWS = 50_000  # of a file
_HEADER = (
    "School", "Kind of record", "sourcedId", "Name", "File", "Line", "Field", "Severity", "Problem", "What to do"
)  # fmt: skip


def changes(
    conn: psycopg.Connection, run: runs.Run, entity: str, wanted: review.Wanted
) -> tuple[runs.Run, list[review.Change], dict[str, str]]:
    """The changes, and the names of the schools that they are of."""
    found = review.changes(conn, run, entity, wanted)
    ids = {change.school for change in found if change.school} | ({wanted.school} if wanted.school else set())
    return run, found, review.school_names(conn, run, ids) if ids else {}


def issues_file(issues: Iterable[RecordIssue]) -> str:
    """CSV with one line a problem, for those who correct it. Its first mark tells spreadsheets that it is UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_HEADER)
    for issue in issues:
        what = standard.meaning(issue.code) or issue.code
        place = (issue.file or "", str(issue.line or ""))
        row = (
            issue.school,
            issue.entity,
            issue.sourced_id or "",
            issue.label,
            *place,
            issue.field or "",
            issue.severity,
            what,
        )
        writer.writerow([standard.safe_cell(cell) for cell in (*row, standard.remedy(issue.code))])
    return "\ufeff" + out.getvalue()
