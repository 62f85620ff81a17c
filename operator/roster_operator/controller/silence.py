"""Whether a watch has gone silent without ending: then nothing tells, except a full list that knows more than it said.

A watch of objects that nobody changes is silent, too, and nothing is wrong. So what is counted is only the time since a
full list showed a change that the watch owes, until the watch says anything at all.
"""

from __future__ import annotations

import time

from roster_operator.api.kinds import CONNECTION, JOB, SYNC, Kind


class Silence:
    """Since when each of the three watches owes us something."""

    def __init__(self) -> None:
        self._since: dict[str, float | None] = {kind.plural: None for kind in (CONNECTION, SYNC, JOB)}

    def owed(self, kind: Kind) -> None:
        """A full list showed a version that the watch has not shown, or not yet."""
        if self._since[kind.plural] is None:
            self._since[kind.plural] = time.monotonic()

    def heard(self, kind: Kind) -> None:
        """The watch has said something."""
        self._since[kind.plural] = None

    def seconds(self) -> dict[str, float]:
        """By resource; 0 where the watch owes nothing."""
        now = time.monotonic()
        return {plural: 0.0 if since is None else now - since for plural, since in self._since.items()}
