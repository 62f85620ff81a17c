"""Problems of single records over the runs: new, still open, fixed, back.

A run's own list goes with what it staged. roster.issue stays: one row a record, code and field, with the runs that saw
it first and last, and the one that did not see it any more. Records' ids are in it: for people who may read records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from .runs import Run, latest
from .tables import BY_SEVERITY


@dataclass(frozen=True)
class Trend:
    """Of one run, in problems. `still`: open before and now; `back`: had been fixed."""

    new: int = 0
    still: int = 0
    fixed: int = 0
    back: int = 0


@dataclass(frozen=True)
class Problems:
    """One kind of problem at one school as a run left it. school: sourcedId, None where none is known."""

    code: str
    severity: str
    entity: str
    school: str | None
    new: int
    still: int
    fixed: int
    back: int


@dataclass(frozen=True)
class Problem:
    """One record's, or with an empty sourced_id a file's. state: new, still, fixed or back, as seen from a run.

    file, line (0: the whole file): where it stood when it was seen last, if it came in a file.
    """

    entity: str
    sourced_id: str
    code: str
    field: str
    severity: str
    school: str | None
    state: str
    first_seen: datetime
    last_seen: datetime
    fixed_at: datetime | None
    file: str | None
    line: int | None


def note(conn: psycopg.Connection, run: UUID, token: int, references: Sequence[tuple[str, str, str, str]]) -> None:
    """Bring the problems up to a run that was sealed.

    references: (entity, field as the run's issues name it, column, table that it refers to).
    """
    conn.execute("select roster.note_issues(%s, %s, %s)", (run, token, [" ".join(each) for each in references]))


# As seen from a run: what is open and was seen by it, and what it fixed. A problem that came later is none of its own.
_STATES: LiteralString = (
    "select i.*, case when i.fixed_run = %(run)s then 'fixed' when i.first_run = %(run)s then 'new'"
    " when i.back_run = %(run)s then 'back' else 'still' end as state"
    " from roster.issue i where i.tenant = (select roster.session_tenant())"
    " and (i.fixed_run = %(run)s or (i.fixed_at is null and i.last_run = %(run)s))"
)
_COUNTS: LiteralString = ", ".join(
    f"count(*) filter (where state = '{state}') as {state}" for state in ("new", "still", "fixed", "back")
)


def trend(conn: psycopg.Connection, run: UUID) -> Trend:
    """The sums of a run, without what is for information. Right only for the tenant's latest one: later runs move the
    marks on."""
    with conn.cursor(row_factory=class_row(Trend)) as cursor:
        query = f"select {_COUNTS} from ({_STATES}) s where severity <> 'info'"
        found = cursor.execute(query.encode(), {"run": run}).fetchone()
    return found or Trend()


def by_school(conn: psycopg.Connection, run: UUID) -> list[Problems]:
    """Each kind of problem at each school as the latest run left it; errors and the most frequent first."""
    query = (
        f"select code, min(severity) as severity, entity, school, {_COUNTS} from ({_STATES}) s"
        f" group by code, entity, school order by {BY_SEVERITY.format(severity='min(severity)')},"
        " count(*) desc, 1, 3, 4"
    )
    with conn.cursor(row_factory=class_row(Problems)) as cursor:
        return cursor.execute(query.encode(), {"run": run}).fetchall()


def problems(
    conn: psycopg.Connection,
    run: UUID,
    *,
    code: str | None = None,
    school: str | None = None,
    state: str | None = None,
    limit: int = 1000,
) -> list[Problem]:
    """Single problems as the latest run left them, by entity, sourcedId and code."""
    query = (
        "select entity, sourced_id, code, field, severity, school, state, first_seen, last_seen, fixed_at, file, line"
        f" from ({_STATES}) s where (%(code)s::text is null or code = %(code)s)"
        " and (%(school)s::text is null or school = %(school)s) and (%(state)s::text is null or state = %(state)s)"
        " order by entity, sourced_id, code, field limit %(limit)s"
    )
    values = {"run": run, "code": code, "school": school, "state": state, "limit": limit}
    with conn.cursor(row_factory=class_row(Problem)) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def latest_run(conn: psycopg.Connection) -> Run | None:
    """The newest run whose problems are known: the latest that was pulled and staged, whatever became of it."""
    return next((run for run in latest(conn, 50) if run.staged_at is not None and run.mode != "Undo"), None)
