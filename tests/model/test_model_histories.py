"""Random histories of one district: the store does what the model says, after every step."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    run_state_machine_as_test,
)
from hypothesis.stateful import rule as hypothesis_rule
from tests.model.beside import Beside, Killed, Waiting
from tests.model.district import Access
from tests.model.forgetting import OVERDUE
from tests.model.matches import decided, may_match
from tests.model.records import ENTITIES, Listing, Scope, Shown
from tests.model.small import IDENTIFIERS, IDS, NAMES, PINNED, SCHOOLS, SPARE, record
from tests.model.successions import standing
from tests.store.fixtures import Roster, run_name

from roster_operator.store import access, manual, matches
from roster_operator.store.errors import AlreadyStagedError, FencedError, StoreError

pytestmark = pytest.mark.store
_numbers = count(1)
CHANGES = ("put", "put", "put", "touch", "drop", "mark", "spoil", "secret", "double", "nameless")


def rule(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule that counts how often it was taken, also by another one."""

    def decorate(step: Callable[..., None]) -> Any:
        @wraps(step)
        def counted(self: Histories, **given: Any) -> None:
            step(self, **given)
            self.done[step.__name__] += 1

        return hypothesis_rule(**drawn)(counted)

    return decorate


class Histories(RuleBasedStateMachine):
    """One district from its first pull on."""

    roster: Roster
    done: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.done["histories"] += 1
        self.here = Beside(self.roster, f"model{next(_numbers)}")
        self.sis: dict[str, dict[str, Shown]] = {entity: {} for entity in ENTITIES}
        self.extra: dict[str, list[Shown]] = {entity: [] for entity in ENTITIES}  # doubles, and records without an id
        self.waiting: list[Waiting] = []
        self.clock = 0
        self.scope = Scope()

    def teardown(self) -> None:
        self.done["merges"] += len(self.here.merged)
        self.done["ids that moved"] += len(self.here.district.successions)
        for each in self.waiting:
            with suppress(StoreError):
                self.here.discard(each)
        self.here.close()

    @initialize(seed=st.integers(0, 3), pick=st.data(), merged=st.sampled_from([True, True, True, False]))
    def begin(self, seed: int, pick: st.DataObject, merged: bool) -> None:
        for entity, ids in IDS.items():
            for sourced_id in ids:
                self.sis[entity][sourced_id] = record(entity, sourced_id, seed)
        if merged:
            self.sync(pick=pick, many=0)
            if pick.draw(st.booleans(), label="added"):
                self.add_student(pick=pick)

    # The SIS gives people other ids.

    @rule(pick=st.data())
    def rekey(self, pick: st.DataObject) -> None:
        """All people or some come under other ids, perhaps former ones. What names them follows, perhaps under others,
        and the old records may still be shown as deleted."""
        people = self.sis["users"]
        moving = [i for i in sorted(people) if not people[i].deleted]
        if not pick.draw(st.booleans(), label="all"):
            moving = [i for i in moving if pick.draw(st.booleans(), label=i)]
        free = [i for i in (*SPARE, *IDS["users"]) if i not in people]
        now = dict(zip(moving, free, strict=False))
        marks, others = pick.draw(st.booleans(), label="marked"), pick.draw(st.booleans(), label="other enrollments")
        for old, new in now.items():
            for entity in ("users", "demographics"):
                self._moved(entity, old, new, marks=marks)
        free = [f"enrollments-{n}" for n in range(12) if f"enrollments-{n}" not in self.sis["enrollments"]]
        for sourced_id, shown in sorted(self.sis["enrollments"].items()):
            user = shown.get("user_sourced_id")
            if user not in now:
                continue
            values = dict(shown.values) | {"user_sourced_id": now[user]}
            self.clock += 1
            moved = replace(shown, values=tuple(values.items()), touched=self.clock)
            new = free.pop() if others and free else sourced_id
            self.sis["enrollments"][sourced_id] = moved
            if new != sourced_id:
                self.sis["enrollments"][sourced_id] = shown
                self._moved("enrollments", sourced_id, new, marks=marks)
                self.sis["enrollments"][new] = replace(moved, sourced_id=new)
        self.done["re-keyed people"] += len(now)

    @precondition(lambda self: len(self.waiting) < 3)
    @rule(pick=st.data())
    def rekey_and_sync(self, pick: st.DataObject) -> None:
        self.rekey(pick=pick)
        self.sync(pick=pick, many=pick.draw(st.sampled_from([0, 0, 1]), label="many"))

    @precondition(lambda self: self.here.merged and len(self.waiting) < 3)
    @rule(pick=st.data(), overwrite=st.booleans())
    def take_back_what_moved(self, pick: st.DataObject, overwrite: bool) -> None:
        """The newest merge that gave people other ids, or else the newest of all."""
        moved = {done.version for done in self.here.district.successions} & set(self.here.merged)
        version = max(moved or self.here.merged)
        staged = self.here.undo(replace(run_name(), mode="Undo"), version, overwrite=overwrite)
        if staged is not None:
            assert self.here.merge(staged, staged.digests[-1])
            self.done["merges undone that had moved ids"] += version in moved

    def _moved(self, entity: str, old: str, new: str, *, marks: bool) -> None:
        shown = self.sis[entity].pop(old, None)
        if shown is None:
            return
        self.clock += 1
        self.sis[entity][new] = replace(shown, sourced_id=new, touched=self.clock)
        if marks:
            self.sis[entity][old] = replace(shown, deleted=True, touched=self.clock)

    # The world changes.

    @rule(pick=st.data(), many=st.integers(1, 4))
    def change(self, pick: st.DataObject, many: int) -> None:
        for _ in range(many):
            entity = pick.draw(st.sampled_from(ENTITIES), label="entity")
            sourced_id = pick.draw(st.sampled_from(IDS[entity]), label="id")
            self._change(entity, sourced_id, pick.draw(st.sampled_from(CHANGES), label="change"), pick)

    def _change(self, entity: str, sourced_id: str, change: str, pick: st.DataObject) -> None:
        records, old = self.sis[entity], self.sis[entity].get(sourced_id)
        self.clock += 1
        if old is None or change == "put":
            records[sourced_id] = replace(
                record(entity, sourced_id, pick.draw(st.integers(0, 999), label="seed")), touched=self.clock
            )
        elif change == "touch":
            records[sourced_id] = replace(old, touched=self.clock)
        elif change == "drop":
            del records[sourced_id]
        elif change == "mark":
            records[sourced_id] = replace(old, deleted=not old.deleted, touched=self.clock)
        elif change == "spoil":
            records[sourced_id] = replace(old, spoilt=not old.spoilt)
        elif change == "secret" and entity == "users":
            records[sourced_id] = replace(old, secret=not old.secret)
        elif change == "double":
            self.extra[entity] = (
                []
                if self.extra[entity]
                else [pick.draw(st.sampled_from([old, replace(old, touched=self.clock), replace(old, spoilt=True)]))]
            )
        elif change == "nameless":
            self.extra[entity] = [] if self.extra[entity] else [replace(old, sourced_id=None)]

    @rule(
        schools=st.sets(st.sampled_from(SCHOOLS), max_size=2),
        enrolled=st.booleans(),
        untaken=st.sampled_from([(), (), ("demographics",), ("enrollments", "demographics")]),
        roles=st.sampled_from([(), (), ("student",), ("student", "teacher")]),
        current=st.booleans(),
    )
    def choose(
        self, schools: set[str], enrolled: bool, untaken: tuple[str, ...], roles: tuple[str, ...], current: bool
    ) -> None:
        enrolled = enrolled and "enrollments" not in untaken
        self.scope = Scope(frozenset(schools), enrolled, frozenset(untaken), frozenset(roles), current)

    # Syncs.

    def _listings(self, pick: st.DataObject) -> dict[str, Listing]:
        """What the source shows now: everything, only some changes, or not all that it has."""
        kind = pick.draw(st.sampled_from(["full", "full", "full", "delta", "lost"]), label="kind")
        dice = Random(pick.draw(st.integers(0, 99), label="which"))
        found: dict[str, Listing] = {}
        for entity in ENTITIES:
            shown = [*self.sis[entity].values(), *self.extra[entity]]
            total = len(shown)
            if kind == "delta":
                shown = [each for each in shown if dice.random() < 0.5]
                total = len(shown)
            elif kind == "lost" and shown:
                del shown[dice.randrange(len(shown))]
            found[entity] = Listing(tuple(shown), total, delta=kind == "delta")
        if pick.draw(st.sampled_from([False, False, False, True]), label="no demographics"):
            del found["demographics"]
        return found

    @precondition(lambda self: len(self.waiting) < 3)
    @rule(pick=st.data())
    def stage(self, pick: st.DataObject) -> None:
        hold = pick.draw(st.booleans(), label="hold removals")
        staged = self.here.stage(self._listings(pick), self.scope, hold=hold)
        self.waiting.append(staged)
        with pytest.raises(AlreadyStagedError):
            self.here.stage(self._listings(pick), self.scope, name=staged.name, attempt=2)

    @precondition(lambda self: len(self.waiting) < 3)
    @rule(pick=st.data(), many=st.integers(0, 5))
    def sync(self, pick: st.DataObject, many: int) -> None:
        """As most days are: something changes, and a sync is merged. Without it most histories would have one merge."""
        self.change(pick=pick, many=many)
        listings = {entity: Listing((*self.sis[entity].values(), *self.extra[entity]), 0) for entity in ENTITIES}
        listings = {entity: replace(each, total=len(each.shown)) for entity, each in listings.items()}
        staged = self.here.stage(listings, self.scope)
        assert self.here.merge(staged, staged.digests[-1])

    @precondition(lambda self: len(self.waiting) < 3)
    @rule(pick=st.data())
    def sync_again(self, pick: st.DataObject) -> None:
        """Hypothesis takes every rule as often as any other."""
        self.sync(pick=pick, many=3)

    @precondition(lambda self: len(self.waiting) < 3)
    @rule(pick=st.data(), statement=st.integers(0, 70))
    def stage_killed(self, pick: st.DataObject, statement: int) -> None:
        """Killed at some statement, and run again as a new attempt; the source may have moved on."""
        name = run_name()
        try:
            self.waiting.append(self.here.stage(self._listings(pick), self.scope, name=name, killed_at=statement))
        except Killed:
            pass
        else:
            return
        self.here.same()
        try:
            self.waiting.append(self.here.stage(self._listings(pick), self.scope, name=name, attempt=2))
        except AlreadyStagedError:
            raise AssertionError("it was killed after its last word") from None

    @precondition(lambda self: len(self.waiting) < 3)
    @rule(pick=st.data(), entity=st.sampled_from(ENTITIES))
    def stage_overtaken(self, pick: st.DataObject, entity: str) -> None:
        """A newer attempt takes over while an older one reads: the older one is told so."""
        name = run_name()

        def overtake(at: str) -> None:
            if at == entity:
                self.waiting.append(self.here.stage(listings, self.scope, name=name, attempt=2))

        listings = self._listings(pick)
        if entity in self.scope.untaken or entity not in listings:
            return
        with pytest.raises(FencedError):
            self.here.stage(listings, self.scope, name=name, between=overtake, login="late")

    @precondition(lambda self: self.waiting and len(self.waiting) < 3)
    @rule(pick=st.data(), entity=st.sampled_from(ENTITIES))
    def merge_while_staging(self, pick: st.DataObject, entity: str) -> None:
        """Another run is merged while one reads."""
        other = pick.draw(st.sampled_from(self.waiting), label="run")
        listings = self._listings(pick)
        if entity in self.scope.untaken or entity not in listings:
            return

        def between(at: str) -> None:
            if at == entity:
                self._merged(other, other.digests[-1])

        self.waiting.append(self.here.stage(listings, self.scope, between=between))

    @precondition(lambda self: self.here.merged and len(self.waiting) < 3)
    @rule(pick=st.data(), overwrite=st.booleans(), statement=st.sampled_from([None, None, *range(30)]))
    def undo(self, pick: st.DataObject, overwrite: bool, statement: int | None) -> None:
        """Any merge, the newest first, an undo's too; perhaps killed at some statement, and run again."""
        version = pick.draw(st.sampled_from(sorted(self.here.merged, reverse=True)), label="version")
        name = replace(run_name(), mode="Undo")
        try:
            staged = self.here.undo(name, version, overwrite=overwrite, killed_at=statement)
        except Killed:
            self.here.same()
            staged = self.here.undo(name, version, overwrite=overwrite, attempt=2)
        self.waiting += [] if staged is None else [staged]

    @precondition(lambda self: self.waiting)
    @rule(pick=st.data())
    def merge(self, pick: st.DataObject) -> None:
        """Any waiting run, in any order, with the digest that was seen last or an earlier one."""
        waiting = pick.draw(st.sampled_from(self.waiting), label="run")
        self._merged(waiting, pick.draw(st.sampled_from(waiting.digests[::-1]), label="digest"))

    def _merged(self, waiting: Waiting, digest: str) -> None:
        if self.here.merge(waiting, digest):
            self.waiting.remove(waiting)

    @precondition(lambda self: self.waiting)
    @rule(pick=st.data(), statement=st.integers(0, 60))
    def merge_killed(self, pick: st.DataObject, statement: int) -> None:
        waiting = pick.draw(st.sampled_from(self.waiting), label="run")
        digest = waiting.digests[-1]
        try:
            if self.here.merge(waiting, digest, killed_at=statement):
                self.waiting.remove(waiting)
        except Killed:
            self.here.same()
            self._merged(waiting, digest)

    @precondition(lambda self: self.waiting)
    @rule(pick=st.data())
    def discard(self, pick: st.DataObject) -> None:
        waiting = pick.draw(st.sampled_from(self.waiting), label="run")
        self.here.discard(waiting)
        self.waiting.remove(waiting)
        with pytest.raises(StoreError, match="Discarded"):
            self.here.merge(waiting, waiting.digests[-1])

    # By hand.

    def _student(self, pick: st.DataObject) -> tuple[manual.Student, dict[str, Any], str | None]:
        """A student, the row that follows, and why they are refused."""
        district = self.here.district
        school = pick.draw(st.sampled_from(SCHOOLS), label="school")
        classes = pick.draw(st.lists(st.sampled_from(IDS["classes"]), max_size=2), label="classes")
        identifier = pick.draw(st.sampled_from([None, *IDENTIFIERS]), label="identifier")
        given = pick.draw(st.sampled_from(NAMES), label="name")
        email = pick.draw(st.sampled_from([None, "A@x.example"]), label="email")
        student = manual.Student(given, "Ng", school, email=email, identifier=identifier, classes=classes)
        values = {
            "given_name": given, "family_name": "Ng", "enabled_user": True, "role": "student",
            "org_sourced_ids": (school,), "email": email, "identifier": identifier, "user_master_identifier": None,
            "username": None,
        }  # fmt: skip
        refused = None
        if school not in district.active("orgs"):
            refused = "SchoolUnknown"
        elif not district.active("classes").keys() >= set(classes):
            refused = "ClassUnknown"
        return student, values, refused

    def _taken(self, values: dict[str, Any], but: str | None) -> bool:
        people = self.here.district.active("users").items()
        wanted = values["identifier"]
        return wanted is not None and any(i != but and row.values["identifier"] == wanted for i, row in people)

    @rule(pick=st.data())
    def add_student(self, pick: st.DataObject) -> None:
        student, values, refused = self._student(pick)
        refused = refused or ("IdentifierTaken" if self._taken(values, None) else None)
        url, key = self.roster.database.owner_url, self.here.key
        if refused:
            with pytest.raises(StoreError, match=refused):
                manual.add(url, key, student, by="ada")
            return
        user = manual.add(url, key, student, by="ada")
        self.here.district.add(user, values, self._enrolled(user, set(student.classes)))

    @precondition(lambda self: self._added())
    @rule(pick=st.data())
    def edit_student(self, pick: st.DataObject) -> None:
        user = pick.draw(st.sampled_from(self._added()), label="student")
        student, values, refused = self._student(pick)
        refused = refused or ("IdentifierTaken" if self._taken(values, user) else None)
        url, key = self.roster.database.owner_url, self.here.key
        if refused:
            with pytest.raises(StoreError, match=refused):
                manual.edit(url, key, user, student, by="ada")
            return
        before = self.here.district.classes_of(user)
        manual.edit(url, key, user, student, by="ada")
        self.here.district.edit(user, values, student.classes, self._enrolled(user, set(student.classes) - before))

    @precondition(lambda self: self._added())
    @rule(pick=st.data())
    def end_student(self, pick: st.DataObject) -> None:
        user = pick.draw(st.sampled_from(self._added()), label="student")
        manual.end(self.roster.database.owner_url, self.here.key, user, by="ada")
        self.here.district.end(user)

    def _added(self) -> list[str]:
        # In the order in which they came: their ids are by chance, and what is drawn must not be.
        return [i for i, row in self.here.district.active("users").items() if row.manual]

    def _enrolled(self, user: str, classes: set[str]) -> dict[str, str]:
        """The ids of new enrollments by hand, which nobody can know before."""
        known = set(self.here.district.rows["enrollments"])
        rows = self.roster.ask(
            "select class_sourced_id, sourced_id from roster.enrollments where tenant = %s and user_sourced_id = %s"
            " and source = 'Manual' and status = 'active'",
            self.here.key, user,
        )  # fmt: skip
        made = {each: sourced_id for each, sourced_id in rows if sourced_id not in known}
        assert set(made) == classes
        return made

    @rule(user=st.sampled_from(IDS["users"]), permissions=st.sampled_from([("read",), ("read", "plan")]))
    def let_in(self, user: str, permissions: tuple[str, ...]) -> None:
        url, key = self.roster.database.owner_url, self.here.key
        if user not in self.here.district.active("users"):
            with pytest.raises(StoreError, match="PersonUnknown"):
                access.grant(url, key, user, permissions, by="ada")
            return
        access.grant(url, key, user, permissions, by="ada")
        self.here.district.access[user] = Access(permissions)

    @rule(user=st.sampled_from(IDS["users"]))
    def let_out(self, user: str) -> None:
        url, key = self.roster.database.owner_url, self.here.key
        held = self.here.district.access.get(user)
        if held is None or held.ended:
            with pytest.raises(StoreError, match="AccessUnknown"):
                access.revoke(url, key, user, by="ada")
            return
        access.revoke(url, key, user, by="ada")
        held.ended = True

    # Who may be one person.

    @precondition(lambda self: self._added())
    @rule(pick=st.data())
    def accept(self, pick: st.DataObject) -> None:
        manual, other = self._two(pick)
        url, key = self.roster.database.owner_url, self.here.key
        if not self._are_there(manual, other):
            with pytest.raises(StoreError, match="PersonUnknown"):
                matches.accept(url, key, manual, other, by="ada")
            return
        self.here.accept(manual, other)
        self.done["accepted"] += 1

    @precondition(lambda self: self._added())
    @rule(pick=st.data())
    def refuse(self, pick: st.DataObject) -> None:
        manual, other = self._two(pick)
        url, key = self.roster.database.owner_url, self.here.key
        if not self._are_there(manual, other):
            with pytest.raises(StoreError, match="PersonUnknown"):
                matches.reject(url, key, manual, other, by="ada")
            return
        self.here.refuse(manual, other)

    @precondition(lambda self: decided(self.here.district))
    @rule(pick=st.data())
    def take_back(self, pick: st.DataObject) -> None:
        """A link, whoever made it, or a refusal; what was decided before a link may stand beside it."""
        manual, other = pick.draw(st.sampled_from(decided(self.here.district)), label="two")
        linked = standing(self.here.district, manual, other) is not None
        url, key = self.roster.database.owner_url, self.here.key
        if linked and manual not in self.here.district.rows["users"]:
            with pytest.raises(StoreError, match="PersonUnknown"):
                matches.undo(url, key, manual, other, by="ada")
            return
        if not linked and self.here.district.decisions.get((manual, other)) != "rejected":
            with pytest.raises(StoreError, match="MatchUnknown"):
                matches.undo(url, key, manual, other, by="ada")
            return
        self.here.take_back(manual, other)
        self.done["parted" if linked else "refusals taken back"] += 1

    def _two(self, pick: st.DataObject) -> tuple[str, str]:
        may = list(may_match(self.here.district))
        if may and pick.draw(st.booleans(), label="listed"):
            return pick.draw(st.sampled_from(may), label="two")
        manual = pick.draw(st.sampled_from(self._added()), label="student")
        return manual, pick.draw(st.sampled_from(IDS["users"]), label="of the SIS")

    def _are_there(self, manual: str, other: str) -> bool:
        people = self.here.district.active("users")
        return people[manual].manual and other in people and not people[other].manual

    # Pins, and days that pass.

    @precondition(lambda self: self.here.district.version)
    @rule(pick=st.data(), until=st.sampled_from([None, 100]))
    def pin(self, pick: st.DataObject, until: int | None) -> None:
        entity = pick.draw(st.sampled_from(sorted(PINNED)), label="entity")
        sourced_id = pick.draw(st.sampled_from(IDS[entity]), label="id")
        name = pick.draw(st.sampled_from(sorted(PINNED[entity])), label="field")
        value = pick.draw(st.sampled_from(PINNED[entity][name]), label="value")
        if sourced_id not in self.here.district.synced(entity):
            with pytest.raises(StoreError, match="RecordUnknown"):
                self.here.pin(entity, sourced_id, name, value, until)
            return
        self.here.pin(entity, sourced_id, name, value, until)

    @precondition(lambda self: self.here.district.pins)
    @rule(pick=st.data())
    def release(self, pick: st.DataObject) -> None:
        pins = self.here.district.pins
        entity, sourced_id = pick.draw(st.sampled_from(sorted(pins)), label="record")
        name = pick.draw(st.sampled_from(sorted(pins[entity, sourced_id])), label="field")
        if pins[entity, sourced_id][name].released:
            with pytest.raises(StoreError, match="PinUnknown"):
                self.here.release(entity, sourced_id, name)
            return
        self.here.release(entity, sourced_id, name)

    @precondition(lambda self: self.here.district.version)
    @rule()
    def half_a_year_passes(self) -> None:
        self.here.pass_days(200)

    @precondition(lambda self: self.here.district.day)
    @rule()
    def reap(self) -> None:
        self.here.reap()
        day = self.here.district.day
        self._end([each for each in self.waiting if day - each.run.day >= OVERDUE])

    @precondition(lambda self: self.here.district.version)
    @rule(user=st.sampled_from(IDS["users"]))
    def erase(self, user: str) -> None:
        if self.here.erase(user):
            self._end(self.waiting)

    @invariant()
    def who_may_match(self) -> None:
        found = matches.listing(self.roster.database.owner_url, self.here.key)
        assert {(each.manual, each.sis): each.basis for each in found} == may_match(self.here.district)

    def _end(self, runs: list[Waiting]) -> None:
        for each in list(runs):
            self.here.ended.append(each.name.run)
            self.waiting.remove(each)

    @invariant()
    def nothing_differs(self) -> None:
        self.done["steps"] += 1
        self.here.same()


# Of two dozen rules each is taken rarely. Without these, histories are about who is who.
OF_OTHER_THINGS = (
    "stage_killed", "stage_overtaken", "merge_while_staging", "merge_killed", "choose", "discard", "sync_again",
    "let_out", "half_a_year_passes", "reap", "edit_student",
)  # fmt: skip


@pytest.mark.timeout(0 if "ROSTER_MODEL_EXAMPLES" in os.environ else 300)
@pytest.mark.parametrize("without", [(), OF_OTHER_THINGS], ids=["of everything", "of people"])
def test_histories(roster: Roster, without: tuple[str, ...]) -> None:
    """ROSTER_MODEL_EXAMPLES: how many histories, each of up to 20 steps; more than the default are random each time, or
    as pytest's --hypothesis-seed says. With -rP it is told what they did.

    ROSTER_MODEL_SHRINK=1: look for the shortest history that fails.
    """
    examples = int(os.environ.get("ROSTER_MODEL_EXAMPLES", "10"))
    done: Counter[str] = Counter()
    here: Any = type("Here", (Histories,), {"roster": roster, "done": done, **dict.fromkeys(without)})
    run_state_machine_as_test(
        here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            database=None,
            derandomize="ROSTER_MODEL_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.shrink] if os.environ.get("ROSTER_MODEL_SHRINK") else [])],
            print_blob=True,
        ),
    )
    print(dict(done))
