"""What the suite remembers of its cases, and prints at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from .memory import MIB, restart


@dataclass
class Ledger:
    """Counts per family, the slowest case, and how far memory grew beyond the beginning."""

    counts: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    baseline: int = 0
    largest: tuple[int, str] = (0, "")


LEDGER = Ledger()


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    if not LEDGER.baseline:
        LEDGER.baseline = restart()
    return LEDGER


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Counts per family."""
    if not LEDGER.counts:
        return
    terminalreporter.section("bad inputs")
    for family, count in LEDGER.counts.items():
        terminalreporter.write_line(f"{family:<10} {count:>4} cases, {LEDGER.passed[family]} as expected")
    terminalreporter.write_line(f"{'all':<10} {LEDGER.counts.total():>4} cases")
    terminalreporter.write_line(f"slowest: {LEDGER.slowest[0]:.1f} s, {LEDGER.slowest[1]}")
    grown, title = LEDGER.largest
    terminalreporter.write_line(f"memory: baseline {LEDGER.baseline // MIB} MiB + {grown // MIB} MiB, {title}")
