"""`roster issues`: what is wrong with the source's records, since when, and at which school."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer

from roster_operator.api.task import Policy
from roster_operator.oneroster.catalogue import remedy
from roster_operator.store.issue_history import Problem, Problems
from roster_operator.worker.failures import WorkerError

from . import engine as engines
from .manifests import connection_from
from .output import console, print_json
from .shared import ConnectionFile, Database, told
from .spreadsheets import as_csv


class IssuesOutput(Enum):
    """How it is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class State(Enum):
    """What became of a problem since the run before."""

    NEW = "new"
    STILL = "still"
    FIXED = "fixed"
    BACK = "back"


def issues(
    filename: ConnectionFile,
    database: Database = None,
    records: Annotated[
        bool, typer.Option("--records", help="List single records by sourcedId: that is personal data.")
    ] = False,
    code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
    school: Annotated[str | None, typer.Option(metavar="SOURCEDID", help="Only this school.")] = None,
    state: Annotated[State | None, typer.Option(help="With --records: only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="With --records: at most so many.")] = 10_000,
    output: Annotated[
        IssuesOutput, typer.Option("--output", "-o", help="table, json, or csv: to send to the school.")
    ] = IssuesOutput.TABLE,
) -> None:
    """Show the problems of the source's records as the latest run left them: new, still open, fixed, back."""
    wanted = state.value if state else None
    with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
        found = engine.problems(code=code, school=school)
        if found is None:
            raise WorkerError("NothingStaged", "Nothing was staged yet, so nothing is known.", "Stage a sync first.")
        run, counted = found
        listed = engine.problem_records(code=code, school=school, state=wanted, limit=limit) if records else []
    rows = [_record(each) for each in listed] if records else [_counts(each) for each in counted]
    if output is IssuesOutput.JSON:
        print_json("Issues", {"run": str(run), "records" if records else "issues": rows})
    elif output is IssuesOutput.CSV:
        typer.echo(as_csv(rows), nl=False)
    elif not rows:
        console.print("Nothing is wrong that a pull could see.")
    else:
        _table(rows)


def _counts(each: Problems) -> dict[str, Any]:
    return {
        "code": each.code,
        "severity": each.severity,
        "entity": each.entity,
        "school": each.school or "",
        "new": each.new,
        "still": each.still,
        "fixed": each.fixed,
        "back": each.back,
        "remedy": remedy(each.code),
    }


def _record(each: Problem) -> dict[str, Any]:
    return {
        "entity": each.entity,
        "sourcedId": each.sourced_id,
        "code": each.code,
        "field": each.field,
        "file": each.file or "",
        "line": each.line or "",
        "severity": each.severity,
        "school": each.school or "",
        "state": each.state,
        "since": f"{each.first_seen:%Y-%m-%d}",
        "remedy": remedy(each.code),
    }


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415

    names = [name for name in rows[0] if name != "remedy"]
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(f"{row[name]:,}" if isinstance(row[name], int) else str(row[name]) for name in names))
    console.print(table)
    for code in dict.fromkeys(row["code"] for row in rows):
        console.print(f"{code}: {remedy(code)}", highlight=False)
