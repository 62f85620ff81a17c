"""An undo: what a merge found, staged again from the history. See docs/decisions/0011."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field, replace

from tests.model.district import District, Effects, Row, Rows
from tests.model.plan import Facts, Offer, Run, Way
from tests.model.records import ENTITIES
from tests.model.successions import Succession, taken_back

# What ids that succeed others did is turned round with them.
_WITH_THEIR_PERSON = {"link", "unlink", "followed"}


@dataclass
class Undo(Run):
    """undone: the version that a merge made. What it had done is looked up once, conflicts at every question."""

    undone: int
    overwrite: bool
    name: object  # of this undo, and of the merge that it takes back
    undone_name: object
    wanted: dict[str, dict[str, Offer]] = field(default_factory=lambda: {e: {} for e in ENTITIES})
    left: dict[str, dict[str, Row | None]] = field(default_factory=lambda: {e: {} for e in ENTITIES})
    received: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        super().__post_init__()
        found = self.district.before(self.undone)
        for entity, sourced_id in _changed(self.district, self.undone):
            self.received[entity] += 1
            old = found[entity].get(sourced_id)
            left = _left(self.district, self.undone, entity, sourced_id)
            if (offer := _turned_round(old, left)) is not None:
                self.wanted[entity][sourced_id], self.left[entity][sourced_id] = offer, left
        # What the history has lost since, by retention or erasing.
        self.lost = self.district.counts[self.undone] - self.received
        self.history_gone = bool(self.lost) and not self.received

    def offers(self, entity: str) -> dict[str, Offer]:
        return {
            i: each
            for i, each in self.wanted[entity].items()
            if self._problem(entity, i) is None or self._forced(entity, i)
        }

    def losses(self, entity: str) -> list[Way]:
        return []

    def facts(self, entity: str) -> Facts:
        return Facts(self.received[entity])

    def stages_active(self, entity: str, sourced_id: str) -> bool:
        offer = self.wanted[entity].get(sourced_id)
        return offer is not None and offer.status == "active"

    def staged_row(self, entity: str, sourced_id: str) -> Row:
        row = self.wanted[entity][sourced_id].row
        return replace(row, values=dict(row.values), bytes=None)

    def touches(self, entity: str) -> dict[str, Row]:
        """An undo has seen no source: what it leaves as it is keeps its dates and bytes."""
        return {}

    def successions(self) -> list[Succession]:
        return taken_back(self, self.undone)

    def problems(self) -> dict[tuple[str, str, str], int]:
        told = Counter({("UndoRecordGone", "warning", entity): n for entity, n in self.lost.items()})
        for entity in ENTITIES:
            for sourced_id in self.wanted[entity]:
                if (code := self._problem(entity, sourced_id)) is not None:
                    told[code, "warning" if self._forced(entity, sourced_id) else "error", entity] += 1
        return dict(told)

    def _problem(self, entity: str, sourced_id: str) -> str | None:
        """Why a record cannot simply be taken back."""
        offer, left = self.wanted[entity][sourced_id], self.left[entity][sourced_id]
        row = self.district.rows[entity].get(sourced_id)
        if row is None:
            # A record that was to go, and is gone, needs nothing.
            return "UndoRecordGone" if offer.status == "active" else None
        as_left = left is not None and (row.says, row.active) == (left.says, left.active)
        wanted = row.active and row.says == offer.row.says if offer.status == "active" else not row.active
        return None if not row.manual and (as_left or wanted) else "UndoConflict"

    def _forced(self, entity: str, sourced_id: str) -> bool:
        row = self.district.rows[entity].get(sourced_id)
        return self.overwrite and row is not None and not row.manual

    def settle_access(self, done: Effects) -> None:
        """Whom the undone merge had brought loses their access; an undo's undo gives back what that one took."""
        people = dict(done)["users"]
        brought = {
            e.sourced_id
            for e in self.district.log
            if (e.version, e.entity, e.action) == (self.undone, "users", "create")
        }
        for action, user, _ in people:
            held = self.district.access.get(user)
            if action == "undone" and user in brought and held is not None and not held.ended:
                held.ended, held.ended_by = True, self.name
        for user, held in self.district.access.items():
            if held.ended_by == self.undone_name and user in self.district.active("users"):
                held.ended, held.ended_by = False, None


def _changed(district: District, version: int) -> list[tuple[str, str]]:
    changed = {
        (e.entity, e.sourced_id) for e in district.log if e.version == version and e.action not in _WITH_THEIR_PERSON
    }
    return sorted(changed)


def _left(district: District, version: int, entity: str, sourced_id: str) -> Row | None:
    """A row as a version had left it: as the next change found it, or as it is."""
    later = [
        e.version for e in district.log if e.version > version and (e.entity, e.sourced_id) == (entity, sourced_id)
    ]
    rows: Rows = district.before(min(later)) if later else district.rows
    return deepcopy(rows[entity].get(sourced_id))


def _turned_round(old: Row | None, left: Row | None) -> Offer | None:
    """A record with its old values and status; one that was created goes, and keeps what it had."""
    row = deepcopy(old or left)
    if row is None:
        return None
    if old is not None and old.active:
        return Offer("active", row)
    return Offer("undone", replace(row, active=False, cause=row.cause or "undone"))
