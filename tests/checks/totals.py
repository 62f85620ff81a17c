"""The end of `make test`: what each part came to, and a last line for all of them.

Usage: totals.py --failed "PART PART" PART...
Reads build/junit-PART.xml and build/PART.log. Exit code 1 if a part failed or left no result.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

BUILD = Path("build")


@dataclass
class Totals:
    """Counts of tests, and seconds."""

    failed: int = 0
    passed: int = 0
    skipped: int = 0
    errors: int = 0
    seconds: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def line(self) -> str:
        """As pytest ends: counts that are not zero, and the time."""
        counts = [
            f"{count} {name}"
            for name, count in (
                ("failed", self.failed),
                ("passed", self.passed),
                ("skipped", self.skipped),
                ("error" if self.errors == 1 else "errors", self.errors),
            )
            if count
        ]
        return f"{', '.join(counts) or 'no tests ran'} in {self.seconds:.2f}s"


def read(path: Path) -> Totals:
    """The counts of one JUnit file."""
    total = Totals()
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):  # written by our own pytest
        count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        good = count["tests"] - count["failures"] - count["errors"] - count["skipped"]
        total += Totals(count["failures"], good, count["skipped"], count["errors"], float(suite.get("time", 0)))
    return total


def closing_line(log: Path) -> str:
    """pytest's own last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]) if lines else ""
    return plain.strip("= ")


def second_tries(log: Path) -> list[str]:
    """The tests that failed and then passed: pytest names no other test that passed."""
    return re.findall(r"^PASSED (\S.*)$", log.read_text(errors="replace"), re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Print the summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--failed", default="", help="the parts that failed")
    parser.add_argument("parts", nargs="+")
    options = parser.parse_args(arguments)
    failed = set(options.failed.split())
    total = Totals()
    unsteady: list[str] = []
    lines = ["", "---- summary"]
    for part in options.parts:
        junit, log = BUILD / f"junit-{part}.xml", BUILD / f"{part}.log"
        if junit.exists() and log.exists():
            total += read(junit)
            said = closing_line(log)
            unsteady += second_tries(log)
        else:
            failed.add(part)
            said = "ended before its tests"
        lines.append(f"{part:<14} {'FAILED' if part in failed else 'ok':<8} {said}")
    lines += [f"passed only at the second try: {test}" for test in unsteady]
    if failed:
        lines.append(f"failed: {' '.join(part for part in options.parts if part in failed)}")
    end = f" {total.line()} "
    lines.append(f"{end:=^80}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
