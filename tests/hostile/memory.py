"""How much memory this process has taken at most, as the kernel counts it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

MIB = 2**20
_SELF = Path("/proc/self")


def peak() -> int:
    """The most bytes of real memory since the start, or since `restart`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (_SELF / "status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def restart() -> int:
    """Lets the peak begin anew at what is in use now, and says how much that is."""
    with suppress(OSError):  # where it may not be reset, the peak so far stays: growth is then only underestimated
        (_SELF / "clear_refs").write_text("5")
    return peak()
