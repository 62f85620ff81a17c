"""What is taken of a source: scope, omitted fields, roles and masked values, from the SIS to merged rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace
from tests.store.fixtures import CLUSTER, NAMESPACE, run_name
from tests.worker.worlds import World, model

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.limits import Limit, Limits
from roster_operator.oneroster.choices import EVERYTHING, Choices, choose
from roster_operator.oneroster.errors import OneRosterError
from roster_operator.oneroster.rest import RestSource
from roster_operator.store import review, runs
from roster_operator.store.database import connect
from roster_operator.store.merge import Merged
from roster_operator.store.plan import Plan
from roster_operator.store.runs import RunName
from roster_operator.worker.choices import choices_of
from roster_operator.worker.stage import Staged, stage
from roster_operator.worker.summaries import plan_summary
from roster_sample_sis import District
from roster_sample_sis.districts import day
from roster_sample_sis.faults import WrongTotal

pytestmark = pytest.mark.store

TODAY = date(2026, 11, 2)
LOW = Limits(deactivate=Limit(percent=10, floor=5))
NORTH = "ORG00101"
OTHERS = {"ORG00102", "ORG00103"}
Ids = dict[str, set[str]]


def stage_with(
    world: World, choices: Choices, *, limits: Limits | None = None, name: RunName | None = None
) -> tuple[RunName, Staged]:
    name = name or run_name()
    with RestSource(world.settings()) as source, connect(world.roster.logins().stage_url) as conn:
        runs.claim(conn, world.roster.key(), CLUSTER, NAMESPACE, "springfield")
        return name, stage(source, conn, name, 1, limits or Limits(), _silent, choices)


def _silent(_entity: str, _records: int, _total: int | None) -> None:
    pass


def sync_with(world: World, choices: Choices) -> Staged:
    """Stage twice, which must give the same plan, and merge."""
    _, before = stage_with(world, choices)
    name, staged = stage_with(world, choices)
    assert staged.plan.digest == before.plan.digest
    assert isinstance(world.merge(name, staged.plan.digest), Merged)
    _, after = stage_with(world, choices)
    assert changes(after) == {}
    return staged


def changes(staged: Staged) -> dict[str, dict[str, int]]:
    """What a plan does, by entity; only what is not nothing."""
    found = {
        entity: {
            what: count
            for what in ("create", "update", "reactivate", "tobedeleted", "vanished", "out_of_scope", "withheld")
            if (count := getattr(plan, what))
        }
        for entity, plan in staged.plan.entities.items()
    }
    return {entity: counts for entity, counts in found.items() if counts}


def issues(staged: Staged) -> dict[tuple[str, str], int]:
    return {(issue["code"], issue["entity"]): issue["count"] for issue in staged.plan.issues}


def active(world: World) -> Ids:
    return {
        entity: {i for i, row in rows.items() if row["status"] == "active"}
        for entity, rows in world.roster.snapshot().items()
    }


def causes(world: World) -> dict[str, set[str]]:
    """Why rows are inactive, by entity."""
    found = {
        entity: {row["inactive_cause"] for row in rows.values() if row["status"] == "inactive"}
        for entity, rows in world.roster.snapshot().items()
    }
    return {entity: why for entity, why in found.items() if why}


def taken(
    district: District,
    *,
    org: Callable[[str, dict[str, Any]], bool] = lambda _i, _o: True,
    session: Callable[[str], bool] = lambda _: True,
    person: Callable[[dict[str, Any]], bool] = lambda _: True,
    enrolled_only: bool = False,
) -> Ids:
    """A model of scope in plain Python, over the model of the rows."""
    rows = model(district)
    orgs = {i for i, row in rows["orgs"].items() if org(i, row)}
    sessions = {i for i in rows["academicSessions"] if session(i)}
    classes = {
        i
        for i, row in rows["classes"].items()
        if row["school_sourced_id"] in orgs and sessions.intersection(row["term_sourced_ids"])
    }
    users = {i for i, row in rows["users"].items() if orgs.intersection(row["org_sourced_ids"]) and person(row)}
    enrollments = {
        i
        for i, row in rows["enrollments"].items()
        if row["class_sourced_id"] in classes and row["user_sourced_id"] in users
    }
    if enrolled_only:
        enrolled = {rows["enrollments"][i]["user_sourced_id"] for i in enrollments}
        users = {i for i in users if rows["users"][i]["role"] != "student" or i in enrolled}
    return {
        "orgs": orgs,
        "academicSessions": sessions,
        "courses": set(rows["courses"]),
        "classes": classes,
        "users": users,
        "enrollments": enrollments,
        "demographics": {i for i in rows["demographics"] if i in users},
    }


def north_alone(district: District) -> Ids:
    return taken(district, org=lambda i, _: i not in OTHERS)


def test_schools_alone_arrive_and_the_others_are_not_even_staged(world: World, district: District) -> None:
    choices = choose(schools=[NORTH], today=TODAY)
    wanted = north_alone(district)
    name, staged = stage_with(world, choices)
    found = {entity: plan.create for entity, plan in staged.plan.entities.items()}
    assert found == {entity: len(ids) for entity, ids in wanted.items()}
    for entity, plan in staged.plan.entities.items():
        assert plan.left_out == plan.received - len(wanted[entity]), entity
        assert plan.unchanged == 0
    assert staged.plan.issues == []
    for table in ("users", "enrollments", "demographics", "classes", "orgs"):
        prefix = world.roster.one("select roster.stage_table(%s, %s, 1, %s)", world.roster.key(), name.run, table)
        ids = {i for (i,) in world.roster.ask(f"select sourced_id from roster_stage.{prefix}")}
        assert ids == wanted[table], table
    world.merge(name, staged.plan.digest)
    assert active(world) == wanted
    assert causes(world) == {}


def test_scope_narrowed_after_a_merge_names_its_removals_and_counts_them(world: World, district: District) -> None:
    sync_with(world, choose(today=TODAY))
    everything = active(world)
    choices = choose(schools=[NORTH], today=TODAY)
    wanted = north_alone(district)
    name, staged = stage_with(world, choices, limits=LOW)
    gone = {entity: len(everything[entity] - ids) for entity, ids in wanted.items()}
    assert changes(staged) == {entity: {"out_of_scope": count} for entity, count in gone.items() if count}
    assert {hit.entity: hit.count for hit in staged.hits if hit.limit == "deactivate"} == {
        entity: count for entity, count in gone.items() if count > 5
    }
    with connect(world.roster.logins().stage_url) as conn:
        shown = review.changes(conn, runs.get(conn, name.run), "orgs")
    assert {(change.action, change.sourced_id) for change in shown} == {("outOfScope", i) for i in OTHERS}
    world.merge(name, staged.plan.digest)
    assert active(world) == wanted
    assert set.union(*causes(world).values()) == {"outOfScope"}
    logged = world.roster.ask(
        "select entity, count(*) from roster.change_log where tenant = %s and action = 'outOfScope' group by 1",
        world.roster.key(),
    )
    assert dict(logged) == {entity: count for entity, count in gone.items() if count}
    # The same again changes nothing, and widening brings everything back.
    assert changes(sync_with(world, choices)) == {}
    wider = sync_with(world, choose(today=TODAY))
    assert changes(wider) == {entity: {"reactivate": count} for entity, count in gone.items() if count}
    world.assert_rows_are(district)


def test_what_is_out_of_scope_goes_without_proof_and_what_is_missing_stays(world: World, district: District) -> None:
    sync_with(world, choose(today=TODAY))
    wanted = north_alone(district)
    lost = next(i for i in sorted(wanted["users"]) if model(district)["users"][i]["role"] == "aide")
    world.sis.swap(replace(district, users=[user for user in district.users if user.sourced_id != lost]))
    world.sis.faults.set(WrongTotal(by=1))
    name, staged = stage_with(world, choose(schools=[NORTH], today=TODAY))
    assert not staged.plan.complete
    assert {what for counts in changes(staged).values() for what in counts} == {"out_of_scope", "withheld"}
    assert changes(staged)["users"]["withheld"] == 1
    world.merge(name, staged.plan.digest)
    assert active(world) == wanted


def test_a_school_that_nobody_knows_is_said(world: World) -> None:
    _, staged = stage_with(world, choose(schools=[NORTH, "ORG-typo"], today=TODAY))
    assert issues(staged) == {("ScopedSchoolMissing", "orgs"): 1}


def test_roles_and_what_follows_from_them(world: World, district: District) -> None:
    sync_with(world, choose(today=TODAY))
    sync_with(world, choose(roles=["student", "principal"], today=TODAY))
    wanted = taken(district, person=lambda row: row["role"] in {"student", "principal"})
    assert active(world) == wanted
    assert causes(world) == {"users": {"outOfScope"}, "enrollments": {"outOfScope"}}


def test_terms_that_are_over_fall_out_with_their_unchanged_classes(world: World, district: District) -> None:
    past = replace(
        district.sessions[0],
        number=171,
        start=day(date(2025, 8, 24)),
        end=day(date(2026, 6, 12)),
        school_year=2026,
    )
    classes = [replace(each, terms=(171,)) if at < 5 else each for at, each in enumerate(district.classes)]
    classes[5] = replace(classes[5], terms=(171, *classes[5].terms))
    with_past = replace(district, sessions=[past, *district.sessions], classes=classes)
    world.sis.swap(with_past)
    sync_with(world, choose(today=TODAY))
    name, staged = stage_with(world, choose(current_terms=True, today=TODAY))
    wanted = taken(with_past, session=lambda i: i != past.sourced_id)
    pulls = world.roster.one("select pull from roster.sync_run where run = %s", name.run)
    assert {pull["staged"] for pull in pulls.values()} == {0}  # not one record was decoded
    assert staged.plan.entities["classes"].concluded == 5  # they fell out of scope because they had ended
    assert staged.plan.entities["classes"].left_out == 5
    world.merge(name, staged.plan.digest)
    assert active(world) == wanted
    # As a first sync it is the same: with the records decoded, not from what is merged.
    assert changes(sync_with(world, choose(current_terms=True, today=TODAY))) == {}
    sync_with(world, choose(today=TODAY))
    world.assert_rows_are(with_past)


def test_terms_that_are_over_are_left_out_of_a_first_sync(world: World, district: District) -> None:
    past = replace(district.sessions[0], number=171, start=day(date(2025, 8, 24)), end=day(date(2026, 6, 12)),
                   school_year=2026)  # fmt: skip
    classes = [replace(each, terms=(171,)) if at < 5 else each for at, each in enumerate(district.classes)]
    with_past = replace(district, sessions=[past, *district.sessions], classes=classes)
    world.sis.swap(with_past)
    staged = sync_with(world, choose(current_terms=True, today=TODAY))
    assert staged.plan.issues == []
    assert active(world) == taken(with_past, session=lambda i: i != past.sourced_id)


def without_enrollments(district: District, students: set[int]) -> District:
    rows = [row for row, user in enumerate(district.enrollments.user) if user not in students]
    return replace(district, enrollments=district.enrollments.pick(rows))


def test_students_whose_enrollments_went_go_though_they_did_not_change(world: World, district: District) -> None:
    choices = choose(enrolled_only=True, today=TODAY)
    sync_with(world, choices)
    world.assert_rows_are(district)
    students = {student.number for student in district.students[:7]}
    fewer = without_enrollments(district, students)
    world.sis.swap(fewer)
    # An unproved pull removes no enrollment, so these students still have one.
    world.sis.faults.set(WrongTotal(by=1))
    _, unproved = stage_with(world, choices)
    assert not any("out_of_scope" in counts for counts in changes(unproved).values())
    world.sis.faults.clear()
    staged = sync_with(world, choices)
    assert changes(staged)["users"] == {"out_of_scope": 7}
    assert staged.plan.entities["enrollments"].out_of_scope == 0
    assert active(world) == taken(fewer, enrolled_only=True)
    world.sis.swap(district)
    assert changes(sync_with(world, choices))["users"] == {"reactivate": 7}
    world.assert_rows_are(district)


def test_students_without_enrollments_do_not_arrive(world: World, district: District) -> None:
    fewer = without_enrollments(district, {student.number for student in district.students[:7]})
    world.sis.swap(fewer)
    staged = sync_with(world, choose(enrolled_only=True, today=TODAY))
    assert staged.plan.entities["users"].left_out == 7
    assert staged.plan.issues == []
    assert active(world) == taken(fewer, enrolled_only=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"omit": ["demographics"]},
        {"entities": ["orgs", "academicSessions", "courses", "classes", "users", "enrollments"]},
    ],
    ids=["fields.omit", "scope.entities"],
)
def test_an_entity_that_is_not_taken_is_not_read_and_its_rows_go(
    world: World, district: District, settings: dict[str, Any]
) -> None:
    sync_with(world, choose(today=TODAY))
    choices = choose(today=TODAY, **settings)
    name, staged = stage_with(world, choices, limits=LOW)
    assert changes(staged) == {"demographics": {"out_of_scope": len(district.demographics)}}
    assert "demographics" in {hit.entity for hit in staged.hits}
    assert staged.plan.entities["demographics"].received == 0
    world.merge(name, staged.plan.digest)
    assert active(world)["demographics"] == set()
    sync_with(world, choose(today=TODAY))
    world.assert_rows_are(district)


def test_people_without_orgs_and_classes_to_refer_to(world: World, district: District) -> None:
    staged = sync_with(world, choose(entities=["users"], today=TODAY))
    assert changes(staged) == {"users": {"create": len(district.users)}}
    assert staged.plan.issues == []


def test_an_omitted_field_never_reaches_staging_and_comes_back_when_it_is_wanted(
    world: World, district: District
) -> None:
    phones = sum(bool(user.phone) for user in district.users)
    assert phones
    sync_with(world, choose(today=TODAY))
    omitted = choose(omit=["users.phone", "classes.location"], today=TODAY)
    name, staged = stage_with(world, omitted)
    assert changes(staged)["users"] == {"update": phones}
    users = world.roster.one("select roster.stage_table(%s, %s, 1, 'users')", world.roster.key(), name.run)
    assert world.roster.one(f"select count(phone) from roster_stage.{users}") == 0
    world.merge(name, staged.plan.digest)
    rows = world.roster.snapshot()
    assert {row["phone"] for row in rows["users"].values()} == {None}
    assert {row["location"] for row in rows["classes"].values()} == {None}
    assert changes(sync_with(world, omitted)) == {}
    sync_with(world, choose(today=TODAY))
    world.assert_rows_are(district)


def test_roles_are_taken_as_the_mapping_says_and_again_when_it_changes(world: World, district: District) -> None:
    def roles() -> dict[str, set[str]]:
        rows = world.roster.snapshot()["users"].values()
        return {
            "role": {row["role"] for row in rows},
            "roles": {each["role"] for row in rows for each in row["roles"]},
        }

    sync_with(world, choose(today=TODAY))
    assert {"aide", "principal"} <= roles()["role"]
    mapped = sync_with(world, choose(role_mapping={"aide": "proctor", "PRINCIPAL": "ext:head"}, today=TODAY))
    assert changes(mapped)["users"]["update"] == 4
    for found in roles().values():
        assert {"proctor", "ext:head"} <= found
        assert found.isdisjoint({"aide", "principal"})
    sync_with(world, choose(today=TODAY))
    world.assert_rows_are(district)


def test_a_mapped_role_is_what_scope_looks_at(world: World, district: District) -> None:
    sync_with(world, choose(role_mapping={"teacher": "ext:staff"}, roles=["ext:staff"], today=TODAY))
    assert active(world)["users"] == {user.sourced_id for user in district.users if user.role == "teacher"}


def test_masked_values_are_withheld_and_the_merged_ones_stay(world: World, district: District) -> None:
    sync_with(world, choose(today=TODAY))
    person = next(user for user in district.users if user.phone)

    def with_person(**values: Any) -> District:
        changed = replace(person, **values)
        return replace(district, users=[changed if user is person else user for user in district.users])

    world.sis.swap(with_person(given="T***", family="****", email="t***@example.org", phone="***-***-**34"))
    staged = sync_with(world, choose(today=TODAY))
    assert changes(staged) == {}
    assert issues(staged) == {("ValueMasked", "users"): 5}  # the username is the e-mail's first part
    world.assert_rows_are(district)
    # What is not masked in the same record is a change as any other.
    world.sis.swap(with_person(given="T***", preferred="Another"))
    assert changes(sync_with(world, choose(today=TODAY))) == {"users": {"update": 1}}
    world.assert_rows_are(with_person(preferred="Another"))
    world.sis.swap(with_person(given="Unmasked"))
    assert changes(sync_with(world, choose(today=TODAY))) == {"users": {"update": 1}}
    world.assert_rows_are(with_person(given="Unmasked"))


def test_a_new_person_who_is_masked_has_what_a_record_needs(world: World, district: District) -> None:
    person = next(user for user in district.users if user.phone)
    masked = replace(person, given="T***", phone="****", email="****")
    world.sis.swap(replace(district, users=[masked if user is person else user for user in district.users]))
    staged = sync_with(world, choose(today=TODAY))
    assert issues(staged) == {("ValueMasked", "users"): 4}
    row = world.roster.snapshot()["users"][person.sourced_id]
    assert (row["given_name"], row["phone"], row["email"]) == ("T***", None, None)
    assert row["family_name"] == person.family
    world.sis.swap(district)
    assert changes(sync_with(world, choose(today=TODAY))) == {"users": {"update": 1}}
    world.assert_rows_are(district)


def test_what_was_taken_is_told_with_the_plan_and_names_no_school(world: World) -> None:
    mapping = {f"ext:word{n}": "aide" for n in range(10)}
    chosen = choose(
        schools=[NORTH], roles=["Teacher", "student"], current_terms=True, enrolled_only=True,
        omit=["users.preferredGivenName", "users.phone", "demographics"], role_mapping=mapping | {"<b>Ada</b>": "aide"},
        today=TODAY,
    )  # fmt: skip
    name, staged = stage_with(world, chosen)
    taken = plan_summary(staged.plan, []).taken
    assert taken is not None
    assert taken.to_dict() == {
        "schools": 1,
        "roles": ["student", "teacher"],
        "terms": "Current",
        "enrolledOnly": True,
        "entities": ["orgs", "academicSessions", "courses", "classes", "users", "enrollments"],
        "omitted": ["users.phone", "users.preferredFirstName"],
        "roleMapping": {f"ext:word{n}": "aide" for n in range(8)},
        "more": 3,
    }
    assert NORTH not in taken.model_dump_json()
    # It is the plan's own: it stays when the plan is read again, and when it is merged.
    with connect(world.roster.logins().stage_url) as conn:
        again = Plan.from_run(runs.get(conn, name.run))
    assert plan_summary(again, []).taken == taken
    done = world.merge(name, staged.plan.digest)
    assert isinstance(done, Merged)
    assert plan_summary(done.plan, []).taken == taken
    assert stage_with(world, EVERYTHING)[1].plan.taken is None


def test_the_spec_becomes_choices() -> None:
    spec = RosterConnectionSpec.from_dict(
        {
            "api": {
                "endpoint": "https://sis.example.org",
                "auth": {"tokenURL": "https://sis.example.org/token", "secretRef": {"name": "sis"}},
            },
            "scope": {"schools": ["a"], "roles": ["Student"], "terms": "Current", "enrolledOnly": True},
            "fields": {"omit": ["users.preferredFirstName", "demographics"]},
            "roleMapping": {"ext:para": "aide"},
        }
    )
    found = choices_of(spec)
    assert (found.schools, found.roles, found.current_terms, found.enrolled_only) == ({"a"}, {"student"}, True, True)
    assert [str(entity) for entity in found.untaken] == ["demographics"]
    assert {str(entity): names for entity, names in found.omit.items()} == {"users": {"preferred_given_name"}}
    assert found.role_mapping == {"ext:para": "aide"}
    with pytest.raises(OneRosterError) as refused:
        choices_of(spec.model_copy(update={"fields": spec.fields.model_copy(update={"omit": ["users.givenName"]})}))
    assert refused.value.reason == "SettingsInvalid"
