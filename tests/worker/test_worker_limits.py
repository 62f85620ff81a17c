"""Every limit holds what goes beyond it, says by how much, and lets the rest pass."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from msgspec.structs import replace as changed
from tests.worker.worlds import World

from roster_operator.api.limits import Limit, Limits
from roster_operator.store import readers
from roster_operator.store.plan import EntityPlan, Plan
from roster_operator.store.profile import Profile
from roster_operator.worker.decisions import beyond
from roster_sample_sis import District, Role
from roster_sample_sis.variants import one_percent_changed


def plan(base_version: int = 3, profile: Profile | None = None, **users: int) -> Plan:
    made = EntityPlan(**{"received": 1000, "active": 1000, **users})
    return Plan("sha256:0", base_version, {"users": made}, True, None, profile=(profile or Profile()).to_dict())


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
