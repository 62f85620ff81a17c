"""People who come under another id, and values that people pinned: from the SIS to the merged rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.worker import test_worker_undo as undoing
from tests.worker.worlds import World

from roster_operator.api.task import Outcome
from roster_operator.store import access, manual, matches, pins, review, runs
from roster_operator.store.database import connect
from roster_operator.store.manual import Student
from roster_operator.store.merge import Merged, PlanChanged
from roster_operator.worker.stage import Staged
from roster_sample_sis import District
from roster_sample_sis.districts import Role
from roster_sample_sis.faults import Rekey

pytestmark = pytest.mark.store


def counts(staged: Staged, what: str) -> dict[str, int]:
    return {entity: n for entity, plan in staged.plan.entities.items() if (n := getattr(plan, what))}


def owner(world: World) -> tuple[str, str]:
    return world.roster.database.owner_url, world.roster.key()


def user(world: World, sourced_id: str) -> dict[str, Any]:
    return world.roster.snapshot()["users"][sourced_id]


def changes(world: World, run: Any, entity: str, action: str) -> list[review.Change]:
    with connect(world.roster.logins().stage_url) as conn:
        return review.changes(conn, runs.get(conn, run.run), entity, review.Wanted(action=action, limit=10_000))


def active(world: World, entity: str) -> dict[str, dict[str, Any]]:
    return {i: row for i, row in world.roster.snapshot()[entity].items() if row["status"] == "active"}


# ---- a re-keyed district


@pytest.mark.parametrize("enrollments_too", [False, True])
def test_a_rekeyed_district_is_held_and_then_everybody_is_who_they_were(
    world: World, district: District, enrollments_too: bool
) -> None:
    world.sync()
    url, tenant = owner(world)
    teacher = next(each for each in district.users if each.role is Role.TEACHER).sourced_id
    student = next(each for each in district.users if each.role is Role.STUDENT).sourced_id
    access.grant(url, tenant, teacher, ["results.read"], by="ada")
    pins.put(url, tenant, "users", student, "preferred_given_name", "Kit", by="ada", reason="asked for it")
    world.roster.ask(
        "insert into roster.reference_use (tenant, entity, sourced_id, purpose, registered_by)"
        " values (%s, 'users', %s, 'test', 'app') returning 1", tenant, student,
    )  # fmt: skip
    before = active(world, "users")
    world.sis.faults.add(Rekey())
    if enrollments_too:
        world.sis.faults.add(Rekey(of="ENR", to="ENX"))
    name, staged = world.stage()
    people = len(before)
    assert counts(staged, "new_key")["users"] == people
    assert "users" not in counts(staged, "create")
    assert not counts(staged, "deactivate")
    assert {hit.limit for hit in staged.hits} == {"rekeyed"}
    told = counts(staged, "new_key" if enrollments_too else "followed")["enrollments"]
    assert told == len(district.enrollments)
    new = teacher.replace("PER", "ANEW")
    shown = {each.sourced_id: each for each in changes(world, name, "users", "newKey")}
    assert len(shown) == people
    assert shown[new].fields == {"sourced_id": (teacher, new)}

    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    after = active(world, "users")
    assert set(after) == {i.replace("PER", "ANEW") for i in before}
    for old, row in before.items():
        kept = after[old.replace("PER", "ANEW")]
        assert (kept["person"], kept["first_seen"]) == (old, row["first_seen"])
        gone = user(world, old) if old in {teacher, student} else None
        assert gone is None or (gone["status"], gone["inactive_cause"]) == ("inactive", "newKey")
    for row in active(world, "enrollments").values():
        assert row["user_sourced_id"].startswith("ANEW")
    assert len(active(world, "enrollments")) == len(district.enrollments)
    assert all(i.startswith("ANEW") for i in active(world, "demographics"))
    assert [each.user_sourced_id for each in access.listing(url, tenant)] == [new]
    assert after[student.replace("PER", "ANEW")]["preferred_given_name"] == "Kit"
    assert [pin.sourced_id for pin in pins.listing(url, tenant)] == [student.replace("PER", "ANEW")]
    assert world.roster.one("select sourced_id from roster.reference_use where tenant = %s", tenant) == student.replace(
        "PER", "ANEW"
    )
    assert not world.roster.one("select count(*) from roster.proposed_succession where tenant = %s", tenant)

    again = world.sync()
    assert not again.plan.changes
    # And back again: the same people, under their first ids.
    world.sis.faults.clear()
    name, staged = world.stage()
    assert counts(staged, "new_key")["users"] == people
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    restored = active(world, "users")
    assert set(restored) == set(before)
    assert all(row["person"] is None for row in restored.values())
    assert [each.user_sourced_id for each in access.listing(url, tenant)] == [teacher]


# ---- somebody who was added by hand


@dataclass
class Newcomer:
    """Somebody who was added by hand while the SIS did not know them, has access, and sits in a class."""

    world: World
    sis_id: str
    manual: str
    district: District  # with them in it

    @property
    def new(self) -> dict[str, Any]:
        return user(self.world, self.sis_id)

    @property
    def old(self) -> dict[str, Any]:
        return user(self.world, self.manual)


@pytest.fixture
def newcomer(world: World, district: District) -> Newcomer:
    person = district.students[-1]
    gone = {person.number}
    without = replace(
        district,
        users=[u for u in district.users if u.number not in gone],
        demographics=[d for d in district.demographics if d.number not in gone],
        enrollments=district.enrollments.pick(n for n, e in enumerate(district.enrollments) if e.user not in gone),
    )
    world.sis.swap(without)
    world.sync()
    world.sis.swap(district)
    url, tenant = owner(world)
    classes = [f"SEC{e.class_:08d}" for e in district.enrollments if e.user == person.number][:1]
    elsewhere = next(
        c.sourced_id for c in district.classes if c.school == person.orgs[0] and c.sourced_id not in classes
    )
    student = Student(
        "Noor", "Haddad", f"ORG{person.orgs[0]:05d}", identifier=person.identifier, classes=(*classes, elsewhere)
    )
    made = manual.add(url, tenant, student, by="ada", reason="arrived today")
    access.grant(url, tenant, made, ["tests.sit"], by="ada")
    world.roster.ask(
        "insert into roster.reference_use (tenant, entity, sourced_id, purpose, registered_by)"
        " values (%s, 'users', %s, 'test', 'app') returning 1", tenant, made,
    )  # fmt: skip
    return Newcomer(world, person.sourced_id, made, district)


def hanging_on(world: World, sourced_id: str) -> tuple[list[str], list[str], int]:
    """Access, ids in use and enrollments made by hand of a person."""
    tenant = world.roster.key()
    by_hand = [
        row for row in active(world, "enrollments").values()
        if row["source"] == "Manual" and row["user_sourced_id"] == sourced_id
    ]  # fmt: skip
    uses = world.roster.ask(
        "select purpose from roster.reference_use where tenant = %s and sourced_id = %s", tenant, sourced_id
    )
    held = [a.permissions[0] for a in access.listing(owner(world)[0], tenant) if a.user_sourced_id == sourced_id]
    return held, [purpose for (purpose,) in uses], len(by_hand)


def test_somebody_added_by_hand_is_linked_by_identifier_when_the_sis_brings_them(newcomer: Newcomer) -> None:
    world, first_seen = newcomer.world, newcomer.old["first_seen"]
    name, staged = world.stage()
    plan = staged.plan.entities["users"]
    assert (plan.linked, plan.create, plan.deactivate) == (1, 0, 0)
    [shown] = changes(world, name, "users", "link")
    assert shown.sourced_id == newcomer.sis_id
    assert shown.fields["sourced_id"] == (newcomer.manual, newcomer.sis_id)
    assert "identifier" not in shown.fields
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    assert (newcomer.old["status"], newcomer.old["inactive_cause"]) == ("inactive", "link")
    assert (newcomer.new["status"], newcomer.new["source"]) == ("active", "SIS")
    assert (newcomer.new["person"], newcomer.new["first_seen"]) == (newcomer.manual, first_seen)
    assert hanging_on(world, newcomer.sis_id) == (["tests.sit"], ["test"], 1)
    assert hanging_on(world, newcomer.manual) == ([], [], 0)
    assert not world.sync().plan.changes


def test_a_link_is_undone_and_no_sync_repeats_it(newcomer: Newcomer) -> None:
    world = newcomer.world
    world.sync()
    url, tenant = owner(world)
    [decided] = matches.decisions(url, tenant)
    assert (decided.manual, decided.sis, decided.linked, decided.by) == (newcomer.manual, newcomer.sis_id, True, None)
    assert matches.undo(url, tenant, newcomer.manual, newcomer.sis_id, by="bob", reason="two people")
    assert (newcomer.old["status"], newcomer.old["inactive_cause"]) == ("active", None)
    assert (newcomer.new["status"], newcomer.new["person"]) == ("active", None)
    assert hanging_on(world, newcomer.manual) == (["tests.sit"], ["test"], 2)
    assert hanging_on(world, newcomer.sis_id) == ([], [], 0)
    staged = world.sync()
    assert staged.plan.entities["users"].linked == 0
    assert matches.listing(url, tenant) == []
    assert not matches.undo(url, tenant, newcomer.manual, newcomer.sis_id, by="bob")
    assert matches.listing(url, tenant) == [matches.Match(newcomer.manual, newcomer.sis_id, "identifier")]
    # Now the SIS's person is there already: they are linked all the same, and nothing is created.
    name, staged = world.stage()
    plan = staged.plan.entities["users"]
    assert (plan.linked, plan.create, plan.update) == (1, 0, 0)
    [shown] = changes(world, name, "users", "link")
    assert shown.fields["given_name"][0] == "Noor"
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    assert (newcomer.old["status"], newcomer.new["person"]) == ("inactive", None)
    assert hanging_on(world, newcomer.sis_id) == (["tests.sit"], ["test"], 1)


@pytest.mark.parametrize("fault", ["nobody", "two of the SIS", "two by hand", "a teacher", "not the same bytes"])
def test_what_is_not_exactly_one_on_each_side_is_not_linked(newcomer: Newcomer, fault: str) -> None:
    world, tenant = newcomer.world, newcomer.world.roster.key()
    identifier = newcomer.old["identifier"]
    changed = {
        "nobody": "update roster.users set identifier = 'other' where tenant = %s and source = 'Manual' returning 1",
        "two of the SIS": "update roster.users set identifier = %s where tenant = %s and sourced_id = (select"
        " min(sourced_id) from roster.users where tenant = %s and role = 'student') returning 1",
        "two by hand": "insert into roster.users (tenant, sourced_id, source, row_hash, first_seen, last_changed, role,"
        " identifier) values (%s, 'manual-2', 'Manual', '', now(), now(), 'student', %s) returning 1",
        "a teacher": "update roster.users set role = 'teacher' where tenant = %s and source = 'Manual' returning 1",
        "not the same bytes": "update roster.users set identifier = identifier || ' ' where tenant = %s and"
        " source = 'Manual' returning 1",
    }[fault]
    parameters = {"two of the SIS": (identifier, tenant, tenant), "two by hand": (tenant, identifier)}
    assert world.roster.ask(changed, *parameters.get(fault, (tenant,)))
    _, staged = world.stage()
    plan = staged.plan.entities["users"]
    assert (plan.linked, plan.create) == (0, 1)


# ---- pinned values


def test_a_pinned_value_stays_until_it_is_released(world: World, district: District) -> None:
    world.sync()
    url, tenant = owner(world)
    person = district.students[0]
    pins.put(url, tenant, "users", person.sourced_id, "given_name", "Kit", by="ada", reason="asked for it")
    assert user(world, person.sourced_id)["given_name"] == "Kit"
    name, staged = world.stage()
    assert (counts(staged, "pinned"), counts(staged, "update")) == ({"users": 1}, {})
    [shown] = changes(world, name, "users", "pinned")
    assert shown.fields == {"given_name": ("Kit", person.given)}
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    assert user(world, person.sourced_id)["given_name"] == "Kit"

    # Another field of the same record is taken.
    other = district_with(district, person, family="Other", given="Third")
    world.sis.swap(other)
    staged = world.sync()
    assert (counts(staged, "pinned"), counts(staged, "update")) == ({"users": 1}, {"users": 1})
    row = user(world, person.sourced_id)
    assert (row["given_name"], row["family_name"]) == ("Kit", "Other")
    staged = world.sync()
    assert (counts(staged, "pinned"), counts(staged, "update")) == ({"users": 1}, {})

    pins.release(url, tenant, "users", person.sourced_id, "given_name", by="bob")
    staged = world.sync()
    assert (counts(staged, "pinned"), counts(staged, "update")) == ({}, {"users": 1})
    assert user(world, person.sourced_id)["given_name"] == "Third"
    assert pins.listing(url, tenant) == []
    before = world.roster.snapshot()
    assert not world.sync().plan.changes
    assert world.roster.snapshot() == before


def test_a_pin_ends_with_its_time(world: World, district: District) -> None:
    world.sync()
    url, tenant = owner(world)
    person = district.students[0]
    until = datetime.now(UTC) + timedelta(days=1)
    pins.put(url, tenant, "users", person.sourced_id, "given_name", "Kit", by="ada", until=until)
    name, staged = world.stage()
    assert not staged.plan.changes
    world.roster.ask("update roster.pin set until = now() where tenant = %s returning 1", tenant)
    # It held when the run began, so it holds for that run.
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    assert user(world, person.sourced_id)["given_name"] == "Kit"
    assert counts(world.sync(), "update") == {"users": 1}
    assert user(world, person.sourced_id)["given_name"] == person.given


def test_a_pin_that_comes_while_a_plan_waits_is_honoured(world: World, district: District) -> None:
    world.sync()
    url, tenant = owner(world)
    one, two = district.students[:2]
    world.sis.swap(district_with(district, one, given="Changed"))
    name, staged = world.stage()
    # Of one the plan has a change; the other was seen unchanged, and is not even staged.
    pins.put(url, tenant, "users", two.sourced_id, "given_name", "Kit", by="ada")
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    name, staged = world.stage()
    world.sis.swap(district_with(district, one, given="Again"))
    name, staged = world.stage()
    pins.put(url, tenant, "users", one.sourced_id, "given_name", "Kim", by="ada")
    changed = world.merge(name, staged.plan.digest)
    assert isinstance(changed, PlanChanged)
    assert not changed.plan.changes
    assert isinstance(world.merge(name, changed.plan.digest), Merged)
    assert (user(world, one.sourced_id)["given_name"], user(world, two.sourced_id)["given_name"]) == ("Kim", "Kit")


def district_with(district: District, person: Any, **fields: Any) -> District:
    return replace(
        district,
        users=[
            replace(u, **fields, modified=u.modified + 1) if u.number == person.number else u for u in district.users
        ],
    )


# ---- taken back, and what is only held


def test_undoing_a_rekeyed_sync_gives_everybody_their_id_back(world: World, district: District) -> None:
    undoing.pull(world, "first")
    url, tenant = owner(world)
    teacher = next(each for each in district.users if each.role is Role.TEACHER).sourced_id
    access.grant(url, tenant, teacher, ["results.read"], by="ada")
    before = {entity: set(active(world, entity)) for entity in world.roster.snapshot()}
    world.sis.faults.add(Rekey())
    undoing.pull(world, "rekeyed")
    assert teacher not in active(world, "users")
    staged, merged = undoing.undo(world, "back", "rekeyed")
    assert staged.plan is not None
    users = staged.plan.entities["users"]
    assert (users.rekeyed, users.create, users.deactivate, users.reactivate) == (len(before["users"]), 0, 0, 0)
    assert merged.outcome is Outcome.MERGED
    assert {entity: set(active(world, entity)) for entity in before} == before
    assert all(row["person"] is None for row in active(world, "users").values())
    assert {row["user_sourced_id"] for row in active(world, "enrollments").values()} <= before["users"]
    assert [each.user_sourced_id for each in access.listing(url, tenant) if each.effective] == [teacher]


def test_undoing_a_sync_parts_whom_it_linked(newcomer: Newcomer) -> None:
    world = newcomer.world
    undoing.pull(world, "linked")
    assert newcomer.old["status"] == "inactive"
    _, merged = undoing.undo(world, "back", "linked")
    assert merged.outcome is Outcome.MERGED
    assert (newcomer.old["status"], newcomer.new["status"]) == ("active", "inactive")
    assert hanging_on(world, newcomer.manual) == (["tests.sit"], ["test"], 2)
    assert hanging_on(world, newcomer.sis_id) == ([], [], 0)


@pytest.mark.parametrize(("prefix", "entity"), [("ORG", "orgs"), ("CRS", "courses"), ("SEC", "classes")])
def test_what_is_not_mapped_is_held_and_named(world: World, prefix: str, entity: str) -> None:
    world.sync()
    world.sis.faults.add(Rekey(of=prefix, to="ANEW"))
    _, staged = world.stage()
    assert ("rekeyed", entity) in {(hit.limit, hit.entity) for hit in staged.hits}


WITHOUT_NUMBERS = (
    "update roster.users set identifier = null, user_master_identifier = null, username = null, email = upper(email),"
    " raw_hash = null where tenant = %s returning 1"
)


def test_a_mass_rekeying_is_recognised_by_email_alone(world: World, district: District) -> None:
    world.sync()
    world.roster.ask(WITHOUT_NUMBERS, world.roster.key())
    world.sis.faults.add(Rekey())
    _, staged = world.stage()
    plan = staged.plan.entities["users"]
    assert (plan.new_key, plan.create, plan.deactivate) == (len(district.users), 0, 0)
    bases = world.roster.ask(
        "select distinct basis from roster.proposed_succession where tenant = %s and entity = 'users'",
        world.roster.key(),
    )
    assert bases == [("email",)]


@pytest.mark.parametrize("trap", ["few", "other numbers", "Kelvin sign"])
def test_an_email_address_is_no_proof_of_one_person(world: World, district: District, trap: str) -> None:
    world.sync()
    tenant = world.roster.key()
    world.roster.ask(WITHOUT_NUMBERS, tenant)
    if trap == "few":
        # All but one stay what they are: the address of one who leaves is given to somebody who comes.
        person = district.students[-1]
        world.roster.ask(
            "update roster.users set sourced_id = 'left' where tenant = %s and sourced_id = %s returning 1",
            tenant, person.sourced_id,
        )  # fmt: skip
    else:
        world.sis.faults.add(Rekey())
        changed = {
            "other numbers": "identifier = 'another ' || sourced_id",
            "Kelvin sign": "email = translate(email, 'kK', '\u212a\u212a')",
        }[trap]
        world.roster.ask(f"update roster.users set {changed} where tenant = %s returning 1", tenant)
    _, staged = world.stage()
    found = staged.plan.entities["users"].new_key
    with_k = sum("k" in each.email for each in district.users)
    assert found == {"few": 0, "other numbers": 0, "Kelvin sign": len(district.users) - with_k}[trap]
    assert with_k
