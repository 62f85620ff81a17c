"""One tenant: its merged rows, what happened to them, and who may use the application. By hand and by merges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.model.pins import Pin, Pins
from tests.model.records import ENTITIES
from tests.model.successions import Done, Succession, part, standing, succeed, tell_apart


@dataclass
class Row:
    """A merged row. says: its content, as far as it decides whether something changed. `bytes`: what it was read from
    and how, where that may be recognised. changed: the version that changed it last."""

    values: dict[str, Any]
    active: bool = True
    manual: bool = False
    cause: str | None = None
    since: int | None = None  # the day on which it became inactive
    touched: int | None = None
    bytes: object = None
    says: object = None
    changed: int = 0
    person: str | None = None  # the id under which this person first came, where it was another one

    @property
    def synced(self) -> bool:
        return self.active and not self.manual


Rows = dict[str, dict[str, Row]]
Effects = tuple[tuple[str, tuple[tuple[str, str, object], ...]], ...]


@dataclass(frozen=True)
class Entry:
    """One line of the history."""

    version: int
    entity: str
    action: str
    sourced_id: str
    day: int
    about: str | None = None  # the person of whom it holds something


@dataclass
class Access:
    """What somebody may do. ended_by: the undo that took it, where one did."""

    permissions: tuple[str, ...]
    ended: bool = False
    ended_by: object = None


class Merging(Protocol):
    """A staged run, as far as a merge asks it."""

    def effects(self) -> Effects: ...
    def row(self, entity: str, sourced_id: str) -> Row: ...
    def touches(self, entity: str) -> Mapping[str, Row]: ...
    def settle_access(self, done: Effects) -> None: ...
    def successions(self) -> list[Succession]: ...
    def settle_pins(self) -> None: ...


@dataclass
class District:
    rows: Rows = field(default_factory=lambda: {entity: {} for entity in ENTITIES})
    version: int = 0
    past: list[Rows] = field(default_factory=list[Rows])  # the rows before each version
    log: list[Entry] = field(default_factory=list[Entry])
    access: dict[str, Access] = field(default_factory=dict[str, Access])
    pins: dict[tuple[str, str], dict[str, Pin]] = field(default_factory=dict[tuple[str, str], dict[str, Pin]])
    day: int = 0
    by_hand: list[int] = field(default_factory=list[int])  # the days of changes by hand that are remembered
    successions: list[Done] = field(default_factory=list[Done])
    # What people said of somebody who was added by hand and somebody of the SIS.
    decisions: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    counts: dict[int, Counter[str]] = field(default_factory=dict[int, Counter[str]])  # changed records, by version

    def pins_of(self, entity: str, sourced_id: str) -> Pins:
        return self.pins.get((entity, sourced_id), {})

    def active(self, entity: str) -> dict[str, Row]:
        return {i: row for i, row in self.rows[entity].items() if row.active}

    def synced(self, entity: str) -> dict[str, Row]:
        return {i: row for i, row in self.rows[entity].items() if row.synced}

    def before(self, version: int) -> Rows:
        """The rows that a version found."""
        return self.past[version - 1]

    def begin(self, *, by_hand: bool = True) -> None:
        """Another version."""
        self.past.append(deepcopy(self.rows))
        self.version += 1
        if by_hand:
            self.by_hand.append(self.day)

    def note(self, entity: str, action: str, sourced_id: str) -> None:
        """To be called before the row changes; of a new one nothing is kept."""
        old = self.rows[entity].get(sourced_id)
        about = sourced_id if entity in {"users", "demographics"} else None
        if entity == "enrollments" and old is not None:
            about = old.values["user_sourced_id"]
        self.log.append(Entry(self.version, entity, action, sourced_id, self.day, about))

    def deactivate(self, row: Row, cause: str | None) -> None:
        row.active, row.cause, row.since = False, cause, self.day

    # By hand.

    def add(self, user: str, values: dict[str, Any], classes: Mapping[str, str]) -> None:
        """A student by hand, with enrollments: their ids by class."""
        self.begin()
        self.note("users", "manualCreate", user)
        self.rows["users"][user] = Row(dict(values), manual=True)
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
        self.deactivate(self.rows["users"][user], None)
        self._leave(user, set())

    def classes_of(self, user: str) -> set[str]:
        rows = self.active("enrollments").values()
        return {row.values["class_sourced_id"] for row in rows if row.values["user_sourced_id"] == user}

    def _enrol(self, user: str, classes: Mapping[str, str]) -> None:
        for each, sourced_id in classes.items():
            school = self.rows["classes"][each].values["school_sourced_id"]
            self.note("enrollments", "manualCreate", sourced_id)
            self.rows["enrollments"][sourced_id] = Row(
                {
                    "user_sourced_id": user, "class_sourced_id": each, "school_sourced_id": school, "role": "student",
                    "begin_date": None, "end_date": None,
                },
                manual=True,
            )  # fmt: skip

    def _leave(self, user: str, kept: set[str]) -> None:
        for sourced_id, row in self.active("enrollments").items():
            mine = row.manual and row.values["user_sourced_id"] == user
            if mine and row.values["class_sourced_id"] not in kept:
                self.note("enrollments", "manualEnd", sourced_id)
                self.deactivate(row, None)

    def pin(self, entity: str, sourced_id: str, name: str, pin: Pin) -> None:
        """The value is there at once, and the row is another one from then on."""
        self.begin()
        self.note(entity, "manualUpdate", sourced_id)
        row = self.rows[entity][sourced_id]
        row.values[name], row.says, row.changed = pin.value, ("set", row.says, name, pin.value), self.version
        self.pins.setdefault((entity, sourced_id), {})[name] = pin

    def release(self, entity: str, sourced_id: str, name: str) -> None:
        """Nothing changes until a sync shows the record."""
        self.begin()
        self.note(entity, "unpin", sourced_id)
        self.pins[entity, sourced_id][name].released = True

    def accept(self, manual: str, other: str) -> None:
        """They are one person."""
        self.begin()
        self.decisions[manual, other] = "accepted"
        succeed(self, [Succession("users", manual, other, "link", None)])

    def refuse(self, manual: str, other: str) -> None:
        """They are two."""
        self.begin()
        self.decisions[manual, other] = "rejected"

    def take_back(self, manual: str, other: str) -> bool:
        """Part who was linked, and refuse them; or forget a refusal. Whether they were linked."""
        self.begin()
        linked = standing(self, manual, other)
        if linked is None:
            del self.decisions[manual, other]
            return False
        part(self, linked)
        self.decisions[manual, other] = "rejected"
        return True

    # By a merge.

    def merge(self, run: Merging) -> None:
        """Do what the run's plan says."""
        planned, succeeding = run.effects(), run.successions()
        # As the plan saw them: what one entity's changes do to ids must not show in the next one's rows.
        fresh = {
            (entity, i): run.row(entity, i) for entity, effects in planned for act, i, _ in effects if act in _BRINGING
        }
        self.begin(by_hand=False)
        self.counts[self.version] = Counter(
            {entity: sum(action not in _OF_LINKS for action, *_ in effects) for entity, effects in planned}
        )
        for entity, effects in planned:
            rows = self.rows[entity]
            for action, sourced_id, _ in effects:
                if action in {"newKey", *_OF_LINKS}:
                    continue
                self.note(entity, action, sourced_id)
                if action in _BRINGING:
                    person = rows[sourced_id].person if sourced_id in rows else None
                    rows[sourced_id] = fresh[entity, sourced_id]
                    rows[sourced_id].person = person
                    if action == "undone" and rows[sourced_id].since is None:
                        rows[sourced_id].since = self.day
                else:
                    self.deactivate(rows[sourced_id], action)
                rows[sourced_id].changed = self.version
            for sourced_id, new in run.touches(entity).items():
                rows[sourced_id].touched = new.touched
                rows[sourced_id].bytes = new.bytes if new.bytes is not None else rows[sourced_id].bytes
        self._succeed(succeeding)
        run.settle_pins()
        run.settle_access(planned)

    def _succeed(self, succeeding: list[Succession]) -> None:
        succeed(self, succeeding)
        for each in succeeding:
            if each.kind == "unlink" and (linked := standing(self, each.new, each.old)) is not None:
                part(self, linked)
        tell_apart(self)


_BRINGING = ("create", "update", "reactivate", "undone")
_OF_LINKS = ("link", "unlink")
