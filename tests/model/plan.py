"""What a merge of a staged run would do now, whatever the run was staged from: a source, or the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.model.alike import alike
from tests.model.causes import REMOVALS, causes
from tests.model.district import District, Effects, Row
from tests.model.pins import Pins, holding, laid_over
from tests.model.records import ENTITIES, Values
from tests.model.successions import Succession

ACTIONS = (
    "create", "update", "reactivate", "tobedeleted", "vanished", "outOfScope", "schoolClosed", "concluded", "undone",
)  # fmt: skip
# Those removals that limits are about.
COUNTING = ("tobedeleted", "vanished", "outOfScope", "schoolClosed", "undone")
Way = tuple[str, str, object]  # action, id, the content that it brings


@dataclass(frozen=True)
class Offer:
    """A record that was staged and can be taken. status: active, tobedeleted or undone."""

    status: str
    row: Row


@dataclass
class Plan:
    """effects: per entity (action, id, content), in order; of them follows the digest."""

    effects: Effects
    entities: dict[str, dict[str, int]]
    complete: bool
    base_version: int
    issues: dict[tuple[str, str, str], int]  # (code, severity, entity) → records


@dataclass
class Facts:
    """What was read of an entity. invalid: records that cannot be taken. left_out: shown, and out of scope."""

    received: int = 0
    invalid: int = 0
    left_out: int = 0


@dataclass
class Run:
    """A staged run. What it is staged from says what it offers and what is lost."""

    district: District

    def __post_init__(self) -> None:
        self.day = self.district.day  # by the day on which it began it judges pins, and what has ended
        self.hold = False

    # Of each kind of run.

    def offers(self, entity: str) -> Mapping[str, Offer]:
        raise NotImplementedError

    def staged_row(self, entity: str, sourced_id: str) -> Row:
        """A staged record as a row of its own, as the source or the history has it."""
        raise NotImplementedError

    def losses(self, entity: str) -> list[Way]:
        """Merged rows that go though nothing was staged under their id."""
        raise NotImplementedError

    def facts(self, entity: str) -> Facts:
        raise NotImplementedError

    def stages_active(self, entity: str, sourced_id: str) -> bool:
        """Whether it staged the record as one that is there, fit to be taken or not."""
        raise NotImplementedError

    def settle_pins(self) -> None:
        """What a merge does to pins that hold no more."""

    def settle_access(self, done: Effects) -> None:
        """What a merge does to access, once it has done this."""

    def successions(self) -> list[Succession]:
        """Ids that a merge would have succeed others."""
        return []

    def problems(self) -> dict[tuple[str, str, str], int]:
        return {}

    @property
    def complete(self) -> bool:
        """Whether everything was read that there is to read."""
        return True

    @property
    def may_remove(self) -> bool:
        """Whether what was not shown, or was marked, may go."""
        return True

    # Of all.

    def row(self, entity: str, sourced_id: str) -> Row:
        """The row that a staged record becomes."""
        return self._laid_over(entity, sourced_id, self.staged_row(entity, sourced_id))

    def _laid_over(self, entity: str, sourced_id: str, row: Row) -> Row:
        merged = self.district.rows[entity].get(sourced_id)
        return laid_over(row, merged, self._pins_of(entity, sourced_id), self.day)

    def _pins_of(self, entity: str, sourced_id: str) -> Pins:
        """A record's pins, and those of the one that it succeeds."""
        before = [
            each.old
            for each in self.successions()
            if (each.entity, each.new) == (entity, sourced_id) and each.kind != "unlink"
        ]
        return {name: pin for i in (*before, sourced_id) for name, pin in self.district.pins_of(entity, i).items()}

    def touches(self, entity: str) -> dict[str, Row]:
        """Rows that stay as they are, but for when and in which bytes they were shown last."""
        rows = self.district.rows[entity]
        return {
            i: offer.row
            for i, offer in self.offers(entity).items()
            if offer.status == "active" and i in rows and rows[i].synced
        }

    def ways(self, entity: str) -> list[Way]:
        rows, found = self.district.rows[entity], list[Way]()
        for sourced_id, offer in self.offers(entity).items():
            row, says = rows.get(sourced_id), self._laid_over(entity, sourced_id, offer.row).says
            if offer.status == "active":
                if row is None or not row.active:
                    found.append(("create" if row is None else "reactivate", sourced_id, says))
                elif row.says != says:
                    found.append(("update", sourced_id, says))
            elif row is not None and row.synced:
                found.append((offer.status, sourced_id, says if offer.status == "undone" else None))
        return found + self.losses(entity)

    def _followed(self, succeeding: list[Succession], done: list[tuple[str, str, str, object]]) -> int:
        """Enrollments that differ in nothing but the person's id, and that is the new one of the same person."""
        now = {each.old: each.new for each in succeeding if each.entity == "users"}
        count = 0
        for action, _, i, _ in done:
            if action == "update":
                old, new = self.district.rows["enrollments"][i].values, self.row("enrollments", i).values
                user = now.get(old["user_sourced_id"])
                count += user is not None and old | {"user_sourced_id": user} == new
        return count

    def _rekeyed(self, entity: str, named: list[tuple[str, str, str, object]]) -> int:
        """Records that vanish, under whatever name, and have a namesake among the new ones."""
        going = self._may_have_moved(entity, [i for _, way, i, _ in named if way == "vanished"])
        coming = [self.row(entity, i).values for _, way, i, _ in named if way == "create"]
        return alike(entity, going, coming)

    def _may_have_moved(self, entity: str, vanished: list[str]) -> list[Values]:
        return [self.district.rows[entity][i].values for i in vanished]

    def _pinned(self, entity: str) -> int:
        """Records of which the source says something else than a pin."""
        return sum(
            any(offer.row.values[name] != value for name, value in pinned.items())
            for i, offer in self.offers(entity).items()
            if offer.status == "active" and (pinned := holding(self._pins_of(entity, i), self.day))
        )

    @property
    def today(self) -> date:
        """The day on which it began, as the days that have passed since make it."""
        return datetime.now(UTC).date() - timedelta(days=self.district.day - self.day)

    def holds_removals(self, percent: int, floor: int) -> None:
        """Removals wait for a later run, if of any entity more would go than this. Decided once, by the first plan."""
        for count in self.plan().entities.values():
            lost = sum(count[_COUNTS.get(action, action)] for action in COUNTING)
            self.hold |= lost > floor and lost * 100 > percent * count["active"]

    def effects(self) -> Effects:
        return self.plan().effects

    def plan(self) -> Plan:
        effects: list[tuple[str, tuple[Way, ...]]] = []
        entities: dict[str, dict[str, int]] = {}
        named_by = causes(self, self.today)
        succeeding = self.successions()
        for entity in ENTITIES:
            pairs = {each.old: each for each in succeeding if each.entity == entity}
            # Who has another id from then on does not go.
            moved = {each.old for each in pairs.values() if each.kind == "newKey"}
            ways = [each for each in self.ways(entity) if each[0] not in _MOVING or each[1] not in moved]
            ways += [(each.kind, each.old, each.new) for each in pairs.values()]
            every = sorted(ways, key=lambda each: each[1].encode())
            kept = [each for each in every if self.may_remove or each[0] not in REMOVALS]
            named = [
                (named_by.of(entity, way, i) if way in _GOING else way, way, i, content) for way, i, content in kept
            ]
            held = [each for each in named if self.hold and each[0] in COUNTING]
            done = [each for each in named if each not in held]
            effects.append((entity, tuple((action, i, content) for action, _, i, content in done)))
            facts, count = self.facts(entity), Counter(action for action, *_ in done)
            answered = sum(way not in _OF_NO_RECORD for _, way, *_ in done)
            offers = self.offers(entity)
            answered += sum(i in offers and offers[i].status != "active" for i in moved)
            arrivals = Counter(each.arrival for each in pairs.values())
            followed = self._followed(succeeding, done) if entity == "enrollments" else 0
            entities[entity] = {
                "received": facts.received,
                **{_COUNTS.get(action, action): count[action] for action in ACTIONS},
                "arrived": arrivals["create"],
                "returned": arrivals["reactivate"],
                "followed": followed,
                "create": count["create"] - arrivals["create"],
                "reactivate": count["reactivate"] - arrivals["reactivate"],
                "update": count["update"] - followed,
                "linked": count["link"],
                "unlinked": count["unlink"],
                "new_key": count["newKey"],
                "left_out": facts.left_out,
                "unchanged": facts.received - facts.invalid - facts.left_out - answered,
                "invalid": facts.invalid,
                "withheld": len(every) - len(kept),
                "held": len(held),
                "rekeyed": self._rekeyed(entity, named) if count["create"] else 0,
                "pinned": self._pinned(entity),
                "active": len(self.district.active(entity)),
            }
        return Plan(tuple(effects), entities, self.complete, self.district.version, self.problems())


_MOVING = ("vanished", "tobedeleted", "undone")
_OF_NO_RECORD = ("vanished", "outOfScope", "link", "unlink", "newKey")
_GOING = ("tobedeleted", "vanished", "outOfScope", "undone")
_COUNTS = {"outOfScope": "out_of_scope", "schoolClosed": "school_closed"}
