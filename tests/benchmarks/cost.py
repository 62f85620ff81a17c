"""What a process costs."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass

from tests.benchmarks.source import ENVIRONMENT, ROOT


@dataclass(frozen=True)
class Cost:
    """Of one or more processes: wall and CPU seconds, and the largest resident size of any."""

    wall_s: float
    cpu_s: float
    peak_mb: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mb, other.peak_mb))


def measured(command: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a process to its end."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=ENVIRONMENT | (environment or {}), stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    assert process.returncode == 0, (command, process.returncode)
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
