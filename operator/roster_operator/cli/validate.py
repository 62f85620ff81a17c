"""`roster validate`: what is wrong with a bundle of OneRoster CSV files. Needs no database and no cluster."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from roster_operator.oneroster.csvfiles.faults import FAULTS, Finding
from roster_operator.oneroster.csvfiles.report import Report
from roster_operator.oneroster.csvfiles.validate import validate as validated

from .output import console, errors, print_json
from .shared import FAILED

BundlePath = Annotated[
    Path, typer.Argument(metavar="BUNDLE", exists=True, readable=True, help="The OneRoster CSV zip, or its folder.")
]
# Of the lines that a kind of finding is on, so many are shown in the table.
_SHOWN = 5
_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


class ValidateOutput(StrEnum):
    """The ways to print a report."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    CONFORMANCE = "conformance"


def validate(
    bundle: BundlePath,
    output: Annotated[
        ValidateOutput,
        typer.Option("--output", "-o", help="table, json, csv, or conformance: the standard's log of a consumer."),
    ] = ValidateOutput.TABLE,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also for what breaks the standard and was understood.")
    ] = False,
) -> None:
    """Say everything that is wrong with a bundle of OneRoster CSV files. Exit code 1: it has errors."""
    report = validated(bundle)
    if output is ValidateOutput.JSON:
        print_json("Validation", document(report))
    elif output is ValidateOutput.CSV:
        typer.echo(findings_csv(report), nl=False)
    elif output is ValidateOutput.CONFORMANCE:
        typer.echo(conformance(report, datetime.now(UTC)), nl=False)
    else:
        print_report(report)
    if report.errors or (strict and not report.conforms):
        raise typer.Exit(FAILED)


def document(report: Report) -> dict[str, Any]:
    """The report as JSON; no value of the data is in it."""
    return {
        "bundle": report.name,
        "version": report.version or None,
        "valid": not report.errors,
        "conforms": report.conforms,
        "errors": report.errors,
        "warnings": report.warnings,
        "rows": report.rows,
        "imported": report.imported,
        "rejected": report.rejected,
        "counts": [
            {
                "code": code,
                "file": file or None,
                "severity": FAULTS[code].severity,
                "count": count,
                "schools": [
                    {"line": line or None, "count": n} for line, n in report.schools.get((code, file), {}).items()
                ],
                "remedy": FAULTS[code].remedy,
            }
            for (code, file), count in report.counts.items()
        ],
        "findings": [_row(finding) for finding in report.findings],
    }


def _row(finding: Finding) -> dict[str, Any]:
    fault = finding.fault
    return {
        "severity": fault.severity,
        "code": finding.code,
        "file": finding.file or None,
        "line": finding.line or None,
        "column": finding.column or None,
        "school": finding.school or None,
        "follows": finding.follows,
        "message": finding.sentence,
        "remedy": fault.remedy,
    }


def findings_csv(report: Report) -> str:
    """One line a finding, and one for what is not kept of a kind at a school: the counts add up to the exact ones."""
    out = io.StringIO(newline="")
    names = ["severity", "code", "file", "line", "column", "school", "count", "follows", "message", "remedy"]
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(_row(finding) | {"count": 1} for finding in report.findings)
    told = Counter((each.code, each.file, each.school) for each in report.findings)
    for (code, file), count in report.counts.items():
        for school, n in report.schools.get((code, file), {0: count}).items():
            if more := n - told[code, file, school]:
                writer.writerow(_row(Finding(code, file, school=school)) | {"count": more})
    return out.getvalue()


def conformance(report: Report, now: datetime) -> str:
    """The log that the standard asks of a consumer, for one set of files."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["Test Identifier", "Test Date", "Status", "CSV Files Imported", "CSV Files Rejected", "Comment"])
    comment = [
        f"{finding.code}: {finding.sentence}"
        for finding in report.findings
        if finding.fault.standard and finding.fault.severity != "info"
    ]
    more = sum(report.counts.values()) - len(report.findings)
    if more:
        comment.append(f"{more:,} more of the same kinds.")
    imported = report.imported if report.version else []
    writer.writerow(
        [
            report.name,
            f"{now:%Y-%m-%d}",
            "Success" if report.conforms else "Fail",
            " ".join(imported),
            " ".join(report.rejected),
            "\n".join(comment),
        ]
    )
    return out.getvalue()


def print_report(report: Report, *, on_stderr: bool = False) -> None:
    """The findings for people, errors first; no value of the data is in them."""
    out = errors if on_stderr else console
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.code, finding.file), []).append(finding)
    for severity in ("error", "warning", "info"):
        for (code, file), findings in groups.items():
            fault = FAULTS[code]
            if fault.severity != severity:
                continue
            count = report.counts[code, file]
            out.print(
                f"[{_COLOURS[severity]}]{severity}[/] {file or 'bundle'}: {code}{f', {count:,} times' * (count > 1)}",
                highlight=False,
            )
            out.print(f"    {fault.meaning}{_follows(findings)}", highlight=False, markup=False)
            if places := _places(findings, count):
                out.print(f"    at {places}", highlight=False, markup=False)
            if schools := _schools(report.schools.get((code, file), {})):
                out.print(f"    by school: {schools}", highlight=False, markup=False)
            out.print(f"    → {fault.remedy}", highlight=False, markup=False)
    rows = sum(report.rows.values())
    out.print(
        f"{report.name}: OneRoster {report.version or 'of an unknown version'}, {rows:,} rows in"
        f" {len(report.rows)} files, {report.errors:,} errors, {report.warnings:,} warnings.",
        highlight=False,
        markup=False,
    )


def _follows(findings: list[Finding]) -> str:
    count = sum(finding.follows for finding in findings)
    return f" {count:,} other problems follow from this." if count else ""


def _schools(counts: Mapping[int, int]) -> str:
    """The schools with the most, by their line in orgs.csv."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{n:,} at {f'orgs.csv line {line}' if line else 'none that is known'}" for line, n in most[:_SHOWN]]
    rest = sum(n for _, n in most[_SHOWN:])
    return ", ".join(shown) + (f", {rest:,} at {len(most) - _SHOWN:,} more" if rest else "")


def _places(findings: list[Finding], count: int) -> str:
    shown = [
        " ".join(part for part in (f"line {each.line}" if each.line else "", each.column) if part)
        for each in findings[:_SHOWN]
    ]
    shown = [place for place in shown if place]
    rest = f" and {count - len(shown):,} more" if shown and count > len(shown) else ""
    return ", ".join(shown) + rest
