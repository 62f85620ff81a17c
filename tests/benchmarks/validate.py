"""Validation of a large 1.2 bundle beside a plain loop over its rows. `python -m tests.benchmarks.validate` runs it."""

from __future__ import annotations

import csv
import io
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.benchmarks.cost import Cost, measured

from roster_operator.oneroster.csvfiles.validate import validate
from roster_sample_sis import generate
from roster_sample_sis.bundles import bundle

SUBJECT, PLAIN = "roster validate", "plain csv.reader loop"
# A million rows: users, as many roles, demographics of the students, enrollments.
_USERS, _ENROLLMENTS = 170_000, 520_000
_GOAL = 3.0


def plain(path: Path) -> int:
    """The least that reading can cost. Gives the rows, headers left out."""
    rows = 0
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            if name == "manifest.csv":
                continue
            rows -= 1
            with file.open(name) as entry:
                for _ in csv.reader(io.TextIOWrapper(entry, "utf-8-sig", newline=""), strict=True):
                    rows += 1
    return rows


def measure(folder: Path) -> tuple[int, Cost, Cost]:
    """(rows, cost of ours, cost of the plain loop), each a process from start to end; the best of three.

    The bundle, too, is made in a process of its own: what this one has held would count as its children's memory.
    """
    path = folder / "large.zip"

    def run(way: str) -> Cost:
        return measured([sys.executable, "-m", "tests.benchmarks.validate", way, str(path)])

    run("make")
    rows = plain(path)
    assert rows >= 1_000_000, rows
    best = [min((run(way) for _ in range(3)), key=lambda cost: cost.wall_s) for way in ("ours", "plain")]
    path.unlink()
    return rows, best[0], best[1]


def main() -> int:
    if len(sys.argv) > 1:
        _one(sys.argv[1], Path(sys.argv[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows, ours, least = measure(Path(folder))
    for name, cost in ((SUBJECT, ours), (PLAIN, least)):
        speed = f"{rows / cost.wall_s:,.0f} rows/s"
        print(f"{name:<22} {rows:,} rows  {cost.wall_s:.2f} s  {speed}  {cost.peak_mb:.0f} MiB")
    return judged(ours.wall_s / least.wall_s)


def judged(ratio: float) -> int:
    """The exit code for our time against that of the plain loop; 1 is beyond the goal, and says so."""
    print(f"{SUBJECT} against a {PLAIN}: {ratio:.2f} times its time (goal: at most {_GOAL:g})")
    if ratio <= _GOAL:
        return 0
    print(f"BEYOND THE GOAL: validation takes {ratio:.2f} times a plain loop, and may take {_GOAL:g}.", file=sys.stderr)
    return 1


def _one(way: str, path: Path) -> None:
    if way == "make":
        path.write_bytes(bundle(generate(7, _USERS, enrollments=_ENROLLMENTS), "1.2"))
    elif way == "plain":
        plain(path)
    else:
        report = validate(path)
        assert report.errors == 0, report.counts
        assert sum(report.rows.values()) >= 1_000_000


if __name__ == "__main__":
    sys.exit(main())
