"""What a process costs, and what a database server costs meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.source import ENVIRONMENT, ROOT

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of one or more processes: wall and CPU seconds, and the largest resident size of any in MiB.

    database_cpu_s: CPU seconds of the database server in that time, with all its processes; 0 where none was watched.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    database_cpu_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_mb, other.peak_mb),
            self.database_cpu_s + other.database_cpu_s,
        )


def measured(
    command: list[str], environment: dict[str, str] | None = None, database: Callable[[], float] | None = None
) -> Cost:
    """Run a process to its end. `database`: what a server has cost so far."""
    before = database() if database else 0.0
    started = time.perf_counter()
    process = subprocess.Popen(command, env=ENVIRONMENT | (environment or {}), stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    assert process.returncode == 0, (command, process.returncode)
    spent = database() - before if database else 0.0
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, spent)


def with_children(pid: int) -> float:
    """CPU seconds of a process, of its children that ended, and of those that live (proc_pid_stat(5))."""
    alive = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(_times(pid)) + sum(sum(_times(int(child))[:2]) for child in alive)


def _times(pid: int) -> list[float]:
    """utime, stime, cutime, cstime, in seconds; nothing of a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return [0.0] * 4
    return [int(ticks) / _TICKS for ticks in text.rpartition(")")[2].split()[11:15]]
