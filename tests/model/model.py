"""What the store must do, in dictionaries. Written from docs/decisions and docs/how-to; knows no SQL, no hash.

A district is rows by entity and sourcedId. A pull shows records; what it stages is fixed from then on. A plan is what
the staged records would do to the rows as they are now, so it is computed anew at every question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

ENTITIES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics")
REMOVALS = ("tobedeleted", "vanished")
Values = Mapping[str, Any]

# (field, what it refers to, whether the record means nothing without it). A list is good if one of it is.
REFERENCES: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "orgs": (),
    "academicSessions": (),
    "courses": (("org_sourced_id", "orgs", False),),
    "classes": (
        ("course_sourced_id", "courses", True),
        ("school_sourced_id", "orgs", True),
        ("term_sourced_ids", "academicSessions", True),
    ),
    "users": (("org_sourced_ids", "orgs", True),),
    "enrollments": (
        ("user_sourced_id", "users", True),
        ("class_sourced_id", "classes", True),
        ("school_sourced_id", "orgs", True),
    ),
    "demographics": (("sourced_id", "users", True),),
}


@dataclass(frozen=True)
class Shown:
    """One record as a source shows it. touched: its dateLastModified. spoilt: it cannot be read as a record."""

    sourced_id: str | None
    values: tuple[tuple[str, Any], ...]
    touched: int = 0
    deleted: bool = False
    spoilt: bool = False
    secret: bool = False  # it holds a password, so its bytes are never recognised again

    def get(self, name: str) -> Any:
        return self.sourced_id if name == "sourced_id" else dict(self.values)[name]


@dataclass(frozen=True)
class Listing:
    """What a source shows of an entity, and how many it says there are."""

    shown: tuple[Shown, ...]
    total: int
    delta: bool = False


@dataclass(frozen=True)
class Scope:
    """What is taken. Nothing named: everything."""

    schools: frozenset[str] = frozenset()
    enrolled_only: bool = False
    untaken: frozenset[str] = frozenset()

    @property
    def some(self) -> bool:
        return bool(self.schools or self.enrolled_only or self.untaken)

    def reading(self, entity: str) -> object:
        """Settings under which the same bytes are another record."""
        return tuple(sorted(self.schools)) if entity in {"orgs", "users"} else ()


@dataclass
class Row:
    """A merged row. `bytes`: what it was read from and how, where that may be recognised."""

    values: dict[str, Any]
    active: bool = True
    manual: bool = False
    cause: str | None = None
    touched: int | None = None
    bytes: object = None

    @property
    def synced(self) -> bool:
        return self.active and not self.manual


Rows = dict[str, dict[str, Row]]
Effects = tuple[tuple[str, tuple[tuple[str, str, object], ...]], ...]


@dataclass
class Plan:
    """What a merge would do. effects: per entity (action, id, content), in order; of them follows the digest."""

    effects: Effects
    entities: dict[str, dict[str, int]]
    complete: bool
    base_version: int


@dataclass
class Access:
    """What somebody may do; `ended` by whom."""

    permissions: tuple[str, ...]
    ended: bool = False


class District:
    """One tenant: rows, history and access."""

    def __init__(self) -> None:
        self.rows: Rows = {entity: {} for entity in ENTITIES}
        self.version = 0
        self.past: list[Rows] = []  # the rows before each version
        self.log: list[tuple[int, str, str, str]] = []  # version, entity, action, id
        self.access: dict[str, Access] = {}

    def active(self, entity: str) -> dict[str, Row]:
        return {i: row for i, row in self.rows[entity].items() if row.active}

    def synced(self, entity: str) -> dict[str, Row]:
        return {i: row for i, row in self.rows[entity].items() if row.synced}

    def begin(self) -> None:
        """Another version."""
        self.past.append(deepcopy(self.rows))
        self.version += 1

    def note(self, entity: str, action: str, sourced_id: str) -> None:
        self.log.append((self.version, entity, action, sourced_id))

    # By hand.

    def add(self, user: str, values: dict[str, Any], classes: Mapping[str, str]) -> None:
        """A student by hand, with enrollments: their ids by class."""
        self.begin()
        self.rows["users"][user] = Row(dict(values), manual=True)
        self.note("users", "manualCreate", user)
        self._enrol(user, classes)

    def edit(self, user: str, values: dict[str, Any], kept: Iterable[str], classes: Mapping[str, str]) -> None:
        self.begin()
        self.note("users", "manualUpdate", user)
        self.rows["users"][user].values = dict(values)
        self._leave(user, set(kept))
        self._enrol(user, classes)

    def end(self, user: str) -> None:
        self.begin()
        self.note("users", "manualEnd", user)
        self.rows["users"][user].active = False
        self._leave(user, set())

    def classes_of(self, user: str) -> set[str]:
        rows = self.active("enrollments").values()
        return {row.values["class_sourced_id"] for row in rows if row.values["user_sourced_id"] == user}

    def _enrol(self, user: str, classes: Mapping[str, str]) -> None:
        for each, sourced_id in classes.items():
            school = self.rows["classes"][each].values["school_sourced_id"]
            self.rows["enrollments"][sourced_id] = Row(
                {
                    "user_sourced_id": user, "class_sourced_id": each, "school_sourced_id": school, "role": "student",
                    "begin_date": None,
                },
                manual=True,
            )  # fmt: skip
            self.note("enrollments", "manualCreate", sourced_id)

    def _leave(self, user: str, kept: set[str]) -> None:
        for sourced_id, row in self.active("enrollments").items():
            mine = row.manual and row.values["user_sourced_id"] == user
            if mine and row.values["class_sourced_id"] not in kept:
                self.note("enrollments", "manualEnd", sourced_id)
                row.active = False

    # By a sync.

    def merge(self, pull: Pull) -> Plan:
        """Do what the plan says."""
        plan = pull.plan()
        self.begin()
        for entity, effects in plan.effects:
            rows = self.rows[entity]
            for action, sourced_id, _ in effects:
                self.note(entity, action, sourced_id)
                if action in {"create", "update", "reactivate"}:
                    rows[sourced_id] = pull.row(entity, sourced_id)
                else:
                    rows[sourced_id].active, rows[sourced_id].cause = False, action
            for sourced_id in pull.valid(entity):
                row = rows.get(sourced_id)
                if row is not None and row.synced and not pull.staged[entity][sourced_id].deleted:
                    new = pull.row(entity, sourced_id)
                    row.touched, row.bytes = new.touched, new.bytes
        return plan


@dataclass
class Pull:
    """One run's staged records. `open` and `take` follow the pull entity by entity, `seal` ends it."""

    district: District
    scope: Scope
    staged: dict[str, dict[str, Shown]] = field(default_factory=lambda: {e: {} for e in ENTITIES})
    errors: dict[str, set[str]] = field(default_factory=lambda: {e: set() for e in ENTITIES})
    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENTITIES, 0))
    nameless: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENTITIES, 0))
    left_out: dict[str, dict[str, bool]] = field(default_factory=lambda: {e: {} for e in ENTITIES})  # id → shown
    unseen: dict[str, set[object]] = field(default_factory=lambda: {e: set() for e in ENTITIES})  # bytes
    unseen_ids: dict[str, set[str]] = field(default_factory=lambda: {e: set() for e in ENTITIES})  # rows without any
    pulled: set[str] = field(default_factory=set[str])
    delta: set[str] = field(default_factory=set[str])
    unproved: set[str] = field(default_factory=set[str])
    _before: dict[str, dict[str, Row]] = field(default_factory=dict[str, dict[str, Row]])
    _shown: dict[str, set[str]] = field(default_factory=lambda: {e: set() for e in ENTITIES})

    def open(self, entity: str) -> bool:
        """The moment from which on the pull compares with what was merged then. False if it came before."""
        if entity in self._before:
            return False
        self._before[entity] = deepcopy(self.district.synced(entity))
        return True

    def take(self, entity: str, listing: Listing) -> None:
        """What the source showed of an entity, to its end. Taken again, the last time counts."""
        self.pulled.add(entity)
        self.staged[entity], self.errors[entity], self.left_out[entity], self.nameless[entity] = {}, set(), {}, 0
        if listing.delta:
            self.delta.add(entity)
        before = self._before[entity]
        known = {row.bytes for row in before.values() if row.bytes is not None}
        shown: dict[str, list[Shown]] = {}
        for each in listing.shown:
            if each.sourced_id is None:
                self.nameless[entity] += 1
            else:
                shown.setdefault(each.sourced_id, []).append(each)
        self._shown[entity] = set(shown)
        seen: set[object] = set()
        fresh: list[Shown] = []
        for sourced_id, records in shown.items():
            for each in records:
                if (looks := self._bytes(entity, each)) in known:
                    seen.add(looks)
                elif each.spoilt:
                    self.errors[entity].add(sourced_id)
                elif len(records) == 1:
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
        if not listing.delta:
            self.unseen[entity] = known - seen
            self.unseen_ids[entity] = {i for i, row in before.items() if row.bytes is None} - set(shown)
        self.received[entity] = len(shown) + self.nameless[entity]
        distinct = len(shown) == len(listing.shown)
        empty = not listing.delta and not shown and bool(before)
        if not distinct or len(shown) != listing.total or empty:
            self.unproved.add(entity)

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

    def valid(self, entity: str) -> list[str]:
        """Staged ids that a merge applies."""
        return [i for i in self.staged[entity] if i not in self.errors[entity] and i not in self.left_out[entity]]

    def row(self, entity: str, sourced_id: str) -> Row:
        """A staged record as a row."""
        shown = self.staged[entity][sourced_id]
        looks = None if shown.secret else self._bytes(entity, shown)
        return Row(dict(shown.values), touched=shown.touched, bytes=looks)

    @property
    def may_remove(self) -> bool:
        """Whether it proved to have seen everything."""
        return not self.unproved

    def plan(self) -> Plan:
        """What a merge would do now."""
        effects: list[tuple[str, tuple[tuple[str, str, object], ...]]] = []
        entities: dict[str, dict[str, int]] = {}
        closed = self._closed()
        for entity in ENTITIES:
            every = sorted(self._ways(entity), key=lambda each: each[1].encode())
            kept = [each for each in every if self.may_remove or each[0] not in REMOVALS]
            named = [(self._cause(entity, way, i, closed), i, values) for way, i, values in kept]
            effects.append((entity, tuple(named)))
            count = {action: sum(each[0] == action for each in named) for action in ACTIONS}
            shown_out = {i for i, shown in self.left_out[entity].items() if shown} - self.errors[entity]
            invalid = len(self.errors[entity]) + self.nameless[entity]
            touched = sum(way in {"create", "update", "reactivate", "tobedeleted"} for way, _, _ in kept)
            entities[entity] = {
                "received": self.received[entity],
                **{a: count[a] for a in ("create", "update", "reactivate", "tobedeleted", "vanished")},
                "out_of_scope": count["outOfScope"],
                "school_closed": count["schoolClosed"],
                "left_out": len(shown_out),
                "unchanged": self.received[entity] - invalid - len(shown_out) - touched,
                "invalid": invalid,
                "withheld": len(every) - len(kept),
                "active": len(self.district.active(entity)),
            }
        return Plan(tuple(effects), entities, not self.unproved, self.district.version)

    def _closed(self) -> set[str]:
        """Schools that are not there after a merge."""
        rows = self.district.rows["orgs"]
        stay = {i for i in self.valid("orgs") if not self.staged["orgs"][i].deleted}
        going = {i for way, i, _ in self._ways("orgs") if way in REMOVALS and self.may_remove}
        before = {i for i, row in rows.items() if not row.active} - stay
        return {i for i in going | before if rows[i].values["type"] == "school"}

    def _cause(self, entity: str, way: str, sourced_id: str, closed: set[str]) -> str:
        """What goes with its school is named so; a person goes with the first school that they name."""
        if way not in REMOVALS or entity in {"orgs", "academicSessions"}:
            return way
        values = self.district.rows[entity][sourced_id].values
        if entity in {"users", "demographics"}:
            user = self.district.rows["users"].get(sourced_id)
            shown = self.staged["users"].get(sourced_id)
            stays = entity == "demographics" and shown is not None and not shown.deleted
            school = None if user is None or stays else user.values["org_sourced_ids"][0]
        else:
            school = values["org_sourced_id" if entity == "courses" else "school_sourced_id"]
        return "schoolClosed" if school in closed else way

    def _ways(self, entity: str) -> list[tuple[str, str, object]]:
        rows, found = self.district.rows[entity], list[tuple[str, str, object]]()
        for sourced_id in self.valid(entity):
            shown, row = self.staged[entity][sourced_id], rows.get(sourced_id)
            if shown.deleted:
                if row is not None and row.synced:
                    found.append(("tobedeleted", sourced_id, None))
            elif row is None or not row.active:
                found.append(("create" if row is None else "reactivate", sourced_id, shown.values))
            elif row.values != dict(shown.values):
                found.append(("update", sourced_id, shown.values))
        for sourced_id, row in self.district.synced(entity).items():
            if sourced_id in self.errors[entity]:
                continue
            if sourced_id in self.left_out[entity]:
                found.append(("outOfScope", sourced_id, None))
            elif self._vanishes(entity, sourced_id, row):
                found.append(("vanished", sourced_id, None))
        return found

    def _vanishes(self, entity: str, sourced_id: str, row: Row) -> bool:
        """It was merged when the pull began, just so, and the pull did not show it."""
        if entity not in self.pulled or entity in self.delta or sourced_id in self.staged[entity]:
            return False
        return sourced_id in self.unseen_ids[entity] if row.bytes is None else row.bytes in self.unseen[entity]

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

    def _out_by_itself(self, entity: str, shown: Shown) -> bool:
        if entity == "demographics":
            return bool(self.scope.schools) and shown.sourced_id in self.left_out["users"]
        if not self.scope.schools or entity not in {"orgs", "users", "classes", "enrollments"}:
            return False
        return self._out(entity, str(shown.sourced_id), dict(shown.values))

    def _out(self, entity: str, sourced_id: str, values: Values) -> bool:
        out = self.left_out
        if entity == "orgs":
            return bool(self.scope.schools) and values["type"] == "school" and sourced_id not in self.scope.schools
        if entity == "users":
            orgs = values["org_sourced_ids"]
            return self.scope.schools.isdisjoint(orgs) and any(org in out["orgs"] for org in orgs)
        if entity == "classes":
            return values["school_sourced_id"] in out["orgs"]
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
        effects = {i: action for action, i, _ in self._ways(entity) if self.may_remove or action not in REMOVALS}
        found: list[Values] = [
            row.values for i, row in self.district.active(entity).items()
            if effects.get(i) not in {"outOfScope", "tobedeleted", "vanished", "update"}
        ]  # fmt: skip
        added = [i for i, action in effects.items() if action in {"create", "update", "reactivate"}]
        return found + [dict(self.staged[entity][i].values) for i in added]


ACTIONS = ("create", "update", "reactivate", "tobedeleted", "vanished", "outOfScope", "schoolClosed")
