"""Long-lived processes: start them detached, recognise them again, and end them and nothing else.

A process id alone is no identity, because the kernel gives it out again. Here a process is known by its id, the
moment it started (in clock ticks since boot) and the boot it belongs to.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KILL = signal.SIGKILL


@dataclass(frozen=True)
class Process:
    """One process that this tool started, or found to belong to what it started."""

    name: str
    pid: int
    started: int
    boot: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Process:
        return cls(str(value["name"]), int(value["pid"]), int(value["started"]), str(value["boot"]))


def boot_id() -> str:
    """A name for the time since the machine was last started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _state_and_start(pid: int) -> tuple[str, int] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets and may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def identify(name: str, pid: int) -> Process | None:
    """Who process `pid` is now, or None when there is no such process."""
    found = _state_and_start(pid)
    return None if found is None else Process(name, pid, found[1], boot_id())


def alive(process: Process) -> bool:
    """Whether this very process still runs. A zombie has ended; another process with the same id is not it."""
    found = _state_and_start(process.pid)
    return found is not None and found[0] not in "ZX" and found[1] == process.started and process.boot == boot_id()


def start(name: str, argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> Process:
    """Start a program in a session of its own, so that it outlives the shell. Its output goes to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=env,
        )
    found = identify(name, child.pid)
    # The child cannot have been reaped yet, as only this process may do so.
    assert found is not None
    child.returncode = 0  # Nobody waits for it: silences the interpreter's warning about a child left running.
    return found


def stop(processes: Iterable[Process], *, patience: float = 10, first: signal.Signals = signal.SIGTERM) -> None:
    """End these processes: a polite signal to all, then, after `patience` seconds, SIGKILL to what remains."""
    handles: list[int] = []
    for process in processes:
        try:
            handle = os.pidfd_open(process.pid)
        except OSError:
            continue
        # Looked at after the handle was taken: from here on the handle cannot come to mean another process.
        if alive(process):
            handles.append(handle)
        else:
            os.close(handle)
    try:
        waiting = _signal(handles, first, patience)
        _signal(waiting, signal.SIGKILL, 10)
    finally:
        for handle in handles:
            os.close(handle)


def _signal(handles: list[int], number: signal.Signals, patience: float) -> list[int]:
    for handle in handles:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
    deadline = time.monotonic() + patience
    left = list(handles)
    while left and (remaining := deadline - time.monotonic()) > 0:
        ended, _, _ = select.select(left, [], [], remaining)
        left = [handle for handle in left if handle not in ended]
    return left
