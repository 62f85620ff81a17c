"""Histories in which the store once did something else than the model: each is one mistake that was mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.model.beside import Beside
from tests.model.model import Listing, Scope
from tests.model.small import IDS, plain, record, without
from tests.store.fixtures import Roster

pytestmark = pytest.mark.store
EVERYTHING = Scope()


@pytest.fixture
def here(roster: Roster) -> Iterator[Beside]:
    beside = Beside(roster, "springfield")
    yield beside
    beside.close()


def merged(here: Beside, listings: dict[str, Listing], scope: Scope = EVERYTHING) -> dict[str, dict[str, int]]:
    """Stage and merge; the counts of the plan, by which the model and the store agreed."""
    waiting = here.stage(listings, scope)
    counts = waiting.pull.plan().entities
    assert here.merge(waiting, waiting.digests[-1])
    here.same()
    return counts


def test_a_record_marked_as_deleted_goes_though_what_it_refers_to_went_before(here: Beside) -> None:
    merged(here, plain())
    merged(here, without(plain(), "users", "users-1"))
    marked = replace(record("enrollments", "enrollments-1", 0), deleted=True, touched=1)
    counts = merged(here, without(without(plain(), "users", "users-1"), "enrollments", "enrollments-1", more=(marked,)))
    assert (counts["enrollments"]["tobedeleted"], counts["enrollments"]["invalid"]) == (1, 0)


def test_what_was_not_read_is_not_counted_as_left_out(here: Beside) -> None:
    merged(here, plain())
    counts = merged(here, plain(), Scope(frozenset({"school-b"}), untaken=frozenset({"enrollments"})))
    assert (counts["enrollments"]["out_of_scope"], counts["enrollments"]["left_out"]) == (6, 0)


def test_a_row_without_a_hash_that_was_not_shown_is_not_counted_as_left_out(here: Beside) -> None:
    secret = replace(record("users", "users-0", 0), secret=True)
    merged(here, without(plain(), "users", "users-0", more=(secret,)))
    counts = merged(here, without(plain(), "users", "users-0"), Scope(frozenset({"school-b"})))
    assert (counts["users"]["out_of_scope"], counts["users"]["left_out"]) == (3, 2)


@pytest.mark.parametrize("delta", [False, True])
def test_an_id_shown_unchanged_and_then_unreadable_proves_nothing(here: Beside, delta: bool) -> None:
    """It counted as two records, so the total seemed right while another record was missing."""
    merged(here, plain())
    spoilt = replace(record("users", "users-0", 0), spoilt=True)
    listings = without(plain(), "users", "users-4", more=(spoilt,))
    if delta:
        listings = {entity: replace(each, delta=True) for entity, each in listings.items()}
    counts = merged(here, listings)
    assert (counts["users"]["received"], counts["users"]["vanished"]) == (4, 0)
    assert counts["users"]["withheld"] == (0 if delta else 1)


def test_another_merge_while_an_entity_is_read_makes_no_duplicates(here: Beside) -> None:
    merged(here, plain())
    newer = replace(record("users", "users-0", 7), touched=1)
    listings = without(plain(), "users", "users-0", more=(newer,))
    first = here.stage(listings, EVERYTHING)
    second = here.stage(
        listings,
        EVERYTHING,
        between=lambda entity: None if entity != "users" else here.merge(first, first.digests[-1]) and None,
    )
    assert second.pull.plan().entities["users"]["invalid"] == 0
    assert here.merge(second, second.digests[-1])
    here.same()


def test_nothing_refers_to_a_record_that_was_readable_only_once(here: Beside) -> None:
    spoilt = replace(record("users", "users-1", 0), spoilt=True)
    counts = merged(here, without(plain(), "users", more=(spoilt,)))
    assert (counts["users"]["invalid"], counts["enrollments"]["invalid"], counts["demographics"]["invalid"]) == (
        1,
        1,
        1,
    )


def test_nothing_follows_from_a_person_of_whom_nobody_knows_whether_they_are_in_scope(here: Beside) -> None:
    """A person shown twice, at a school that is taken and at another: invalid, and what hangs on them stays."""
    scope = Scope(frozenset({"school-b", "school-c"}))
    merged(here, plain(), scope)
    assert "users-1" in here.district.active("demographics")
    elsewhere = replace(record("users", "users-0", 0), sourced_id="users-1")
    counts = merged(here, without(plain(), "users", more=(elsewhere,)), scope)
    assert counts["users"]["invalid"] == 1
    assert counts["demographics"]["out_of_scope"] == counts["enrollments"]["out_of_scope"] == 0


def test_every_id_has_a_record(here: Beside) -> None:
    """The plain district is as good as it looks: everything of it is merged, and a second time nothing changes."""
    counts = merged(here, plain())
    assert {entity: each["create"] for entity, each in counts.items()} == {e: len(ids) for e, ids in IDS.items()}
    assert all(each["unchanged"] == each["received"] for each in merged(here, plain()).values())
