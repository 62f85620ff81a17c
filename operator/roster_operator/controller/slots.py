"""How many Jobs may run at the same time.

Counted from what the watch has shown, plus the Jobs created since that it has not shown yet. Tests and notices may
take half of the places, so that a thousand that are due hold no sync up; merges and discards may take a quarter more
than there are, because they end what staging began.
"""

from __future__ import annotations

import time

from roster_operator.api.task import Step

from .line import places_of_tests
from .view import Name, View

UNSEEN = 60.0  # seconds after which a created Job that the watch never showed is no longer counted


class Slots:
    """The places for Jobs."""

    def __init__(self, view: View, places: int) -> None:
        self._view = view
        self._places = places
        self._created: dict[Name, float] = {}

    def free(self, step: Step) -> bool:
        """One more Job of this step may run."""
        now = time.monotonic()
        self._created = {
            name: at for name, at in self._created.items() if name not in self._view.jobs and now - at < UNSEEN
        }
        running = len(self._view.running) + len(self._created)
        match step:
            case Step.TEST | Step.NOTIFY:
                return running < places_of_tests(self._places)
            case Step.STAGE:
                return running < self._places
            case Step.MERGE | Step.DISCARD | Step.PURGE:
                return running < self._places + max(1, self._places // 4)

    def take(self, job: Name) -> None:
        """A Job is about to be created. Before that and not after: while the API server answers, others look."""
        self._created[job] = time.monotonic()

    def give_back(self, job: Name) -> None:
        """The API server would not have it."""
        self._created.pop(job, None)
