"""The digest is what the contract says, computed here without the store: an approval must mean the same next year."""

from __future__ import annotations

import hashlib

import pytest
from tests.store.fixtures import Roster
from tests.store.staging import merge_orgs, row_hash, stage_orgs

pytestmark = pytest.mark.store
# Written out: with another order every digest would be another one.
ENTITIES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics")
BEFORE = {"a": "Alpha", "b\\": "Beta", "c\td": "Gamma", "e": "Epsilon"}


def by_hand(roster: Roster, orgs: list[tuple[str, str, str]]) -> str:
    """SHA-256 of: encoding, database, tenant; then each entity's name, and an effect a line, ordered by id bytewise."""
    database = roster.one("select database_id from roster.meta")
    text = f"roster-plan/1\n{database}\n{roster.key()}\n"
    for entity in ENTITIES:
        text += f"{entity}\n"
        if entity == "orgs":
            text += "".join("\t".join(effect) + "\n" for effect in orgs)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def hashed(text: str) -> str:
    return row_hash(text).removeprefix("\\x")


def test_the_digest_is_that_of_the_effects(roster: Roster) -> None:
    with roster.stager() as conn:
        _, plan = stage_orgs(conn, BEFORE)
    assert plan.digest == by_hand(
        roster,
        [
            ("create", "a", hashed("aAlpha")),
            ("create", "b\\\\", hashed("b\\Beta")),  # as COPY writes a backslash, and a tab
            ("create", "c\\td", hashed("c\tdGamma")),
            ("create", "e", hashed("eEpsilon")),
        ],
    )
    merge_orgs(roster, BEFORE)
    with roster.stager() as conn:
        _, plan = stage_orgs(
            conn,
            {"a": "Alfa", "Z": "Zeta"},
            gone={"b\\": "Beta", "c\td": "Gamma"},
            deleted=("e",),
        )
    counts = plan.entities["orgs"]
    assert (counts.create, counts.update, counts.tobedeleted, counts.vanished) == (1, 1, 1, 2)
    assert plan.digest == by_hand(
        roster,
        [
            ("create", "Z", hashed("ZZeta")),  # capitals come first: bytes, no language's order
            ("update", "a", hashed("aAlfa")),
            ("vanished", "b\\\\", "\\N"),
            ("vanished", "c\\td", "\\N"),
            ("tobedeleted", "e", "\\N"),
        ],
    )


def test_what_stays_is_no_effect(roster: Roster) -> None:
    """Removals that wait for proof are counted, and are no part of what is approved."""
    merge_orgs(roster, BEFORE)
    with roster.stager() as conn:
        _, plan = stage_orgs(conn, {"a": "Alfa"}, gone={"b\\": "Beta", "e": "Epsilon"}, removable=False)
    counts = plan.entities["orgs"]
    assert (counts.update, counts.withheld, counts.deactivate) == (1, 2, 0)
    assert plan.digest == by_hand(roster, [("update", "a", hashed("aAlfa"))])
