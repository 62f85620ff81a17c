"""What a native cluster started and changed, written down before and while it happens, so that it can be undone.

The record lies under /run, one for the machine: a start in another checkout finds what a crashed one left behind.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local import places, processes
from deploy.local.processes import Process

FILE = places.RUN / "record.json"


@dataclass
class Record:
    """The processes of a cluster, and how the machine was before it."""

    checkout: str
    boot: str
    processes: list[Process] = field(default_factory=list[Process])
    settings_before: dict[str, str] = field(default_factory=dict[str, str])
    """Kernel settings that the cluster changes, with their values from before it."""
    absent_before: list[str] = field(default_factory=list[str])
    """Folders, and packet filter tables, that others may own too and that were not there before the cluster."""
    complete: bool = False
    """Whether the start reached its end."""

    def save(self, file: Path = FILE) -> None:
        """Write the record, all of it or nothing."""
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(self.as_json(), indent=2) + "\n")
        unfinished.replace(file)

    def as_json(self) -> dict[str, Any]:
        return {
            "checkout": self.checkout,
            "boot": self.boot,
            "processes": [process.as_json() for process in self.processes],
            "settings_before": self.settings_before,
            "absent_before": self.absent_before,
            "complete": self.complete,
        }

    @property
    def of_this_boot(self) -> bool:
        return self.boot == processes.boot_id()

    def dead(self) -> list[str]:
        """The names of those processes that no longer run."""
        return [process.name for process in self.processes if not processes.alive(process)]


def load(file: Path = FILE) -> Record | None:
    """The record of the cluster that was started last, or None. One that cannot be read counts as none."""
    try:
        value: dict[str, Any] = json.loads(file.read_text())
        return Record(
            checkout=str(value["checkout"]),
            boot=str(value["boot"]),
            processes=[Process.from_json(each) for each in value["processes"]],
            settings_before=dict(value["settings_before"]),
            absent_before=list(value["absent_before"]),
            complete=bool(value["complete"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def new() -> Record:
    return Record(checkout=str(places.CHECKOUT), boot=processes.boot_id())
