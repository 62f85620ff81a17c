"""From the SIS to merged rows: what changes, what stays, and what is never removed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

import pytest
from msgspec.structs import replace
from tests.worker.worlds import World

from roster_operator.api.limits import Limit, Limits
from roster_operator.oneroster.errors import OneRosterError
from roster_operator.store.merge import PlanChanged
from roster_operator.worker.stage import Staged
from roster_sample_sis import District, generate, variants
from roster_sample_sis.exchanges import Answer, Request
from roster_sample_sis.faults import (
    Die,
    Empty,
    Fault,
    ForbidDemographics,
    LoseRecord,
    Refuse,
    RepeatRecord,
    WrongTotal,
)  # fmt: skip

pytestmark = pytest.mark.store


def counts(staged: Staged, what: str) -> dict[str, int]:
    return {entity: n for entity, plan in staged.plan.entities.items() if (n := getattr(plan, what))}


def issues(staged: Staged) -> dict[tuple[str, str], int]:
    return {(issue["code"], issue["entity"]): issue["count"] for issue in staged.plan.issues}


def sizes(district: District) -> dict[str, int]:
    names = ("orgs", "sessions", "courses", "classes", "users", "enrollments", "demographics")
    entities = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics")
    return {e: len(getattr(district, n)) for e, n in zip(entities, names, strict=True)}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_district_arrives_and_nothing_changes_the_second_time(world: World, district: District, version: str) -> None:
    world.version = version
    first = world.sync()
    assert counts(first, "create") == counts(first, "received") == sizes(district)
    assert (first.plan.complete, first.plan.first, first.hits, first.plan.issues) == (True, True, [], [])
    if version == "1.2":
        world.assert_rows_are(district)
    before = world.roster.snapshot()
    second = world.sync()
    assert counts(second, "unchanged") == sizes(district)
    assert not any(counts(second, what) for what in ("create", "update", "deactivate", "reactivate", "invalid"))
    assert world.roster.snapshot() == before
    assert world.roster.data_version() == 2


def test_one_per_cent_changed(world: World, district: District) -> None:
    world.sync()
    world.assert_rows_are(district)
    for mark in (False, True):
        changed = variants.one_percent_changed(district, mark_removed=mark)
        world.sis.swap(changed)
        staged = world.sync()
        assert counts(staged, "update")
        world.assert_rows_are(changed)
        world.sis.swap(district)
        staged = world.sync()
        assert counts(staged, "reactivate")
        world.assert_rows_are(district)


def test_a_year_later(world: World, district: District) -> None:
    world.sync()
    world.assert_rows_are(district)
    later = variants.a_year_later(district)
    world.sis.swap(later)
    staged = world.sync()
    assert staged.plan.complete
    world.assert_rows_are(later)


def test_touching_every_record_changes_nothing_and_is_skipped_the_next_time(world: World, district: District) -> None:
    world.sync()
    touched = variants.touched(district)
    world.sis.swap(touched)
    staged = world.sync()
    assert counts(staged, "unchanged") == sizes(district)
    assert not counts(staged, "update")
    name, again = world.stage()
    assert counts(again, "unchanged") == sizes(district)
    pulls = world.roster.one("select pull from roster.sync_run where run = %s", name.run)
    assert {entity: pull["staged"] for entity, pull in pulls.items()} == dict.fromkeys(sizes(district), 0)


def test_a_district_that_lost_a_fifth_is_beyond_its_limits(world: World, district: District) -> None:
    world.sync()
    before = world.nothing_merged(district)
    world.sis.swap(variants.lost_a_fifth(district))
    limits = Limits(deactivate=Limit(percent=10, floor=5))
    _, staged = world.stage(limits=limits)
    assert {hit.entity for hit in staged.hits} == {"users", "enrollments", "demographics"}
    hit = next(hit for hit in staged.hits if hit.entity == "users")
    assert (hit.count, hit.of) == (
        len(district.users) - len(variants.lost_a_fifth(district).users),
        len(district.users),
    )
    assert world.roster.snapshot() == before


@pytest.mark.parametrize(
    "fault",
    [
        WrongTotal(by=3),
        WrongTotal(by=-3),
        LoseRecord(on="enrollments"),
        LoseRecord(on="enrollments", honest=True),
    ],
    ids=["total too high", "total too low", "lost record", "lost record, honest total"],
)
def test_a_pull_that_does_not_prove_complete_removes_nothing(world: World, district: District, fault) -> None:
    world.sync()
    smaller = variants.lost_a_fifth(district)
    world.sis.swap(smaller)
    world.sis.faults.set(fault)
    staged = world.sync()
    assert not staged.plan.complete
    assert staged.plan.incomplete_reason
    assert not counts(staged, "deactivate")
    assert counts(staged, "withheld")["users"] == len(district.users) - len(smaller.users)
    assert issues(staged)["RemovalWithheld", "users"]
    world.assert_rows_are(district)
    world.sis.faults.clear()
    world.sync()
    world.assert_rows_are(smaller)


@pytest.mark.parametrize("entity", ["users", "enrollments", "orgs"])
def test_an_entity_that_came_empty_removes_nothing_of_any_entity(world: World, district: District, entity: str) -> None:
    world.sync()
    world.sis.swap(variants.lost_a_fifth(district))
    world.sis.faults.set(Empty(on=entity))
    staged = world.sync()
    assert not counts(staged, "deactivate")
    assert "came empty" in str(staged.plan.incomplete_reason)
    world.assert_rows_are(district)


def test_demographics_that_are_forbidden_are_left_out_and_kept(world: World, district: District) -> None:
    world.sync()
    world.assert_rows_are(district)
    world.sis.faults.set(ForbidDemographics())
    smaller = variants.lost_a_fifth(district)
    world.sis.swap(smaller)
    staged = world.sync()
    assert staged.plan.complete
    assert "demographics" not in counts(staged, "received")
    assert "demographics" not in counts(staged, "deactivate")
    world.assert_rows_are(smaller, "demographics")
    rows = world.roster.snapshot()["demographics"]
    assert {row["status"] for row in rows.values()} == {"active"}


def test_demographics_that_are_forbidden_in_mid_pull_leave_no_half(world: World, district: District) -> None:
    world.page_size = 10
    world.sis.faults.set(Refuse(on="demographics", after=2, status=403))
    try:
        staged = world.sync()
    except OneRosterError:
        return
    assert "demographics" not in counts(staged, "create")
    assert world.roster.snapshot()["demographics"] == {}


def test_duplicates_on_one_page_are_all_invalid_and_the_merged_row_stays(world: World, district: District) -> None:
    world.sync()
    twin = district.users[3]
    users = [replace(user, given="Zz") if user is twin else user for user in district.users]
    users.insert(5, replace(twin, given="Yy"))
    world.sis.swap(replace(district, users=users))
    staged = world.sync()
    assert issues(staged)["DuplicateSourcedId", "users"] == 1
    assert counts(staged, "invalid") == {"users": 1}
    assert not counts(staged, "update")
    world.assert_rows_are(district)


def test_an_unchanged_record_that_comes_twice_is_not_taken_for_two(world: World, district: District) -> None:
    world.sync()
    users = [*district.users[:6], district.users[2], *district.users[6:]]
    world.sis.swap(replace(district, users=users))
    staged = world.sync()
    assert not staged.plan.complete
    assert not counts(staged, "update")
    world.assert_rows_are(district)


def test_a_listing_that_moved_once_is_read_again(world: World, district: District) -> None:
    world.page_size = 20
    world.sis.faults.set(RepeatRecord(on="users", after=1, times=1))
    name, staged = world.stage()
    pulls = world.roster.one("select pull from roster.sync_run where run = %s", name.run)
    assert pulls["users"]["restarts"] == 1
    assert (staged.plan.complete, staged.plan.issues) == (True, [])
    world.merge(name, staged.plan.digest)
    world.assert_rows_are(district)


def test_a_listing_that_keeps_moving_removes_nothing(world: World, district: District) -> None:
    world.sync()
    world.page_size = 20
    world.sis.swap(variants.lost_a_fifth(district))
    world.sis.faults.set(RepeatRecord(on="users"))
    staged = world.sync()
    assert not staged.plan.complete
    assert not counts(staged, "deactivate")
    world.assert_rows_are(district)


def test_references_that_dangle_are_skipped_and_their_rows_never_vanish(world: World, district: District) -> None:
    world.sync()
    broken = district.enrollments.copy()
    broken.user[4] = 99_999_999
    broken.user.append(99_999_998)
    for column in (each for each in broken.columns() if each is not broken.user):
        column.append(column[-1])
    broken.number[-1] = 999_999_999
    world.sis.swap(replace(district, enrollments=broken))
    staged = world.sync()
    assert issues(staged) == {("DanglingReference", "enrollments"): 2}
    assert counts(staged, "invalid") == {"enrollments": 2}
    assert staged.plan.complete
    world.assert_rows_are(district)


def test_what_refers_to_a_skipped_record_is_skipped_too(world: World, district: District) -> None:
    """A new student at a school that does not exist: without the person there is nothing to enroll."""
    student = district.students[0]
    users = [replace(user, orgs=(99_999,)) if user is student else user for user in district.users]
    # The rendering only knows the district's own orgs: a school that is announced to nobody.
    ghost = replace(district.orgs[1], number=99_999, name="Ghost")
    with_ghost = replace(district, users=users, orgs=[*district.orgs, ghost])
    world.sis.swap(with_ghost)
    world.sis.faults.set(LoseRecordAtEnd(on="orgs"))
    _, staged = world.stage()
    found = issues(staged)
    assert found["DanglingReference", "users"] == 1
    own = sum(user == student.number for user in district.enrollments.user)
    assert found["DanglingReference", "enrollments"] == own
    assert found["DanglingReference", "demographics"] == 1
    world.sync()
    rows = world.roster.snapshot()
    assert student.sourced_id not in rows["users"]
    assert {row["user_sourced_id"] for row in rows["enrollments"].values()} <= set(rows["users"])


class LoseRecordAtEnd(WrongTotal):
    """The listing ends one record early, and the total agrees."""

    def listing(self, request, listing) -> None:
        listing.rows = listing.rows[:-1]
        listing.total = len(listing.rows)


def test_the_second_of_two_staged_syncs_waits_for_a_new_approval(world: World, district: District) -> None:
    world.sync()
    world.assert_rows_are(district)
    first_district = variants.one_percent_changed(district, 1, share=0.2)
    second_district = variants.one_percent_changed(district, 2, share=0.2)
    world.sis.swap(first_district)
    first, first_staged = world.stage()
    world.sis.swap(second_district)
    second, second_staged = world.stage()
    world.merge(first, first_staged.plan.digest)
    result = world.merge(second, second_staged.plan.digest)
    assert isinstance(result, PlanChanged)
    world.assert_rows_are(first_district)
    assert not isinstance(world.merge(second, result.plan.digest), PlanChanged)
    assert world.roster.data_version() == 3


@pytest.mark.parametrize("entity", ["users", "enrollments"])
def test_a_source_that_dies_in_mid_pull_leaves_nothing_and_a_retry_heals_it(
    world: World, district: District, entity: str
) -> None:
    world.sync()
    before = world.nothing_merged(district)
    changed = variants.one_percent_changed(district)
    world.sis.swap(changed)
    world.page_size = 20
    world.sis.faults.set(Die(on=entity, after=2, connections=50))
    with pytest.raises(OneRosterError) as failed:
        world.stage()
    assert failed.value.retryable
    assert failed.value.next_step
    assert world.roster.stage_tables() == []
    assert world.roster.snapshot() == before
    states = world.roster.ask(
        "select state, failure from roster.sync_run where tenant = %s and state <> 'Merged'", world.roster.key()
    )
    assert states == [("Failed", str(failed.value.reason))]
    world.sis.faults.clear()
    world.sync()
    world.assert_rows_are(changed)


def test_many_references_to_unchanged_rows_are_judged_as_they_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All enrollments change while users and classes stay: none of them refers to something staged."""
    from roster_operator.worker import pull

    big = generate(7, 200)
    world.sis.swap(big)
    world.sync()
    monkeypatch.setattr(pull, "_SUSPECT_BATCH", 50)
    longest: list[int] = []
    real = pull.EntityPull._judge_suspects
    monkeypatch.setattr(
        pull.EntityPull, "_judge_suspects", lambda self: (longest.append(len(self._suspects)), real(self))[1]
    )
    moved = big.enrollments.copy()
    for row in range(len(moved)):
        moved.end[row] += 1
    world.sis.swap(replace(big, enrollments=moved))
    staged = world.sync()
    assert counts(staged, "update") == {"enrollments": len(moved)}
    assert max(longest) <= 50 + world.page_size
    world.assert_rows_are(replace(big, enrollments=moved))


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories_against_the_model(world: World, district: District, seed: int) -> None:
    """Pulls of random variants with random faults, some approved, some discarded, some begun and left."""
    rng = random.Random(seed)
    now, merges = None, 0
    from roster_operator.store import runs
    from roster_operator.store.database import connect

    for step in range(10):
        nxt = rng.choice(
            [
                district,
                variants.one_percent_changed(district, step, share=0.1),
                variants.one_percent_changed(district, step, share=0.1, mark_removed=True),
                variants.lost_a_fifth(district),
                variants.touched(district),
                variants.a_year_later(district),
            ]
        )
        world.sis.swap(nxt)
        fate = rng.choice(["merge", "merge", "discard", "die", "leave", "twice"])
        if fate == "die":
            world.sis.faults.set(Die(on=rng.choice(["classes", "users", "enrollments"]), connections=50))
            with pytest.raises(OneRosterError):
                world.stage()
            world.sis.faults.clear()
        else:
            name, staged = world.stage(attempt=1)
            assert staged.plan.complete
            if fate in {"merge", "twice"}:
                for _ in range(1 + (fate == "twice")):
                    assert not isinstance(world.merge(name, staged.plan.digest), PlanChanged)
                now, merges = nxt, merges + 1
            if fate == "discard":
                with connect(world.roster.logins().stage_url) as conn:
                    runs.discard(conn, name, "test")
        if now is not None:
            world.assert_rows_are(now)
        assert world.roster.data_version() == merges


@dataclass
class ChangesRevision(Fault):
    """Says with each page how often permissions changed: after `after` pages once more."""

    def concerns(self, request: Request) -> bool:
        return request.name == "users" and request.is_page

    def strikes(self, request: Request) -> bool:
        if not self.concerns(request):
            return False
        super().strikes(request)
        return True

    def answer(self, request: Request, answer: Answer) -> None:
        answer.headers["x-perm-rev"] = str(self.struck)


@pytest.mark.parametrize(("times", "restarts", "complete"), [(1, 1, True), (None, 2, False)])
def test_permissions_that_change_while_paging_begin_the_entity_again(
    world: World, district: District, times: int | None, restarts: int, complete: bool
) -> None:
    world.sis.faults.set(ChangesRevision(after=1, times=times))
    name, staged = world.stage()
    pulls = world.roster.one("select pull from roster.sync_run where run = %s", name.run)
    assert (pulls["users"]["restarts"], pulls["users"]["complete"]) == (restarts, complete)
    world.merge(name, staged.plan.digest)
    world.assert_rows_are(district)


@dataclass
class Spoil(Fault):
    """The first record of each page has a status that the standard does not know."""

    def answer(self, request: Request, answer: Answer) -> None:
        page = json.loads(b"".join(answer.body))
        for record in next(iter(page.values()))[:1]:
            record["status"] = "perhaps"
        answer.body, answer.key = [json.dumps(page).encode()], None


@pytest.mark.parametrize(
    "entity", ["orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics"]
)
def test_a_record_that_cannot_be_read_keeps_its_merged_row(world: World, entity: str) -> None:
    world.page_size = 100_000
    world.sync()

    def rows() -> dict[str, dict[str, object]]:
        """Without the hash of the bytes: the page is written anew."""
        return {i: {**row, "raw_hash": None} for i, row in world.roster.snapshot()[entity].items()}

    before = rows()
    world.sis.faults.add(Spoil(on=entity))
    staged = world.sync()
    assert (counts(staged, "invalid").get(entity), counts(staged, "deactivate")) == (1, {})
    assert rows() == before
