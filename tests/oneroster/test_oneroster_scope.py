"""What the settings take, decided without a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest

from roster_operator.oneroster.choices import ATTRIBUTES, EVERYTHING, NAMES, choose, empty_values
from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError
from roster_operator.oneroster.intake import Intake
from roster_operator.oneroster.records import Enrollment, User
from roster_operator.oneroster.scope import current_sessions, judges, out_of_scope
from roster_operator.oneroster.source import Raw


@dataclass(frozen=True)
class Session:
    sourced_id: str
    start: date
    end: date
    school_year: int | None = None
    parent: str | None = None


def year(name: str, first: int, **more: Any) -> Session:
    return Session(name, date(first, 8, 20), date(first + 1, 6, 10), **more)


def test_a_year_under_way_comes_with_its_parents_and_children() -> None:
    sessions = [
        year("old", 2025),
        Session("old-fall", date(2025, 8, 20), date(2026, 1, 10), parent="old"),
        year("now", 2026),
        Session("fall", date(2026, 8, 20), date(2027, 1, 10), parent="now"),
        Session("spring", date(2027, 1, 10), date(2027, 6, 10), parent="now"),
        Session("spring-1", date(2027, 1, 10), date(2027, 3, 10), parent="spring"),
        year("next", 2027),
    ]
    wanted = {"now", "fall", "spring", "spring-1"}
    assert current_sessions(sessions, date(2026, 11, 1)) == wanted
    assert current_sessions(sessions, date(2026, 8, 20)) == wanted
    assert current_sessions(sessions, date(2027, 6, 9)) == wanted
    # Exclusive: the year is over, and stays until the next one begins.
    assert current_sessions(sessions, date(2027, 7, 15)) == wanted
    assert current_sessions(sessions, date(2027, 8, 20)) == {"next"}
    assert current_sessions(sessions, date(2020, 1, 1)) == set()


def test_without_parents_the_school_year_ties_sessions_together() -> None:
    sessions = [
        Session("fall", date(2026, 8, 20), date(2027, 1, 10), 2027),
        Session("spring", date(2027, 1, 10), date(2027, 6, 10), 2027),
        Session("before", date(2026, 1, 10), date(2026, 6, 10), 2026),
    ]
    assert current_sessions(sessions, date(2026, 11, 1)) == {"fall", "spring"}


def test_circles_of_parents_end() -> None:
    a = Session("a", date(2026, 8, 1), date(2027, 6, 1), parent="b")
    b = Session("b", date(2025, 8, 1), date(2026, 6, 1), parent="a")
    assert current_sessions([a, b], date(2026, 9, 1)) == {"a", "b"}
    assert current_sessions([], date(2026, 9, 1)) == set()


def person(*roles: tuple[str, str], orgs: tuple[str, ...] = ()) -> User:
    raw = {
        "sourcedId": "u1",
        "status": "active",
        "enabledUser": True,
        "givenName": "Ada",
        "familyName": "North",
        "username": "ada",
        "roles": [{"roleType": "primary", "role": role, "org": {"sourcedId": org}} for role, org in roles],
        "orgs": [{"sourcedId": org} for org in orgs],
    }
    record = Decoder(Entity.USERS, "1.2")(msgspec.json.encode(raw)).record
    assert isinstance(record, User)
    return record


def is_out(record: User, gone: frozenset[str] = frozenset(), **settings: Any) -> bool:
    found = out_of_scope(choose(**settings), Entity.USERS, [record], lambda _, ids: set(gone.intersection(ids)))
    return found == {0}


def test_a_person_stays_by_any_listed_school_or_by_having_none() -> None:
    out = frozenset({"south", "west"})
    settings: dict[str, Any] = {"schools": ["north"]}
    assert not is_out(person(("teacher", "south"), ("teacher", "north")), out, **settings)
    assert is_out(person(("teacher", "south")), out, **settings)
    assert is_out(person(("teacher", "south"), ("teacher", "district")), out, **settings)
    assert not is_out(person(("systemAdministrator", "district")), out, **settings)


def test_any_wanted_role_at_a_taken_school_counts() -> None:
    wanted: dict[str, Any] = {"roles": ["student", "teacher"]}
    assert not is_out(person(("principal", "north"), ("teacher", "north")), **wanted)
    assert is_out(person(("principal", "north")), **wanted)
    both: dict[str, Any] = {"roles": ["teacher"], "schools": ["north"]}
    out = frozenset({"south"})
    assert is_out(person(("guardian", "north"), ("teacher", "south")), out, **both)
    assert not is_out(person(("teacher", "north"), ("guardian", "south")), out, **both)


def test_without_settings_nothing_is_looked_at() -> None:
    for entity in Entity:
        intake = Intake(EVERYTHING, entity)
        assert not judges(EVERYTHING, entity)
        assert (intake.changes, intake.reading) == (False, "")
        decode = Decoder(entity, "1.2")
        assert intake.decoder(decode) is decode
    assert not EVERYTHING.scoped


def test_every_setting_that_changes_what_bytes_mean_is_part_of_the_reading() -> None:
    def reading(entity: Entity, **settings: Any) -> str:
        return Intake(choose(**settings), entity).reading

    users = [
        reading(Entity.USERS, **settings)
        for settings in (
            {},
            {"omit": ["users.phone"]},
            {"omit": ["users.sms"]},
            {"role_mapping": {"aide": "proctor"}},
            {"role_mapping": {"aide": "teacher"}},
            {"schools": ["a"]},
            {"schools": ["b"]},
            {"roles": ["student"]},
        )
    ]
    assert len(set(users)) == len(users)
    assert reading(Entity.USERS, schools=["a", "b"]) == reading(Entity.USERS, schools=["b", "a"])
    assert reading(Entity.COURSES, omit=["users.phone"], role_mapping={"aide": "teacher"}, schools=["a"]) == ""


def test_every_field_has_one_name_of_the_standard() -> None:
    assert NAMES[Entity.USERS]["preferred_family_name"] == ("preferredLastName", "preferredFamilyName")
    assert ATTRIBUTES[Entity.USERS]["preferredGivenName"] == "preferred_given_name"
    assert ATTRIBUTES[Entity.DEMOGRAPHICS]["hispanicOrLatinoEthnicity"] == "hispanic_or_latino_ethnicity"
    assert ATTRIBUTES[Entity.CLASSES]["subjectCodes"] == "subject_codes"
    for entity in Entity:
        assert len(ATTRIBUTES[entity]) == sum(map(len, NAMES[entity].values()))
    assert empty_values(Entity.CLASSES)["periods"] == []
    assert empty_values(Entity.CLASSES)["location"] is None


@pytest.mark.parametrize(
    "name",
    [
        *(
            "users.sourcedId",
            "users.status",
            "users.givenName",
            "users.roles",
            "users.orgs",
            "classes.terms",
            "orgs.name",
        ),
        *("users.orgs", "enrollments.class", "academicSessions.endDate", "users.dateLastModified"),
        *("users.telephone", "user.phone", "people"),
    ],
)
def test_what_a_record_cannot_be_without_and_what_is_unknown_is_refused(name: str) -> None:
    with pytest.raises(OneRosterError) as refused:
        choose(omit=[name])
    assert refused.value.reason == "SettingsInvalid"
    assert name.split(".", maxsplit=1)[0] in refused.value.message
    assert refused.value.next_step


@pytest.mark.parametrize(
    "settings",
    [
        {"schools": ["a"], "entities": ["users"]},
        {"roles": ["student"], "omit": ["users"]},
        {"current_terms": True, "omit": ["academicSessions"]},
        {"enrolled_only": True, "entities": ["users"]},
    ],
)
def test_scope_that_cannot_be_decided_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(OneRosterError) as refused:
        choose(**settings)
    assert refused.value.reason == "SettingsInvalid"


def shaped(raw: dict[str, Any], entity: Entity = Entity.USERS, **settings: Any):
    data: Raw = msgspec.json.encode(raw)
    return Intake(choose(**settings), entity).decoder(Decoder(entity, "1.1"))(data)


USER = {
    "sourcedId": "u1",
    "status": "active",
    "enabledUser": True,
    "givenName": "Ada",
    "familyName": "North",
    "username": "ada",
    "role": "Para Pro",
    "orgs": [{"sourcedId": "o1"}],
}


def test_what_is_wrong_in_an_omitted_field_is_never_said() -> None:
    broken = USER | {"role": "aide", "phone": ["no", "text"], "metadata": "no object", "preferredFirstName": 7}
    assert shaped(broken).record is None
    found = shaped(broken, omit=["users.phone", "users.metadata", "users.preferredFirstName"])
    assert found.problems == ()
    assert isinstance(found.record, User)
    assert (found.record.phone, found.record.metadata, found.record.preferred_given_name) == (None, None, None)


def test_a_mapped_role_is_known_and_an_unknown_one_is_kept() -> None:
    kept = shaped(USER, role_mapping={"other": "aide"})
    assert isinstance(kept.record, User)
    assert (kept.record.role, [each.code for each in kept.problems]) == ("Para Pro", ["UnknownVocabulary"])
    mapped = shaped(USER, role_mapping={"Para Pro": "aide"})
    assert isinstance(mapped.record, User)
    assert (mapped.record.role, mapped.record.roles[0]["role"], mapped.problems) == ("aide", "aide", ())
    worse = shaped(USER | {"role": "aide"}, role_mapping={"aide": "boss"})
    assert isinstance(worse.record, User)
    assert (worse.record.role, [each.code for each in worse.problems]) == ("boss", ["UnknownVocabulary"])


def test_enrollments_have_mapped_roles_too() -> None:
    raw = {
        "sourcedId": "e1",
        "status": "active",
        "role": "ext:para",
        **{name: {"sourcedId": name} for name in ("user", "class", "school")},
    }
    found = shaped(raw, Entity.ENROLLMENTS, role_mapping={"ext:para": "aide"})
    assert isinstance(found.record, Enrollment)
    assert (found.record.role, found.problems) == ("aide", ())
    odd = shaped(raw, Entity.ENROLLMENTS, role_mapping={"ext:para": "guardian"})
    assert [(each.code, each.field) for each in odd.problems] == [("UnknownVocabulary", "role")]
