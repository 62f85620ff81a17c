"""What a limit holds is named record by record: as many as the limit counts, and those."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace as changed
from tests.worker.worlds import World

from roster_operator.api.limits import LimitHit, Limits
from roster_operator.store import held, runs
from roster_operator.store.database import connect
from roster_operator.store.runs import RunName
from roster_operator.worker.decisions import held_for, schools_over
from roster_operator.worker.stage import Staged
from roster_sample_sis import District, Role
from roster_sample_sis.faults import Rekey
from roster_sample_sis.variants import one_percent_changed

pytestmark = pytest.mark.store

NOTHING = {"percent": 0, "floor": 0}
# Any change of a kind is beyond the limit of its kind.
STRICT = {
    **dict.fromkeys(("deactivate", "update", "create", "invalid", "roleChange", "emailChange", "rekeyed"), NOTHING),
    "perSchool": {"deactivate": NOTHING},
    "windowDays": 0,
}


def named(world: World, name: RunName, staged: Staged, hit: LimitHit) -> list[held.Held]:
    """The records of one hit, as `roster review --held` finds them."""
    over = schools_over(staged.plan, hit.max_percent, hit.max_count)
    schools = tuple(each.school for each in over if each.entity == hit.entity)
    with connect(world.roster.logins().stage_url) as conn:
        asked = held.Question(hit.limit, hit.entity, schools)
        return held.records(conn, runs.get(conn, name.run), asked, limit=100_000)


def much(world: World, district: District) -> None:
    """A fifth of everything changes: people go and come, classes and enrollments with them."""
    world.sis.swap(one_percent_changed(district, 5, share=0.2))


def roles_and_addresses(world: World, district: District) -> None:
    students = [user.sourced_id for user in district.users if user.role is Role.STUDENT][:30]
    promoted = set(students[:7])
    world.sis.swap(
        changed(
            district,
            users=[
                changed(user, email="x" + user.email, role=Role.AIDE if user.sourced_id in promoted else user.role)
                if user.sourced_id in set(students)
                else user
                for user in district.users
            ],
        )
    )


def people_rekeyed(world: World, district: District) -> None:
    world.sis.faults.add(Rekey())


def classes_rekeyed(world: World, district: District) -> None:
    world.sis.faults.add(Rekey(of="SEC"))


def repeated(world: World, district: District) -> None:
    twin = district.users[3]
    users = [*district.users[:3], changed(twin, given="Zz"), changed(twin, given="Yy"), *district.users[4:]]
    world.sis.swap(changed(district, users=users))


@pytest.mark.parametrize(
    ("happens", "limits"),
    [
        (much, {"deactivate", "update", "create", "perSchool"}),
        (roles_and_addresses, {"update", "roleChange", "emailChange"}),
        (people_rekeyed, {"rekeyed"}),
        (classes_rekeyed, {"rekeyed", "deactivate", "create", "perSchool"}),
        (repeated, {"invalid"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_limit_names_as_many_records_as_it_counts(
    world: World, district: District, happens: Callable[[World, District], None], limits: set[str]
) -> None:
    world.sync()
    happens(world, district)
    name, staged = world.stage(limits=Limits.from_dict(STRICT))
    assert limits <= {hit.limit for hit in staged.hits}
    for hit in staged.hits:
        records = named(world, name, staged, hit)
        assert {each.limit for each in records} == {hit.limit}
        if hit.limit == "perSchool":
            over = [each for each in schools_over(staged.plan, 0, 0) if each.entity == hit.entity]
            assert len(records) == sum(each.lost for each in over)
            assert {each.school for each in records} == {each.school for each in over}
        elif hit.limit == "rekeyed" and hit.entity != "users":
            # Each thing is two records: the one that goes, and the one that comes.
            assert [each.action for each in records].count("vanished") >= hit.count
            assert [each.action for each in records].count("create") >= hit.count
        else:
            assert len(records) == hit.count, hit
            assert len({each.sourced_id for each in records}) == hit.count
        if hit.entity == "users" and hit.limit != "invalid":
            assert all(each.label for each in records)


def test_the_people_who_would_get_another_role_are_named_and_no_others(world: World, district: District) -> None:
    world.sync()
    roles_and_addresses(world, district)
    name, staged = world.stage(limits=Limits.from_dict(STRICT))
    (hit,) = [each for each in staged.hits if each.limit == "roleChange"]
    students = [user for user in district.users if user.role is Role.STUDENT][:7]
    records = named(world, name, staged, hit)
    assert {each.sourced_id: each.label for each in records} == {
        user.sourced_id: f"{user.given} {user.family}" for user in students
    }


def test_removals_that_wait_are_named_too(world: World, district: District) -> None:
    world.sync()
    after = one_percent_changed(district, 5, share=0.2)
    world.sis.swap(after)
    name, staged = world.stage(limits=Limits.from_dict({**STRICT, "onExceed": "HoldRemovals"}))
    (hit,) = [each for each in held_for(staged.plan) if (each.limit, each.entity) == ("deactivate", "users")]
    gone = {user.sourced_id for user in district.users} - {user.sourced_id for user in after.users}
    assert {each.sourced_id for each in named(world, name, staged, hit)} == gone
    assert len(gone) == hit.count == staged.plan.entities["users"].held


def test_ids_in_use_are_named(world: World, district: District) -> None:
    world.sync()
    after = one_percent_changed(district, 5, share=0.01)
    gone = {user.sourced_id for user in district.users} - {user.sourced_id for user in after.users}
    world.roster.ask(
        "insert into roster.reference_use (tenant, entity, sourced_id, purpose, registered_by)"
        " select %s, 'users', i, 'plan', 'app' from unnest(%s::text[]) i returning 1",
        world.roster.key(),
        [sorted(gone)[0], next(user.sourced_id for user in after.users)],
    )
    world.sis.swap(after)
    name, staged = world.stage()
    (hit,) = [each for each in staged.hits if each.limit == "inUse"]
    assert [each.sourced_id for each in named(world, name, staged, hit)] == [sorted(gone)[0]]
