"""A pull: what was staged of what a source showed, and what follows from what it did not show."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.model.causes import REMOVALS
from tests.model.district import Row
from tests.model.plan import Facts, Offer, Run, Way
from tests.model.records import ENTITIES, REFERENCES, Listing, Scope, Shown, Values
from tests.model.successions import Succession, known_otherwise, proposed
from tests.model.terms import current


@dataclass
class Pull(Run):
    """`open` and `take` follow the pull entity by entity, `seal` ends it."""

    scope: Scope
    staged: dict[str, dict[str, Shown]] = field(default_factory=lambda: {e: {} for e in ENTITIES})
    errors: dict[str, set[str]] = field(default_factory=lambda: {e: set() for e in ENTITIES})
    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENTITIES, 0))
    nameless: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENTITIES, 0))
    left_out: dict[str, dict[str, bool]] = field(default_factory=lambda: {e: {} for e in ENTITIES})  # id → shown
    unseen: dict[str, set[object]] = field(default_factory=lambda: {e: set() for e in ENTITIES})  # bytes
    pulled: set[str] = field(default_factory=set[str])
    delta: set[str] = field(default_factory=set[str])
    unproved: set[str] = field(default_factory=set[str])
    _before: dict[str, dict[str, Row]] = field(default_factory=dict[str, dict[str, Row]])
    _aside: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _staying: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  # read, and not as deleted
    _shown: dict[str, set[str]] = field(default_factory=lambda: {e: set() for e in ENTITIES})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.began = self.district.version

    def open(self, entity: str) -> bool:
        """The moment from which on the pull compares with what was merged then. False if it came before."""
        if entity in self._before:
            return False
        self._before[entity] = deepcopy(self.district.synced(entity))
        # These are read again whatever their bytes say.
        self._aside[entity] = {i for of_entity, i in self.district.pins if of_entity == entity}
        return True

    def take(self, entity: str, listing: Listing) -> None:
        """What the source showed of an entity, to its end. Taken again, the last time counts."""
        self.pulled.add(entity)
        self.staged[entity], self.errors[entity], self.left_out[entity], self.nameless[entity] = {}, set(), {}, 0
        if listing.delta:
            self.delta.add(entity)
        before = self._before[entity]
        known = {row.bytes for row in before.values() if row.bytes is not None}
        recognised = known - {row.bytes for i, row in before.items() if i in self._aside[entity]}
        shown: dict[str, list[Shown]] = {}
        for each in listing.shown:
            if each.sourced_id is None:
                self.nameless[entity] += 1
            else:
                shown.setdefault(each.sourced_id, []).append(each)
        self._shown[entity] = set(shown)
        seen: set[object] = set()
        fresh: list[Shown] = []
        staying = self._staying[entity] = set[str]()
        for sourced_id, records in shown.items():
            for each in records:
                if (looks := self._bytes(entity, each)) in recognised:
                    seen.add(looks)
                elif each.spoilt:
                    self.errors[entity].add(sourced_id)
                else:
                    if not each.deleted and not self._out_by_itself(entity, each):
                        staying.add(sourced_id)
                    if len(records) == 1:
                        fresh.append(each)
            if len(records) > 1:
                self.errors[entity].add(sourced_id)
        for each in fresh:
            assert each.sourced_id is not None
            if self._out_by_itself(entity, each):
                self.left_out[entity][each.sourced_id] = True
                continue
            self.staged[entity][each.sourced_id] = each
            if not each.deleted and self._dangles(entity, each):
                self.errors[entity].add(each.sourced_id)
        if entity == "users" and listing.delta:
            self.errors[entity] |= self._known_otherwise(shown, seen)
        if entity == "academicSessions" and self.scope.current_terms:
            self._leave_out_sessions()
        if not listing.delta:
            self.unseen[entity] = known - seen
        self.received[entity] = len(shown) + self.nameless[entity]
        distinct = len(shown) == len(listing.shown)
        empty = not listing.delta and not shown and bool(before)
        if not distinct or len(shown) != listing.total or empty:
            self.unproved.add(entity)

    def _known_otherwise(self, shown: dict[str, list[Shown]], seen: set[object]) -> set[str]:
        """A delta does not show whether they are gone under another id, so they wait for a whole pull."""
        entity, rows = "users", self.district.rows["users"]
        read = [
            (i, each)
            for i, records in shown.items()
            for each in records
            if not each.spoilt and self._bytes(entity, each) not in seen and not self._out_by_itself(entity, each)
        ]
        new = [
            (i, Row(dict(each.values)))
            for i, each in read
            if not each.deleted and (i not in rows or not rows[i].active)
        ]
        again = {i for i, row in rows.items() if row.bytes is not None and row.bytes in seen}
        return known_otherwise(self.district.synced(entity), new, {i for i, _ in read} | again)

    def _may_have_moved(self, entity: str, vanished: list[str]) -> list[Values]:
        """A delta does not show what vanished: whatever it did not show as staying may have."""
        if entity not in self.delta:
            return super()._may_have_moved(entity, vanished)
        staying = self._staying[entity]
        return [row.values for i, row in self.district.synced(entity).items() if i not in staying]

    def seal(self) -> None:
        """What follows of the scope for records that were left alone."""
        if not self.scope.some:
            return
        for entity in ("orgs", "users", "classes", "enrollments"):
            self._fall(entity, lambda values, sourced_id, entity=entity: self._out(entity, sourced_id, values))
        if self.scope.enrolled_only:
            taking_part = {values["user_sourced_id"] for values in self._enrollments_afterwards()}
            self._fall("users", lambda values, i: values["role"] == "student" and i not in taking_part)
        self._fall("demographics", lambda _, sourced_id: sourced_id in self.left_out["users"])
        for entity in self.scope.untaken:
            for sourced_id in self.district.synced(entity):
                self.left_out[entity].setdefault(sourced_id, False)

    # What the plan asks.

    def valid(self, entity: str) -> list[str]:
        """Staged ids that a merge applies."""
        return [i for i in self.staged[entity] if i not in self.errors[entity] and i not in self.left_out[entity]]

    def staged_row(self, entity: str, sourced_id: str) -> Row:
        shown = self.staged[entity][sourced_id]
        looks = None if shown.secret else self._bytes(entity, shown)
        return Row(dict(shown.values), touched=shown.touched, bytes=looks, says=shown.values)

    def offers(self, entity: str) -> dict[str, Offer]:
        return {
            i: Offer("tobedeleted" if self.staged[entity][i].deleted else "active", self.staged_row(entity, i))
            for i in self.valid(entity)
        }

    def settle_pins(self) -> None:
        """Pins that hold no more go once the source's value was taken. Without others the row is as the source's."""
        for (entity, sourced_id), pins in list(self.district.pins.items()):
            offer, row = self.offers(entity).get(sourced_id), self.district.rows[entity].get(sourced_id)
            if offer is None or offer.status != "active":
                continue
            kept = {name: pin for name, pin in pins.items() if pin.holds(self.day)}
            if not kept and row is not None and row.active:
                row.says = offer.row.says
            self.district.pins[entity, sourced_id] = kept
            if not kept:
                del self.district.pins[entity, sourced_id]

    def losses(self, entity: str) -> list[Way]:
        found: list[Way] = []
        for sourced_id, row in self.district.synced(entity).items():
            if sourced_id in self.errors[entity]:
                continue
            if sourced_id in self.left_out[entity]:
                found.append(("outOfScope", sourced_id, None))
            elif self._vanishes(entity, sourced_id, row):
                found.append(("vanished", sourced_id, None))
        return found

    def successions(self) -> list[Succession]:
        return proposed(self)

    def facts(self, entity: str) -> Facts:
        shown_out = {i for i, shown in self.left_out[entity].items() if shown} - self.errors[entity]
        return Facts(self.received[entity], len(self.errors[entity]) + self.nameless[entity], len(shown_out))

    @property
    def complete(self) -> bool:
        return not self.unproved

    @property
    def may_remove(self) -> bool:
        return self.complete

    def stages_active(self, entity: str, sourced_id: str) -> bool:
        shown = self.staged[entity].get(sourced_id)
        return shown is not None and not shown.deleted

    def _vanishes(self, entity: str, sourced_id: str, row: Row) -> bool:
        """It was merged when the pull began, just so, and the pull did not show it."""
        if entity not in self.pulled or entity in self.delta or sourced_id in self.staged[entity]:
            return False
        if row.bytes is None:
            return row.changed <= self.began and sourced_id not in self._shown[entity]
        return row.bytes in self.unseen[entity]

    def _bytes(self, entity: str, shown: Shown) -> object:
        return (entity, shown, self.scope.reading(entity))

    def _dangles(self, entity: str, shown: Shown) -> bool:
        """One of the references that it needs leads nowhere."""
        for name, target, required in REFERENCES[entity]:
            if target in self.scope.untaken or not required:
                continue
            value = shown.get(name)
            ids = value if isinstance(value, (list, tuple)) else [value]
            if ids and not any(self._resolves(target, i) for i in ids):
                return True
        return False

    def _resolves(self, entity: str, sourced_id: str) -> bool:
        staged = sourced_id in self.staged[entity] and sourced_id not in self.errors[entity]
        return staged or sourced_id in self.left_out[entity] or sourced_id in self.district.active(entity)

    # Scope.

    def _leave_out_sessions(self) -> None:
        """Which school year is under way all sessions together tell, as they will be after the merge."""
        entity = "academicSessions"
        merged = {i: row.values for i, row in self.district.synced(entity).items() if i not in self.staged[entity]}
        staged = {i: dict(each.values) for i, each in self.staged[entity].items() if not each.deleted}
        known = merged | staged
        taken = current(known, self.today.isoformat())
        self._fall(entity, lambda _, sourced_id: sourced_id not in taken)

    def _out_by_itself(self, entity: str, shown: Shown) -> bool:
        if not self.scope.judges(entity):
            return False
        values = dict(shown.values)
        unwanted = entity == "users" and bool(self.scope.roles) and values["role"] not in self.scope.roles
        return unwanted or self._out(entity, str(shown.sourced_id), values)

    def _out(self, entity: str, sourced_id: str, values: Values) -> bool:
        """By the schools that are taken, and by what it refers to. A row that was not shown is not asked for roles."""
        out = self.left_out
        if entity == "orgs":
            return bool(self.scope.schools) and values["type"] == "school" and sourced_id not in self.scope.schools
        if entity == "users":
            orgs = values["org_sourced_ids"]
            return self.scope.schools.isdisjoint(orgs) and any(org in out["orgs"] for org in orgs)
        if entity == "classes":
            terms = values["term_sourced_ids"]
            over = bool(terms) and all(term in out["academicSessions"] for term in terms)
            return over or values["school_sourced_id"] in out["orgs"]
        if entity == "demographics":
            return sourced_id in out["users"]
        return (
            values["class_sourced_id"] in out["classes"]
            or values["user_sourced_id"] in out["users"]
            or values["school_sourced_id"] in out["orgs"]
        )

    def _fall(self, entity: str, is_out: Any) -> None:
        """Records that will be there after the merge and are out: staged ones, and rows that were left alone."""
        fallen: dict[str, bool] = {}
        for sourced_id in self.valid(entity):
            shown = self.staged[entity][sourced_id]
            if not shown.deleted and is_out(dict(shown.values), sourced_id):
                fallen[sourced_id] = True
        for sourced_id, row in self.district.synced(entity).items():
            alone = sourced_id not in self.staged[entity] and sourced_id not in self.errors[entity]
            if alone and sourced_id not in self.left_out[entity] and is_out(row.values, sourced_id):
                # What a delta shows again unchanged is not told apart from what it does not show.
                fallen[sourced_id] = sourced_id in self._shown[entity] and entity not in self.delta
        self.left_out[entity] |= fallen

    def _enrollments_afterwards(self) -> list[Values]:
        entity = "enrollments"
        effects = {i: action for action, i, _ in self.ways(entity) if self.may_remove or action not in REMOVALS}
        found: list[Values] = [
            row.values for i, row in self.district.active(entity).items()
            if effects.get(i) not in {"outOfScope", "tobedeleted", "vanished", "update"}
        ]  # fmt: skip
        added = [i for i, action in effects.items() if action in {"create", "update", "reactivate"}]
        return found + [dict(self.staged[entity][i].values) for i in added]
