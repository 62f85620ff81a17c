"""Histories in which the store once did something else than the model: each is one mistake that was mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.model.beside import Beside
from tests.model.district import Access
from tests.model.records import Listing, Scope, Shown
from tests.model.small import BEGUN, ENDED, IDS, plain, record, without
from tests.store.fixtures import Roster, run_name

from roster_operator.store import access, manual
from roster_operator.store.errors import StoreError

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
    counts = waiting.run.plan().entities
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
    assert second.run.plan().entities["users"]["invalid"] == 0
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


def test_who_was_seen_does_not_vanish_because_another_run_saw_them_in_bytes_that_are_not_kept(here: Beside) -> None:
    """Of a record with a password no hash is kept; the one that the waiting run had recognised must not go for that."""
    merged(here, plain())
    waits = here.stage(plain(), EVERYTHING)
    secret = replace(record("users", "users-0", 0), secret=True, touched=1)
    merged(here, without(plain(), "users", "users-0", more=(secret,)))
    assert here.merge(waits, waits.digests[-1])
    here.same()


def test_an_undo_forgets_nothing_of_what_it_leaves_as_it_is(here: Beside) -> None:
    """Somebody was renamed, and back again. A run that recognised them waits while the first of the two is undone."""
    merged(here, plain())
    renamed = replace(record("users", "users-0", 7), touched=1)
    merged(here, without(plain(), "users", "users-0", more=(renamed,)))
    merged(here, plain())
    waits = here.stage(plain(), EVERYTHING)
    undo = here.undo(replace(run_name(), mode="Undo"), 2, overwrite=False)
    assert undo.run.plan().entities["users"]["update"] == 0
    assert here.merge(undo, undo.digests[-1])
    here.same()
    assert here.merge(waits, waits.digests[-1])
    here.same()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_value_that_is_pinned_no_more_does_not_come_back_for_good_with_an_undo(here: Beside, overwrite: bool) -> None:
    """The row that the undo restores has the pinned value in it. The next pull gives it the source's all the same."""
    merged(here, plain())
    here.pin("users", "users-0", "given_name", "Pin", None)
    plainly = record("users", "users-0", 0)
    changed = replace(plainly, values=tuple((dict(plainly.values) | {"email": "b@x.example"}).items()), touched=1)
    listings = without(plain(), "users", "users-0", more=(changed,))
    merged(here, listings)
    here.release("users", "users-0", "given_name")
    if overwrite:
        merged(here, listings)
    undo = here.undo(replace(run_name(), mode="Undo"), 3, overwrite=overwrite)
    assert here.merge(undo, undo.digests[-1])
    here.same()
    merged(here, plain())
    assert here.district.rows["users"]["users-0"].values["given_name"] == "Ada"


def test_a_pin_is_a_change_by_hand_that_an_undo_leaves_alone(here: Beside) -> None:
    merged(here, plain())
    renamed = replace(record("users", "users-0", 7), touched=1)
    merged(here, without(plain(), "users", "users-0", more=(renamed,)))
    here.pin("users", "users-0", "given_name", "Pin", None)
    undo = here.undo(replace(run_name(), mode="Undo"), 2, overwrite=False)
    assert undo.run.plan().issues == {("UndoConflict", "error", "users"): 1}


def test_a_session_that_was_not_shown_is_not_counted_as_left_out(here: Beside) -> None:
    over = replace(record("academicSessions", "academicSessions-1", 0), touched=1)
    values = dict(over.values) | {"start_date": BEGUN, "end_date": ENDED, "school_year": 2026}
    over = replace(over, values=tuple(values.items()))
    merged(here, without(plain(), "academicSessions", "academicSessions-1", more=(over,)))
    nothing = {entity: Listing((), 0, delta=True) for entity in plain()}
    counts = merged(here, nothing, Scope(current_terms=True))["academicSessions"]
    assert (counts["received"], counts["left_out"], counts["concluded"]) == (0, 0, 1)


def test_two_pins_of_other_values_make_two_rows(here: Beside) -> None:
    """An undo of what came between them sees that somebody has pinned another value since."""
    merged(here, plain())
    here.pin("users", "users-0", "given_name", "Pin", None)
    listings = without(plain(), "users", "users-0")
    merged(here, listings)
    undo = here.undo(replace(run_name(), mode="Undo"), 3, overwrite=False)
    assert here.merge(undo, undo.digests[-1])
    here.release("users", "users-0", "given_name")
    merged(here, plain())
    here.pin("users", "users-0", "given_name", "Bo", None)
    undo = here.undo(replace(run_name(), mode="Undo"), 4, overwrite=False)
    assert undo.run.plan().issues == {("UndoConflict", "error", "users"): 1}
    here.same()


def test_an_enrollment_that_was_changed_and_followed_its_person_in_one_merge_is_a_conflict(here: Beside) -> None:
    """The merge left two entries of it in the history, and an undo of an earlier one has to look at the first."""
    person = record("users", "users-0", 0)
    person = replace(person, values=tuple((dict(person.values) | {"identifier": "n"}).items()))
    merged(here, without(plain(), "users", "users-0", more=(person,)))
    moved = replace(person, sourced_id="users-9")
    seat = record("enrollments", "enrollments-0", 0)
    other = replace(seat, values=tuple((dict(seat.values) | {"role": "teacher"}).items()), touched=1)
    listings = without(plain(), "users", "users-0", more=(moved,))
    counts = merged(here, without(listings, "enrollments", "enrollments-0", more=(other,)))
    assert (counts["users"]["new_key"], counts["enrollments"]["update"]) == (1, 1)
    undo = here.undo(replace(run_name(), mode="Undo"), 1, overwrite=False)
    assert undo.run.plan().issues["UndoConflict", "error", "enrollments"] == 2  # the other one only followed


def added(here: Beside, **values: str) -> str:
    """A student who was added by hand. values: of manual.Student."""
    student = manual.Student(values.get("given_name", "Bo"), "Ng", "school-a", identifier=values.get("identifier"))
    user = manual.add(here.roster.database.owner_url, here.key, student, by="ada")
    row = {name: None for name, _ in record("users", "users-0", 0).values}
    row |= {"given_name": student.given_name, "family_name": "Ng", "enabled_user": True, "role": "student"}
    here.district.add(user, row | {"org_sourced_ids": ("school-a",), "identifier": student.identifier}, {})
    return user


def test_a_link_to_somebody_who_was_there_already_leaves_the_day_of_their_first_sight(here: Beside) -> None:
    merged(here, without(plain(), "users", "users-0"))
    user = added(here)
    merged(here, plain())
    here.accept(user, "users-0")
    here.same()


def test_an_undo_that_overwrites_leaves_pinned_values_and_their_pins(here: Beside) -> None:
    merged(here, plain())
    plainly = record("users", "users-0", 0)
    changed = dict(plainly.values) | {"given_name": "Bo", "email": "b@x.example"}
    other = replace(plainly, values=tuple(changed.items()), touched=1)
    merged(here, without(plain(), "users", "users-0", more=(other,)))
    here.pin("users", "users-0", "given_name", "Pin", None)
    undo = here.undo(replace(run_name(), mode="Undo"), 2, overwrite=True)
    assert here.merge(undo, undo.digests[-1])
    here.same()
    values = here.district.rows["users"]["users-0"].values
    assert (values["given_name"], values["email"]) == ("Pin", None)
    assert here.district.pins_of("users", "users-0")["given_name"].holds(0)


def came_by_link(here: Beside) -> str:
    """Somebody was added by hand, has access, and came with the SIS as users-0. Gives the id by hand."""
    merged(here, without(plain(), "users", "users-0"))
    user = added(here, identifier="n")
    access.grant(here.roster.database.owner_url, here.key, user, ("read",), by="ada")
    here.district.access[user] = Access(("read",))
    counts = merged(here, without(plain(), "users", "users-0", more=(numbered("users-0"),)))
    assert counts["users"]["linked"] == 1
    return user


def numbered(sourced_id: str) -> Shown:
    """A student of the SIS with the identifier n."""
    plainly = record("users", "users-0", 0)
    return replace(plainly, sourced_id=sourced_id, values=tuple((dict(plainly.values) | {"identifier": "n"}).items()))


def test_a_link_taken_back_stands_in_the_history_of_both(here: Beside) -> None:
    user = came_by_link(here)
    here.take_back(user, "users-0")
    here.same()
    assert here.district.access.keys() == {user}


def test_a_link_is_taken_back_also_after_the_sis_has_given_yet_another_id(here: Beside) -> None:
    """What went over comes back, and the two are two persons: they were one, and the access stayed with the other."""
    user = came_by_link(here)
    counts = merged(here, without(plain(), "users", "users-0", more=(numbered("users-9"),)))
    assert counts["users"]["new_key"] == 1
    here.take_back(user, "users-0")
    here.same()
    assert here.district.access.keys() == {user}
    assert here.district.rows["users"]["users-9"].person == "users-0"


def test_a_link_whose_record_by_hand_retention_has_taken_stays(here: Beside) -> None:
    user = came_by_link(here)
    here.pass_days(200)
    here.reap()
    here.same()
    with pytest.raises(StoreError, match="PersonUnknown"):
        here.take_back(user, "users-0")
    assert here.district.access.keys() == {"users-0"}


def test_former_ids_that_lead_nowhere_go_with_retention(here: Beside) -> None:
    first = without(plain(), "users", "users-0", more=(numbered("users-0"),))
    merged(here, first)
    merged(here, without(first, "users", "users-0", more=(numbered("users-9"),)))
    here.pass_days(200)
    here.reap()
    assert [done.what.old for done in here.district.successions if done.what.entity == "users"] == ["users-0"]
    merged(here, without(first, "users", "users-0"))
    here.pass_days(200)
    here.reap()
    here.same()
    assert here.district.successions == []


def test_an_id_that_comes_again_after_its_person_went_back_to_the_first_one_is_somebody_else(here: Beside) -> None:
    """Two active rows had one person key, which the application would have taken for one person."""
    first = without(plain(), "users", "users-0", more=(numbered("users-0"),))
    merged(here, first)
    merged(here, without(first, "users", "users-0", more=(numbered("users-9"),)))
    undo = here.undo(replace(run_name(), mode="Undo"), 2, overwrite=False)
    assert here.merge(undo, undo.digests[-1])
    assert here.district.rows["users"]["users-9"].person == "users-0"
    merged(here, without(first, "users", more=(replace(record("users", "users-0", 0), sourced_id="users-9"),)))
    assert here.district.rows["users"]["users-9"].person == "again-"


def test_a_pin_of_demographics_is_counted_under_the_new_id(here: Beside) -> None:
    first = without(plain(), "users", "users-0", more=(numbered("users-0"),))
    merged(here, first)
    here.pin("demographics", "users-0", "sex", "female", None)
    second = without(first, "users", "users-0", more=(numbered("users-9"),))
    theirs = replace(record("demographics", "users-0", 0), sourced_id="users-9")
    counts = merged(here, without(second, "demographics", "users-0", more=(theirs,)))
    assert (counts["demographics"]["pinned"], counts["demographics"]["new_key"]) == (1, 1)
