"""What every reconciliation is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .client import Api
from .events import Recorder
from .metrics import Metrics
from .queue import Key
from .settings import Settings
from .slots import Slots
from .view import View


@dataclass(frozen=True)
class Context:
    """The tools of a reconciliation. `cluster` is the uid of the kube-system namespace. `tell`: people may have to be
    told something of this connection; it only says so, and costs nothing."""

    api: Api
    settings: Settings
    metrics: Metrics
    recorder: Recorder
    slots: Slots
    view: View
    cluster: str
    tell: Callable[[Key], None]
