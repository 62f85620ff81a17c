"""Every limit holds what goes beyond it, says by how much, and lets the rest pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace as changed
from tests.worker.worlds import World

from roster_operator.api.limits import Limit, Limits, OnExceed
from roster_operator.api.sync import SchoolsOverLimit
from roster_operator.store import readers
from roster_operator.store.impact import SchoolLoss
from roster_operator.store.plan import EntityPlan, Plan
from roster_operator.store.profile import Profile
from roster_operator.store.window import Before, Window
from roster_operator.worker.decisions import beyond, holding
from roster_operator.worker.summaries import plan_summary
from roster_sample_sis import District, Role
from roster_sample_sis.variants import one_percent_changed


def plan(base_version: int = 3, profile: Profile | None = None, **users: int) -> Plan:
    made = EntityPlan(**{"received": 1000, "active": 1000, **users})
    return Plan(
        "sha256:" + "0" * 64, base_version, {"users": made}, True, None, profile=(profile or Profile()).to_dict()
    )


@pytest.mark.parametrize(
    ("given", "hit"),
    [
        (plan(vanished=101), ("deactivate", 101, 1000)),
        (plan(out_of_scope=60, tobedeleted=41), ("deactivate", 101, 1000)),
        (plan(update=751), ("update", 751, 1000)),
        (plan(create=501), ("create", 501, 1000)),
        (plan(invalid=21), ("invalid", 21, 1000)),
        (plan(profile=Profile(role_changes=51)), ("roleChange", 51, 1000)),
        (plan(profile=Profile(email_changes=101)), ("emailChange", 101, 1000)),
        (plan(profile=Profile(in_use={"users": 1})), ("inUse", 1, 1000)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_one_more_than_the_limit_is_held(given: Plan, hit: tuple[str, int, int]) -> None:
    (found,) = beyond(given, Limits())
    assert (found.limit, found.count, found.of) == hit
    assert found.entity == "users"
    assert f"{found.count:,}" in found.sentence
    assert str(found.max_count) in found.sentence


@pytest.mark.parametrize(
    "given",
    [
        plan(vanished=100),
        plan(update=750),
        plan(create=500),
        plan(invalid=20),
        plan(profile=Profile(role_changes=50, email_changes=100)),
        plan(base_version=0, create=100_000),
        plan(active=10, vanished=10),  # up to the floor, whatever the share
        plan(received=4, active=4, invalid=4),
    ],
)
def test_up_to_the_limit_nothing_is_held(given: Plan) -> None:
    assert beyond(given, Limits()) == []


def test_a_limit_of_ones_own_is_asked_instead() -> None:
    assert beyond(plan(vanished=100), Limits(deactivate=Limit(percent=9, floor=20)))
    assert beyond(plan(vanished=101), Limits(deactivate=Limit(percent=100, floor=0))) == []
    assert beyond(plan(profile=Profile(in_use={"users": 5})), Limits(in_use=5)) == []


def test_what_a_removal_hits_in_use_stands_first() -> None:
    hits = beyond(plan(vanished=900, profile=Profile(in_use={"users": 3}, email_changes=500)), Limits())
    assert [hit.limit for hit in hits] == ["inUse", "deactivate", "emailChange"]


def windowed(role_changes: int = 0, email_changes: int = 0, **entities: Before) -> Profile:
    return Profile(window=Window(7, dict(entities), role_changes, email_changes))


@pytest.mark.parametrize(
    ("given", "hit"),
    [
        (plan(profile=windowed(users=Before(lost=60)), vanished=60), ("deactivate", 120, 1060)),
        (plan(profile=windowed(users=Before(updated=700)), update=60), ("update", 760, 1000)),
        (plan(profile=windowed(users=Before(created=400)), create=150), ("create", 550, 600)),
        (plan(profile=replace(windowed(role_changes=45), role_changes=10)), ("roleChange", 55, 1000)),
        (plan(profile=replace(windowed(email_changes=95), email_changes=10)), ("emailChange", 105, 1000)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_the_last_days_did_counts_with_the_plan(given: Plan, hit: tuple[str, int, int]) -> None:
    (found,) = beyond(given, Limits())
    assert (found.limit, found.count, found.of, found.days) == (*hit, 7)
    assert "with the merges of the last 7 days" in found.sentence


def test_a_plan_that_does_nothing_of_the_kind_is_not_held_for_what_was_merged() -> None:
    assert beyond(plan(profile=windowed(users=Before(lost=900, updated=900, created=900)), active=1000), Limits()) == []


def test_what_ended_by_itself_is_no_loss_and_other_causes_are() -> None:
    assert beyond(plan(concluded=1000), Limits()) == []
    assert beyond(plan(concluded=500, school_closed=60, vanished=41), Limits())[0].count == 101


def test_an_entity_may_have_limits_of_its_own() -> None:
    own = Limits.from_dict({"entities": {"users": {"deactivate": {"percent": 20, "floor": 0}}}})
    assert beyond(plan(vanished=200), own) == []
    assert beyond(plan(vanished=201), own)[0].max_percent == 20
    assert beyond(plan(update=751), own)[0].limit == "update"
    with pytest.raises(ValueError, match="no such entity: pupils"):
        Limits.from_dict({"entities": {"pupils": {}}})
    with pytest.raises(ValueError, match="floor"):
        Limits.from_dict({"entities": {"users": {"deactivate": {"percent": 20}}}})


def test_new_schools_do_not_count_as_created() -> None:
    assert beyond(plan(create=900, profile=Profile(arrivals={"users": 500})), Limits()) == []
    assert beyond(plan(create=900, profile=Profile(arrivals={"users": 399})), Limits())[0].count == 501


SCHOOLS = [
    SchoolLoss("users", "north", 30, 40),
    SchoolLoss("users", "south", 26, 50),
    SchoolLoss("users", "small", 5, 5),
    SchoolLoss("classes", "north", 6, 10),
    SchoolLoss("classes", "south", 25, 50),
]


def test_a_single_school_holds_a_plan_that_is_small_for_the_district() -> None:
    given = plan(vanished=61, profile=Profile(schools=SCHOOLS))
    users, classes = beyond(given, Limits())
    assert (users.limit, users.entity, users.count, users.of, users.schools) == ("perSchool", "users", 30, 40, 2)
    assert (classes.entity, classes.count, classes.of, classes.schools) == ("classes", 6, 10, 1)
    assert users.sentence.startswith("2 schools would lose, the hardest hit one 30 of its 40 users (75.0 %)")
    assert classes.sentence.startswith("1 school would lose 6 of its 10 classes")
    summary = plan_summary(given, beyond(given, Limits()))
    assert summary.schools_over_limit == SchoolsOverLimit(count=2, worst_percent=75)
    assert "north" not in summary.model_dump_json()
    lenient = Limits.from_dict({"perSchool": {"deactivate": {"percent": 80}}})
    assert beyond(given, lenient) == []


def test_only_limits_of_removals_make_removals_wait() -> None:
    given = plan(vanished=101, update=751, profile=Profile(schools=SCHOOLS, in_use={"users": 1}))
    assert holding(given, Limits()) == []
    wait = Limits(on_exceed=OnExceed.HOLD_REMOVALS)
    assert [hit.limit for hit in holding(given, wait)] == ["inUse", "deactivate", "perSchool", "perSchool"]
    held = replace(plan(update=751, held=101), profile=given.profile | {"in_use": {}}, held=[{}])
    assert [hit.limit for hit in beyond(held, wait)] == ["update"]


def with_users(district: District, **each: Any) -> District:
    """The district with every student's fields as these functions give them."""
    users = [
        changed(user, **{name: value(user) for name, value in each.items()}) if user.role is Role.STUDENT else user
        for user in district.users
    ]
    return changed(district, users=users)


@pytest.mark.store
def test_the_profile_counts_fields_roles_and_new_privileges(world: World, district: District) -> None:
    world.sync()
    students = [user for user in district.users if user.role is Role.STUDENT]
    moved = with_users(district, email=lambda user: user.email.replace("@", "@new."), phone=lambda user: "")
    first = next(user for user in moved.users if user.role is Role.STUDENT)
    moved = changed(
        moved, users=[changed(user, role=Role.PRINCIPAL) if user is first else user for user in moved.users]
    )
    world.sis.swap(moved)
    _, staged = world.stage()
    profile = Profile.from_dict(staged.plan.profile)
    assert profile.email_changes == len(students)
    assert profile.role_changes == profile.new_privileged == 1
    (email,) = [each for each in profile.fields if each.field == "email"]
    assert (email.entity, email.changed, email.emptied) == ("users", len(students), 0)
    phones = [each for each in profile.fields if each.field == "phone"]
    had = sum(bool(user.phone) for user in students)
    assert [(each.changed, each.emptied) for each in phones] == ([(had, had)] if had else [])
    assert [hit.limit for hit in staged.hits if hit.limit == "emailChange"] == ["emailChange"]
    told = str(staged.plan.profile)
    assert not [user.email for user in district.users if user.email in told or user.sourced_id in told]


@pytest.mark.store
def test_a_first_load_has_an_empty_profile_but_for_privileges(world: World, district: District) -> None:
    _, staged = world.stage()
    profile = Profile.from_dict(staged.plan.profile)
    assert (profile.fields, profile.role_changes, profile.in_use) == ([], 0, {})
    privileged = sum(user.role in {Role.PRINCIPAL, Role.DISTRICT_ADMINISTRATOR} for user in district.users)
    assert profile.new_privileged == privileged > 0
    assert staged.hits == []


@pytest.mark.store
def test_ids_in_use_hold_a_removal_of_a_single_record(world: World, district: District) -> None:
    world.sync()
    after = one_percent_changed(district, 5, share=0.01)
    gone = {user.sourced_id for user in district.users} - {user.sourced_id for user in after.users}
    stays = next(user.sourced_id for user in after.users)
    roster = world.roster
    url = readers.create(roster.database.owner_url, f"app_limits_{roster.number}", [roster.key()])
    try:
        with psycopg.connect(url, autocommit=True) as app:
            register = "select roster_app.register_use(%s, 'users', %s, 'plan', null)"
            app.execute(register, (roster.key(), [*gone, stays]))
        world.sis.swap(after)
        _, staged = world.stage()
        (hit,) = staged.hits
        assert (hit.limit, hit.entity, hit.count) == ("inUse", "users", len(gone))
        with psycopg.connect(url, autocommit=True) as app:
            app.execute("select roster_app.release_use(%s, 'plan')", (roster.key(),))
        assert world.stage()[1].hits == []
    finally:
        readers.drop(roster.database.owner_url, f"app_limits_{roster.number}")


@pytest.mark.store
def test_the_plan_that_a_merge_finds_changed_is_judged_anew(world: World, district: District) -> None:
    world.sync()
    world.sis.swap(with_users(district, email=lambda user: "x" + user.email))
    name, staged = world.stage()
    assert Profile.from_dict(staged.plan.profile).email_changes > 0
    other, _ = world.stage()
    world.merge(other, staged.plan.digest)
    result = world.merge(name, staged.plan.digest)
    assert Profile.from_dict(result.plan.profile).email_changes == 0
