"""How results look: tables for people, JSON for programs (docs/reference/cli-json.md is the contract)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from roster_operator.api.connection import TestCheck
from roster_operator.api.limits import LimitHit
from roster_operator.api.model import API_VERSION, GROUP
from roster_operator.api.sync import Failure, Taken
from roster_operator.api.task import TestReport
from roster_operator.store.plan import Plan
from roster_operator.store.profile import Profile
from roster_operator.store.review import Change
from roster_operator.store.runs import Run, RunName
from roster_operator.worker.decisions import held_for
from roster_operator.worker.summaries import plan_summary

console = Console()
errors = Console(stderr=True)


class Output(StrEnum):
    """The two ways to print."""

    TABLE = "table"
    JSON = "json"


def print_json(kind: str, content: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    document = {"apiVersion": f"{GROUP}/{API_VERSION}", "kind": kind, **content}
    console.print_json(json.dumps(document, default=str), indent=2)


def plan_document(plan: Plan, hits: list[LimitHit]) -> dict[str, Any]:
    """A plan as in status.plan, and its issues."""
    return {"plan": plan_summary(plan, hits).to_dict(), "issues": plan.issues}


def plan_table(plan: Plan, hits: Iterable[LimitHit]) -> Table:
    """The plan as a table; a limit that is passed is marked."""
    marked = {hit.entity for hit in hits}
    table = Table(box=None, pad_edge=False)
    scoped = any(counts.left_out for counts in plan.entities.values())
    headings = ("ENTITY", "RECEIVED", "CREATE", "UPDATE", "REMOVE", "RETURN", "SAME", "INVALID")
    for heading in (*headings, "NOT TAKEN") if scoped else headings:
        table.add_column(heading, no_wrap=True, justify="left" if heading == "ENTITY" else "right")
    for name, counts in plan.entities.items():
        numbers = (
            counts.received,
            counts.create,
            counts.update,
            counts.deactivate,
            counts.reactivate,
            counts.unchanged,
            counts.invalid,
        )
        cells = [f"{number:,}" for number in (*numbers, counts.left_out)[: len(table.columns) - 1]]
        if name in marked:
            cells[3] = f"[bold red]{cells[3]} ![/]"
        table.add_row(name, *cells)
    return table


def print_plan(plan: Plan, hits: list[LimitHit]) -> None:
    """The plan, what holds it, and its issues."""
    console.print(plan_table(plan, hits))
    if plan.taken:
        console.print(f"Taken: {Taken.from_dict(plan.taken).sentence}.", highlight=False, markup=False)
    for hit in hits:
        console.print(f"[bold red]Beyond limits[/]: {hit.sentence}.")
    for hit in held_for(plan):
        console.print(f"[bold]Removals wait[/], the next sync plans them again: {hit.sentence}.")
    causes = {
        "marked by the source": "tobedeleted",
        "ended by themselves (no limit counts them)": "concluded",
        "gone with their school": "school_closed",
        "no longer shown": "vanished",
    }
    told = [
        f"{n:,} {words}"
        for words, name in causes.items()
        if (n := sum(getattr(e, name) for e in plan.entities.values()))
    ]
    if told:
        console.print(f"Removed: {', '.join(told)}.")
    out_of_scope = sum(counts.out_of_scope for counts in plan.entities.values())
    if out_of_scope:
        console.print(f"Out of scope: {out_of_scope:,} merged records are no longer taken, and go.")
    undone = sum(counts.undone for counts in plan.entities.values())
    if undone:
        console.print(f"Undone: {undone:,} records that the undone sync had brought go.")
    for name, counts in plan.entities.items():
        if counts.linked:
            console.print(f"{counts.linked:,} people who were added by hand have come with the source, and are linked.")
        if counts.unlinked:
            console.print(f"{counts.unlinked:,} people who were linked are two again.")
        if counts.new_key + counts.followed:
            moved = counts.new_key + counts.followed
            console.print(f"re-keyed: {moved:,} {name} come under another sourcedId and stay what they are.")
        if counts.rekeyed:
            console.print(f"re-keyed: {counts.rekeyed:,} {name} go, and come again under another sourcedId.")
        if counts.pinned:
            console.print(f"pinned: of {counts.pinned:,} {name} the source says something else.")
    changes = Profile.from_dict(plan.profile)
    if changes.new_privileged:
        console.print(f"[bold]{changes.new_privileged:,} people[/] would newly be a principal or an administrator.")
    for change in changes.fields[:5]:
        emptied = f", {change.emptied:,} of them emptied" if change.emptied else ""
        console.print(f"changes: {change.entity}.{change.field}: {change.changed:,}{emptied}")
    if not plan.complete:
        console.print(f"The pull is not proved complete, so nothing that is missing goes: {plan.incomplete_reason}")
    for found in plan.checks:
        console.print(f"check: {found['code']}, {found['entity']}: {found['count']:,}")
    for issue in plan.issues:
        console.print(f"{issue['severity']}: {issue['code']}, {issue['entity']}: {issue['count']:,}")


def print_staged(run: RunName, plan: Plan, hits: list[LimitHit], filename: Path, output: Output) -> None:
    """What was staged, and the commands that come next."""
    if output is Output.JSON:
        print_json("Stage", {"run": str(run.run), "sync": run.name, **plan_document(plan, hits)})
        return
    print_plan(plan, hits)
    console.print(f"\nRun     {run.run}\nDigest  {plan.digest}", highlight=False)
    console.print(f"\nNext: roster review {run.run} -f {filename} --entity users", highlight=False)
    console.print(f"      roster merge {run.run} -f {filename} --plan {plan.digest}", highlight=False, soft_wrap=True)


def print_test(report: TestReport) -> None:
    """Step by step."""
    print_checks(report.checks)
    if report.failure:
        print_failure(report.failure)


def print_checks(checks: Iterable[TestCheck]) -> None:
    """The steps of Test Connection."""
    for step in checks:
        mark = "[green]ok[/]" if step.ok else "[bold red]failed[/]"
        what = f"{step.name} {step.entity}" if step.entity else step.name
        count = f", {step.count:,} records" if step.count is not None else ""
        console.print(f"  {what:<24} {mark}{count}{f' ({step.reason})' if step.reason else ''}")


def print_failure(failure: Failure) -> None:
    """A reason, a sentence, a next step, on stderr."""
    errors.print(f"[bold red]{failure.reason}[/]: {failure.message}", highlight=False)


def changes_document(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Records with old and new, as JSON."""
    return [
        {
            "entity": change.entity,
            "action": change.action,
            "sourcedId": change.sourced_id,
            "fields": {key: {"old": old, "new": new} for key, (old, new) in change.fields.items()},
        }
        for change in changes
    ]


def print_changes(changes: Iterable[Change]) -> None:
    """Records with old → new."""
    for change in changes:
        console.print(f"{change.action:<12} {change.entity} {change.sourced_id}", markup=False, highlight=False)
        for field, (old, new) in change.fields.items():
            if new is not None or old is not None:
                console.print(f"    {field}: {_shown(old)} → {_shown(new)}", markup=False, highlight=False)


def _shown(value: Any) -> str:
    return (
        "-"
        if value is None or value == []
        else value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
    )


def print_runs(runs: Iterable[Run]) -> None:
    """One line a run."""
    table = Table(box=None, pad_edge=False)
    for heading in ("RUN", "SYNC", "STATE", "DIGEST", "STARTED"):
        table.add_column(heading, no_wrap=True)
    for run in runs:
        table.add_row(str(run.run), run.name, run.state, (run.digest or "")[:15], f"{run.started_at:%Y-%m-%d %H:%M:%S}")
    console.print(table)
