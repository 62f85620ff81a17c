"""What every reconciliation is given."""

from __future__ import annotations

from dataclasses import dataclass

from .client import Api
from .events import Recorder
from .metrics import Metrics
from .settings import Settings
from .slots import Slots
from .view import View


@dataclass(frozen=True)
class Context:
    """The tools of a reconciliation. `cluster` is the uid of the kube-system namespace."""

    api: Api
    settings: Settings
    metrics: Metrics
    recorder: Recorder
    slots: Slots
    view: View
    cluster: str
