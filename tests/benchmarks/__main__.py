"""Runs the benchmark, prints a table and writes build/bench.json. `--help` says how."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as Printed
from tests.benchmarks import validate
from tests.benchmarks.bench import CASES, Bench
from tests.benchmarks.cost import Cost
from tests.benchmarks.source import ROOT, served

from roster_operator.cli.embedded import EmbeddedPostgres

# Users and enrollments; records are those and what belongs to them.
SIZES = {"100k": (27_500, 68_500), "700k": (200_000, 500_000), "6m": (1_650_000, 4_250_000)}
OURS = "stage and merge"
out = Console(highlight=False, width=110)


@dataclass(frozen=True)
class Line:
    """One line of build/bench.json. wall_ratio: the subject's time by the alternative's.

    cpu_s is the client's, database_cpu_s the server's in the same time, where it has a part in it.
    """

    case: str
    subject: str
    alternative: str | None
    records: int
    wall_s: float
    cpu_s: float
    database_cpu_s: float
    peak_mb: float
    wall_ratio: float | None


def run(bench: Bench, lines: list[Line], output: Path, others: str | None) -> None:
    """All cases of one size, added to `lines`. All are written after each, so that a broken run leaves what it has."""
    first: Cost | None = None
    bench.tables_for("naive")
    bench.tables_for("bulk")
    for case, variant in CASES.items():
        if case != "nothing changed":
            bench.source.variant(variant)
        staged, merged, plan = bench.sync()
        ours = staged + merged
        first = first or ours
        records = sum(entity["received"] for entity in plan["entities"].values())
        beside = {"naive script": bench.naive()} | (bench.others(others) if others else {})
        bench.verify(plan)
        if case == "first load":
            beside["plain COPY"] = bench.copying()
            beside["plain download"] = bench.download()
        else:
            beside["its own first load"] = first

        start = len(lines)

        def line(subject: str, cost: Cost, other: str | None = None, against: Cost | None = None) -> None:
            ratio = round(cost.wall_s / against.wall_s, 3) if against else None
            lines.append(Line(case, subject, other, records, *figures(cost), ratio))  # noqa: B023 (called at once)

        line("stage", staged)
        line("merge", merged)
        for name, cost in beside.items():
            line(OURS, ours, name, cost)
            if name != "its own first load":
                line(name, cost)
        write(lines, start, output)


def validation(folder: Path, lines: list[Line], output: Path) -> float:
    """A large bundle of files. Gives its time against that of a plain loop."""
    rows, ours, plain = validate.measure(folder)
    start = len(lines)
    for subject, cost in ((validate.SUBJECT, ours), (validate.PLAIN, plain)):
        other = validate.PLAIN if cost is ours else None
        ratio = round(ours.wall_s / plain.wall_s, 3) if cost is ours else None
        lines.append(Line("a bundle of files", subject, other, rows, *figures(cost), ratio))
    write(lines, start, output)
    return ours.wall_s / plain.wall_s


def figures(cost: Cost) -> tuple[float, float, float, float]:
    """As a line has them."""
    return round(cost.wall_s, 2), round(cost.cpu_s, 2), round(cost.database_cpu_s, 2), round(cost.peak_mb, 1)


def write(lines: list[Line], start: int, output: Path) -> None:
    """Print the lines from `start` on, and write all."""
    show(lines[start:])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps([asdict(each) for each in lines], indent=1) + "\n")


def show(lines: list[Line]) -> None:
    table = Printed(
        "case", "subject", "beside", "records", "wall s", "records/s", "CPU s", "DB CPU s", "peak MB", "ratio"
    )
    for line in lines:
        ratio = "" if line.wall_ratio is None else f"{line.wall_ratio:.2f}"
        pace = f"{line.records / line.wall_s:,.0f}" if line.wall_s else ""
        took = (f"{line.wall_s:.2f}", pace, f"{line.cpu_s:.2f}", f"{line.database_cpu_s:.2f}")
        cells = (f"{line.records:,}", *took, f"{line.peak_mb:.0f}", ratio)
        table.add_row(line.case, line.subject, line.alternative or "", *cells)
    out.print(table)


def main() -> int:
    parser = argparse.ArgumentParser("tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--size",
        choices=SIZES,
        action="append",
        help="how large the district is; can be repeated (default: 100k, 700k)",
    )
    parser.add_argument("--users", type=int, help="another size: the number of users")
    parser.add_argument("--enrollments", type=int, default=500_000, help="with --users (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json", help="where the figures go")
    parser.add_argument("--others", help="a Python with requirements/bench.txt: dlt and SQLAlchemy are measured too")
    options = parser.parse_args()
    sizes = [SIZES[name] for name in options.size or ("100k", "700k")]
    if options.users:
        sizes = [(options.users, options.enrollments)]
    load = os.getloadavg()
    out.print(f"{os.cpu_count()} CPUs, load {load[0]:.1f}")
    if load[0] > 1:
        out.print("[yellow]The machine is busy with something else: the figures will be too high.[/]")
    lines: list[Line] = []
    for users, enrollments in sizes:
        out.print(f"{users:,} users, {enrollments:,} enrollments")
        with (
            tempfile.TemporaryDirectory() as folder,
            served(users, enrollments) as source,
            EmbeddedPostgres.temporary(18, tcp=True, durable=True) as server,
        ):
            bench = Bench(server, server.create_database("bench", "bench_owner"), source, Path(folder))
            run(bench, lines, options.output, options.others)
    with tempfile.TemporaryDirectory() as folder:
        ratio = validation(Path(folder), lines, options.output)
    out.print(f"load at the end {os.getloadavg()[0]:.1f}; written to {options.output}")
    return validate.judged(ratio)


if __name__ == "__main__":
    sys.exit(main())
