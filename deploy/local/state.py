"""Which cluster this checkout uses now: a small file in `.local/`, written when the cluster is ready."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from deploy.local import places
from deploy.local.choice import Sort


@dataclass(frozen=True)
class State:
    sort: Sort
    why: str
    engine: str | None = None

    def save(self, file: Path = places.STATE) -> None:
        file.write_text(json.dumps({"sort": self.sort.value, "why": self.why, "engine": self.engine}) + "\n")


def load(file: Path = places.STATE) -> State | None:
    """The state of this checkout, or None where no cluster was brought up."""
    try:
        value = json.loads(file.read_text())
        return State(Sort(value["sort"]), str(value["why"]), value.get("engine"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget() -> None:
    """Remove everything in `.local/` that tells of a cluster."""
    for file in (places.READY, places.KUBECONFIG, places.STATE):
        file.unlink(missing_ok=True)
