"""`roster review --held`: which records a limit holds. Its output is personal data."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from roster_operator.store.runs import Run

from .cluster.deciding import ReviewOutput
from .engine import HeldBy
from .output import console, print_json
from .spreadsheets import as_csv


def show(run: Run, lists: list[HeldBy], output: ReviewOutput) -> None:
    """Print them, limit by limit."""
    match output:
        case ReviewOutput.JSON:
            held = [
                {
                    **each.hit.to_dict(),
                    "sentence": each.hit.sentence,
                    "waits": each.waits,
                    "records": [_row(each, at, named=False) for at in range(len(each.records))],
                }
                for each in lists
            ]
            print_json("Held", {"run": str(run.run), "sync": run.name, "held": held})
        case ReviewOutput.CSV:
            typer.echo(as_csv([_row(each, at) for each in lists for at in range(len(each.records))]), nl=False)
        case _:
            _tables(lists)


def _row(by: HeldBy, at: int, *, named: bool = True) -> dict[str, Any]:
    record = by.records[at]
    limit = {"limit": record.limit, "entity": record.entity} if named else {}
    return {
        **limit,
        "action": record.action,
        "sourcedId": record.sourced_id or "",
        "label": record.label,
        "school": record.school or "",
        "code": record.code or "",
    }


def _tables(lists: list[HeldBy]) -> None:
    if not lists:
        console.print("No limit holds anything of this plan.")
    for each in lists:
        begin = "Removals wait" if each.waits else "Beyond limits"
        console.print(f"{begin}: {each.hit.sentence}.", highlight=False, markup=False)
        table = Table("ACTION", "SOURCEDID", "NAME", "SCHOOL", box=None, pad_edge=False)
        for at in range(len(each.records)):
            row = _row(each, at)
            action = f"{row['action']} ({row['code']})" if row["code"] else row["action"]
            table.add_row(*(Text(cell) for cell in (action, row["sourcedId"], row["label"], row["school"])))
        console.print(table)
