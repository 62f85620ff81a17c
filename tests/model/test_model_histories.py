"""Random histories of one district: the store does what the model says, after every step."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
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
    rule,
    run_state_machine_as_test,
)
from tests.model.beside import Beside, Killed, Waiting
from tests.model.model import ENTITIES, Access, Listing, Scope, Shown
from tests.model.small import IDS, NAMES, SCHOOLS, record
from tests.store.fixtures import Roster, run_name

from roster_operator.store import access, manual
from roster_operator.store.errors import AlreadyStagedError, FencedError, StoreError

pytestmark = pytest.mark.store
_numbers = count(1)
CHANGES = ("put", "put", "put", "touch", "drop", "mark", "spoil", "secret", "double", "nameless")


class Histories(RuleBasedStateMachine):
    """One district from its first pull on."""

    roster: Roster

    def __init__(self) -> None:
        super().__init__()
        self.here = Beside(self.roster, f"model{next(_numbers)}")
        self.sis: dict[str, dict[str, Shown]] = {entity: {} for entity in ENTITIES}
        self.extra: dict[str, list[Shown]] = {entity: [] for entity in ENTITIES}  # doubles, and records without an id
        self.waiting: list[Waiting] = []
        self.clock = 0
        self.scope = Scope()

    def teardown(self) -> None:
        for each in self.waiting:
            with suppress(StoreError):
                self.here.discard(each)
        self.here.close()

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        for entity, ids in IDS.items():
            for sourced_id in ids:
                self.sis[entity][sourced_id] = record(entity, sourced_id, seed)

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
    )
    def choose(self, schools: set[str], enrolled: bool, untaken: tuple[str, ...]) -> None:
        self.scope = Scope(frozenset(schools), enrolled and "enrollments" not in untaken, frozenset(untaken))

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
        staged = self.here.stage(self._listings(pick), self.scope)
        self.waiting.append(staged)
        with pytest.raises(AlreadyStagedError):
            self.here.stage(self._listings(pick), self.scope, name=staged.name, attempt=2)

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
        identifier = pick.draw(st.sampled_from([None, None, "users-0"]), label="identifier")
        given = pick.draw(st.sampled_from(NAMES), label="name")
        student = manual.Student(given, "Ng", school, identifier=identifier, classes=classes)
        values = {
            "given_name": given, "family_name": "Ng", "enabled_user": True, "role": "student",
            "org_sourced_ids": (school,), "email": None, "identifier": identifier,
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
        return sorted(i for i, row in self.here.district.active("users").items() if row.manual)

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

    @invariant()
    def nothing_differs(self) -> None:
        self.here.same()


@pytest.mark.timeout(0 if "ROSTER_MODEL_EXAMPLES" in os.environ else 300)
def test_histories(roster: Roster) -> None:
    """ROSTER_MODEL_EXAMPLES: how many histories, each of up to 20 steps; more than the default are random each time.

    ROSTER_MODEL_SHRINK=1: look for the shortest history that fails.
    """
    examples = int(os.environ.get("ROSTER_MODEL_EXAMPLES", "16"))

    class Here(Histories):
        pass

    Here.roster = roster
    run_state_machine_as_test(
        Here,
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
