"""One record at a time: what is understood, what is refused, and that nothing of a value leaks."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from roster_operator.oneroster.decode import Decoded, Decoder, Version
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.records import Class, Demographics, Enrollment, User
from roster_operator.oneroster.references import REFERENCES

ORG = {"sourcedId": "o1", "status": "active", "name": "Hill School", "type": "school", "identifier": "7"}
SESSION = {"sourcedId": "s1", "status": "active", "title": "Fall", "type": "term", "startDate": "2026-08-01",
           "endDate": "2026-12-20", "schoolYear": "2027"}  # fmt: skip
COURSE = {"sourcedId": "c1", "status": "active", "title": "Algebra", "courseCode": "A1"}
CLASS = {"sourcedId": "k1", "status": "active", "title": "Algebra 1", "course": {"sourcedId": "c1"},
         "school": {"sourcedId": "o1"}, "terms": [{"sourcedId": "s1"}]}  # fmt: skip
USER = {"sourcedId": "u1", "status": "active", "enabledUser": "true", "givenName": "Ann", "familyName": "Null",
        "username": "ann", "role": "student", "orgs": [{"sourcedId": "o1"}]}  # fmt: skip
ENROLLMENT = {"sourcedId": "e1", "status": "active", "user": {"sourcedId": "u1"}, "class": {"sourcedId": "k1"},
              "school": {"sourcedId": "o1"}, "role": "student"}  # fmt: skip
DEMOGRAPHICS = {"sourcedId": "u1", "status": "active", "sex": "female"}
PLAIN: dict[Entity, dict[str, Any]] = {
    Entity.ORGS: ORG,
    Entity.ACADEMIC_SESSIONS: SESSION,
    Entity.COURSES: COURSE,
    Entity.CLASSES: CLASS,
    Entity.USERS: USER,
    Entity.ENROLLMENTS: ENROLLMENT,
    Entity.DEMOGRAPHICS: DEMOGRAPHICS,
}
USER_1_2 = USER | {"roles": [{"roleType": "primary", "role": "student", "org": {"sourcedId": "o1"}}]}
WITHOUT = object()


def plain(entity: Entity, version: Version) -> dict[str, Any]:
    """A record that nothing is wrong with."""
    return USER_1_2 if (entity, version) == (Entity.USERS, "1.2") else PLAIN[entity]


def read(entity: Entity, version: Version = "1.1", **changes: Any) -> Decoded:
    fields = {name: value for name, value in (plain(entity, version) | changes).items() if value is not WITHOUT}
    return Decoder(entity, version)(json.dumps(fields).encode())


def findings(decoded: Decoded) -> set[tuple[str, str | None]]:
    return {(problem.code, problem.field) for problem in decoded.problems}


@pytest.mark.parametrize("entity", list(Entity))
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_plain_record_has_no_problem(entity: Entity, version: Version) -> None:
    decoded = read(entity, version)
    assert decoded.record is not None
    assert (decoded.problems, decoded.secret) == ((), False)
    assert decoded.sourced_id == PLAIN[entity]["sourcedId"]


@pytest.mark.parametrize("entity", list(Entity))
def test_bytes_memoryviews_and_raw_slices_are_alike(entity: Entity) -> None:
    data = json.dumps(PLAIN[entity]).encode()
    decode = Decoder(entity, "1.1")
    assert decode(data) == decode(memoryview(data)) == decode(msgspec.Raw(data))


REQUIRED = [
    (entity, name)
    for entity, names in {
        Entity.ORGS: "sourcedId name type",
        Entity.ACADEMIC_SESSIONS: "sourcedId title type startDate endDate",
        Entity.COURSES: "sourcedId title",
        Entity.CLASSES: "sourcedId title course school",
        Entity.USERS: "sourcedId enabledUser givenName familyName role",
        Entity.ENROLLMENTS: "sourcedId user class school role",
        Entity.DEMOGRAPHICS: "sourcedId",
    }.items()
    for name in names.split()
]


@pytest.mark.parametrize(("entity", "name"), REQUIRED)
@pytest.mark.parametrize("nothing", [WITHOUT, None, ""])
def test_what_is_required_must_be_there(entity: Entity, name: str, nothing: object) -> None:
    decoded = read(entity, **{name: nothing})
    assert decoded.record is None
    assert ("MissingRequired", name) in findings(decoded)
    assert decoded.sourced_id == (None if name == "sourcedId" else PLAIN[entity]["sourcedId"])


@pytest.mark.parametrize(
    ("entity", "version", "name"),
    [
        (Entity.ORGS, "1.2", "identifier"),
        (Entity.COURSES, "1.2", "courseCode"),
        (Entity.ACADEMIC_SESSIONS, "1.1", "schoolYear"),
        (Entity.CLASSES, "1.1", "terms"),
        (Entity.USERS, "1.1", "orgs"),
        (Entity.USERS, "1.1", "status"),
    ],
)
def test_what_a_record_can_live_without_is_a_warning(entity: Entity, version: Version, name: str) -> None:
    decoded = read(entity, version, **{name: WITHOUT})
    assert decoded.record is not None
    assert findings(decoded) == {("MissingExpected", name)}


# (entity, changes, code, field); all make the record invalid.
INVALID: list[tuple[Entity, dict[str, Any], str, str | None]] = [
    *((entity, {"sourcedId": "x" * 256}, "IdTooLong", "sourcedId") for entity in Entity),
    *((entity, {"sourcedId": "a\0b"}, "NulCharacter", "sourcedId") for entity in Entity),
    *((entity, {"sourcedId": 7}, "WrongType", "sourcedId") for entity in Entity),
    *((entity, {"sourcedId": ["a"]}, "WrongType", "sourcedId") for entity in Entity),
    *((entity, {"status": "retired"}, "BadStatus", "status") for entity in Entity),
    *((entity, {"status": 1}, "BadStatus", "status") for entity in Entity),
    *((entity, {"metadata": {"a": "x\0"}}, "NulCharacter", "metadata") for entity in Entity),
    *((entity, {"metadata": {"a\0": "x"}}, "NulCharacter", "metadata") for entity in Entity),
    *((entity, {"metadata": {"a": "x" * 17_000}}, "MetadataTooLarge", "metadata") for entity in Entity),
    *((entity, {"metadata": {"a": json.loads("[" * 9 + "]" * 9)}}, "MetadataTooDeep", "metadata") for entity in Entity),
    *((entity, {"metadata": [1]}, "WrongType", "metadata") for entity in Entity),
    *((entity, {"metadata": {"a": 10**30}}, "NumberOutOfRange", "metadata") for entity in Entity),
    (Entity.ORGS, {"name": "a\0b"}, "NulCharacter", "name"),
    (Entity.ORGS, {"name": ["a"]}, "WrongType", "name"),
    (Entity.ORGS, {"name": True}, "WrongType", "name"),
    (Entity.ORGS, {"name": 1.5}, "WrongType", "name"),
    (Entity.ORGS, {"name": "x" * 2001}, "TextTooLong", "name"),
    (Entity.ORGS, {"parent": 4}, "WrongType", "parent"),
    (Entity.ORGS, {"parent": {"sourcedId": 4}}, "WrongType", "parent"),
    (Entity.ORGS, {"parent": {"sourcedId": "x" * 256}}, "IdTooLong", "parent"),
    (Entity.ACADEMIC_SESSIONS, {"startDate": "1/05/2023"}, "BadDate", "startDate"),
    (Entity.ACADEMIC_SESSIONS, {"startDate": "2026-02-30"}, "BadDate", "startDate"),
    (Entity.ACADEMIC_SESSIONS, {"startDate": "20260801"}, "BadDate", "startDate"),
    (Entity.ACADEMIC_SESSIONS, {"startDate": "2026-W31-6"}, "BadDate", "startDate"),
    (Entity.ACADEMIC_SESSIONS, {"startDate": "2026-08-01Tnoon"}, "BadDate", "startDate"),
    (Entity.ACADEMIC_SESSIONS, {"endDate": 20260801}, "WrongType", "endDate"),
    (Entity.ACADEMIC_SESSIONS, {"schoolYear": "26-27"}, "BadYear", "schoolYear"),
    (Entity.ACADEMIC_SESSIONS, {"schoolYear": 27}, "BadYear", "schoolYear"),
    (Entity.ACADEMIC_SESSIONS, {"schoolYear": 2026.5}, "BadYear", "schoolYear"),
    (Entity.COURSES, {"grades": {"a": 1}}, "WrongType", "grades"),
    (Entity.COURSES, {"grades": [["09"]]}, "WrongType", "grades"),
    (Entity.COURSES, {"subjects": 5}, "WrongType", "subjects"),
    (Entity.CLASSES, {"terms": [5]}, "WrongType", "terms"),
    (Entity.CLASSES, {"course": []}, "WrongType", "course"),
    (Entity.USERS, {"enabledUser": "perhaps"}, "BadBoolean", "enabledUser"),
    (Entity.USERS, {"enabledUser": 2}, "BadBoolean", "enabledUser"),
    (Entity.USERS, {"enabledUser": {}}, "WrongType", "enabledUser"),
    (Entity.USERS, {"givenName": "a\0"}, "NulCharacter", "givenName"),
    (Entity.USERS, {"email": "x" * 2001}, "TextTooLong", "email"),
    (Entity.USERS, {"userIds": ["x"]}, "WrongType", "userIds"),
    (Entity.USERS, {"userIds": [{"type": "a", "identifier": "x\0"}]}, "NulCharacter", "userIds"),
    (Entity.USERS, {"roles": ["student"]}, "WrongType", "roles"),
    (Entity.USERS, {"roles": [{"roleType": "primary", "org": {"sourcedId": "o"}}]}, "MissingRequired", "roles.role"),
    (Entity.USERS, {"roles": [{"roleType": "main", "role": "aide"}]}, "UnknownVocabulary", "roles.roleType"),
    (Entity.USERS, {"roles": [{"roleType": "primary", "role": "aide", "endDate": "x"}]}, "BadDate", "roles.endDate"),
    (Entity.ENROLLMENTS, {"primary": "maybe"}, "BadBoolean", "primary"),
    (Entity.ENROLLMENTS, {"beginDate": "soon"}, "BadDate", "beginDate"),
    (Entity.ENROLLMENTS, {"user": {"sourcedId": ""}}, "MissingRequired", "user"),
    (Entity.ENROLLMENTS, {"class": {}}, "MissingRequired", "class"),
    (Entity.DEMOGRAPHICS, {"birthDate": "2010-13-01"}, "BadDate", "birthDate"),
    (Entity.DEMOGRAPHICS, {"white": "unknown"}, "BadBoolean", "white"),
]


@pytest.mark.parametrize(("entity", "changes", "code", "field"), INVALID)
def test_what_is_wrong_is_named_with_its_field(
    entity: Entity, changes: dict[str, Any], code: str, field: str | None
) -> None:
    decoded = read(entity, **changes)
    assert decoded.record is None
    assert (code, field) in findings(decoded)
    assert {problem.severity for problem in decoded.problems if problem.code == code} == {"error"}


@pytest.mark.parametrize("entity", list(Entity))
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[" * 100_000, "TooDeep"),
        (b'{"sourcedId":"a","x":' + b"[" * 100_000, "TooDeep"),
        (b'{"metadata":' * 20_000, "TooDeep"),
        (b'{"sourcedId":"a","metadata":' + b'{"a":' * 600 + b"1" + b"}" * 601, "TooDeep"),
        (b'{"sourcedId":"caf\xff"}', "BadUTF8"),
        (b'{"sourcedId":"\\ud800"}', "MalformedJSON"),
        (b'{"sourcedId":NaN}', "MalformedJSON"),
        (b'{"sourcedId":"a","x":1e999}', "NumberOutOfRange"),
        (b'{"sourcedId":"a"', "MalformedJSON"),
        (b"", "MalformedJSON"),
        (b"null", "NotAnObject"),
        (b'"text"', "NotAnObject"),
        (b"[]", "NotAnObject"),
        (b'{"sourcedId":"a","x":"' + b"x" * 300_000 + b'"}', "RecordTooLarge"),
    ],
)
def test_no_bytes_make_it_raise(entity: Entity, raw: bytes, code: str) -> None:
    decoded = Decoder(entity, "1.1")(raw)
    assert decoded.record is None
    assert code in {problem.code for problem in decoded.problems}


@pytest.mark.parametrize("spelling", ["true", "TRUE", "True", True, 1, "1", " true "])
def test_true_in_every_spelling(spelling: object) -> None:
    record = read(Entity.USERS, enabledUser=spelling).record
    assert isinstance(record, User)
    assert record.enabled_user is True


@pytest.mark.parametrize("spelling", ["false", "FALSE", "False", False, 0, "0"])
def test_false_in_every_spelling(spelling: object) -> None:
    record = read(Entity.USERS, enabledUser=spelling).record
    assert isinstance(record, User)
    assert record.enabled_user is False


@pytest.mark.parametrize("empty", [None, "", [], WITHOUT])
def test_empty_lists_in_every_spelling(empty: object) -> None:
    record = read(Entity.USERS, grades=empty, agents=empty, userIds=empty, metadata=empty).record
    assert isinstance(record, User)
    assert (record.grades, record.agent_sourced_ids, record.user_ids, record.metadata) == ([], [], [], None)


@pytest.mark.parametrize(
    ("came", "is_"),
    [("9", "09"), ("09", "09"), ("K", "KG"), ("KG", "KG"), ("Ninth grade", "09"), ("9th Grade", "09"), ("12", "12"),
     ("PK", "PK"), ("Grade 3", "03"), ("Sonstige", "Sonstige"), (9, "09"), ("ext:x", "ext:x")],
)  # fmt: skip
def test_grades_in_every_spelling(came: object, is_: str) -> None:
    for grades in ([came], came):
        if isinstance(grades, int):
            continue
        record = read(Entity.USERS, grades=grades).record
        assert isinstance(record, User)
        assert record.grades == [is_]


@pytest.mark.parametrize("key", ["birthDate", "birthdate"])
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_both_birth_dates_in_both_versions(key: str, version: Version) -> None:
    record = read(Entity.DEMOGRAPHICS, version, **{key: "2012-02-29"}).record
    assert isinstance(record, Demographics)
    assert record.birth_date == date(2012, 2, 29)


@pytest.mark.parametrize(
    ("came", "is_"),
    [
        ("2026-08-01T12:30:00.000Z", datetime(2026, 8, 1, 12, 30, tzinfo=UTC)),
        ("2026-08-01T12:30:00Z", datetime(2026, 8, 1, 12, 30, tzinfo=UTC)),
        ("2026-08-01T12:30:00", datetime(2026, 8, 1, 12, 30, tzinfo=UTC)),
        ("2026-08-01 12:30:00", datetime(2026, 8, 1, 12, 30, tzinfo=UTC)),
        ("2026-08-01T07:30:00-05:00", datetime(2026, 8, 1, 12, 30, tzinfo=UTC)),
        ("2026-08-01", datetime(2026, 8, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_moments_in_every_spelling(came: object, is_: datetime | None) -> None:
    for entity in Entity:
        decoded = read(entity, dateLastModified=came)
        assert decoded.record is not None
        assert decoded.record.date_last_modified == is_
        assert decoded.problems == ()


@pytest.mark.parametrize("came", ["yesterday", 5, "0001-01-01T00:00:00+14:00", {}])
def test_a_broken_moment_is_a_warning(came: object) -> None:
    for entity in Entity:
        decoded = read(entity, dateLastModified=came)
        assert decoded.record is not None
        assert findings(decoded) == {("BadTimestamp", "dateLastModified")}


@pytest.mark.parametrize("came", ["tobedeleted", "ToBeDeleted", "inactive", "INACTIVE"])
def test_deleted_and_inactive_are_one(came: str) -> None:
    for entity in Entity:
        record = read(entity, status=came).record
        assert record is not None
        assert record.status == "tobedeleted"


def test_a_reference_may_lack_href_and_type_or_be_only_an_href() -> None:
    record = read(Entity.ENROLLMENTS, user={"href": "../users/a%2Fb?x=1", "type": "user"}).record
    assert isinstance(record, Enrollment)
    assert record.user_sourced_id == "a/b"
    record = read(Entity.ENROLLMENTS, user="u9").record
    assert isinstance(record, Enrollment)
    assert record.user_sourced_id == "u9"


def test_a_date_with_a_time_is_its_day_with_a_warning() -> None:
    decoded = read(Entity.ENROLLMENTS, endDate="2026-08-01T00:00:00.000Z")
    assert isinstance(decoded.record, Enrollment)
    assert decoded.record.end_date == date(2026, 8, 1)
    assert findings(decoded) == {("DateWithTime", "endDate")}


def test_vocabularies_are_open_but_strangers_are_named() -> None:
    assert read(Entity.ENROLLMENTS, role="ext:observer").problems == ()
    decoded = read(Entity.ENROLLMENTS, role="observer")
    assert decoded.record is not None
    assert findings(decoded) == {("UnknownVocabulary", "role")}
    record = read(Entity.CLASSES, classType="Scheduled").record
    assert isinstance(record, Class)
    assert record.class_type == "scheduled"


def test_districts_bespoke_roles_arrive_in_1_1() -> None:
    assert read(Entity.USERS, role="districtAdministrator").problems == ()


def test_1_1_gives_one_primary_role_for_each_org() -> None:
    record = read(Entity.USERS, orgs=[{"sourcedId": "o1"}, {"sourcedId": "o2"}, {"sourcedId": "o1"}]).record
    assert isinstance(record, User)
    assert record.org_sourced_ids == ["o1", "o2"]
    assert [(role["role_type"], role["role"], role["org_sourced_id"]) for role in record.roles] == [
        ("primary", "student", "o1"),
        ("primary", "student", "o2"),
    ]


def test_1_2_takes_the_primary_role_at_the_primary_org() -> None:
    def role(kind: str, name: str, org: str) -> dict[str, Any]:
        return {"roleType": kind, "role": name, "org": {"sourcedId": org}, "beginDate": "2026-08-01", "endDate": ""}

    record = read(
        Entity.USERS, "1.2", role=WITHOUT, orgs=WITHOUT, primaryOrg={"sourcedId": "o2"},
        roles=[role("secondary", "proctor", "o2"), role("primary", "aide", "o1"), role("primary", "teacher", "o2")],
    ).record  # fmt: skip
    assert isinstance(record, User)
    assert (record.role, record.org_sourced_ids, record.primary_org_sourced_id) == ("teacher", ["o2", "o1"], "o2")
    assert record.roles[0] == {
        "role_type": "secondary", "role": "proctor", "org_sourced_id": "o2", "begin_date": "2026-08-01",
        "end_date": None, "user_profile": None,
    }  # fmt: skip


def test_a_user_without_a_username_is_one_all_the_same() -> None:
    decoded = read(Entity.USERS, username="")
    assert isinstance(decoded.record, User)
    assert decoded.record.username is None


def test_null_is_a_surname_and_quotes_are_not_special() -> None:
    record = read(Entity.USERS, familyName="Null", givenName="O'\"Brien\\").record
    assert isinstance(record, User)
    assert (record.given_name, record.family_name) == ("O'\"Brien\\", "Null")


@pytest.mark.parametrize("name", ["Zoë", "Łukasz", "山田", "Ann\u200d", "O\u2019Neil"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_names_of_the_world(name: str, ascii_only: bool) -> None:
    data = json.dumps(USER | {"givenName": name}, ensure_ascii=ascii_only).encode()
    record = Decoder(Entity.USERS, "1.1")(data).record
    assert isinstance(record, User)
    assert record.given_name == name


def test_numbers_where_text_is_due_are_taken_with_a_warning() -> None:
    decoded = read(Entity.USERS, identifier=4711)
    assert isinstance(decoded.record, User)
    assert decoded.record.identifier == "4711"
    assert findings(decoded) == {("NumberAsText", "identifier")}


CANARY = "canary-pass-9c2e"


@pytest.mark.parametrize(
    "changes",
    [
        {"password": CANARY},
        {"Password": CANARY},
        {"PASSWORD": CANARY},
        {"userPassword": CANARY},
        {"userProfiles": [{"credentials": [{"username": "a", "password": CANARY}]}]},
        {"userProfiles": [{"Credentials": [{"x": CANARY}]}]},
        {"metadata": {"password": CANARY, "kept": "yes"}},
        {"metadata": {"deep": {"initialPassword": CANARY}}},
        {"roles": [{"roleType": "primary", "role": "aide", "org": {"sourcedId": "o"},
                    "userProfile": {"credentials": [{"password": CANARY}]}}]},
    ],
)  # fmt: skip
def test_passwords_are_dropped_and_told(changes: dict[str, Any]) -> None:
    decoded = read(Entity.USERS, **changes)
    assert decoded.record is not None
    assert decoded.secret
    assert CANARY not in repr(decoded)


def test_a_password_behind_escapes_is_found() -> None:
    data = json.dumps(USER)[:-1].encode() + b', "p\\u0061ssword": "x"}'
    assert Decoder(Entity.USERS, "1.1")(data).secret


@pytest.mark.parametrize(
    "changes", [{"password": ""}, {"password": None}, {"userProfiles": []}, {"givenName": "password"}]
)
def test_no_password_no_secret(changes: dict[str, Any]) -> None:
    assert not read(Entity.USERS, **changes).secret


@pytest.mark.parametrize("entity", list(Entity))
def test_secrets_in_metadata_are_dropped_everywhere(entity: Entity) -> None:
    decoded = read(entity, metadata={"password": CANARY, "kept": "yes"})
    assert decoded.secret
    assert decoded.record is not None
    assert decoded.record.metadata == {"kept": "yes"}


@pytest.mark.parametrize(("entity", "changes", "code", "field"), INVALID)
def test_problems_hold_no_value(entity: Entity, changes: dict[str, Any], code: str, field: str | None) -> None:
    decoded = read(entity, **({"name": "canary-name-1", "givenName": "canary-name-1"} | changes))
    said = repr(decoded.problems)
    assert "canary-name-1" not in said
    assert all(problem.field is None or "canary" not in problem.field for problem in decoded.problems)


def test_references_name_fields_that_the_records_have_and_entities_that_are_loaded_before() -> None:
    order = list(Entity)
    assert set(REFERENCES) == set(Entity)
    for entity, fields in REFERENCES.items():
        record = read(entity).record
        assert record is not None
        for field in fields:
            assert isinstance(getattr(record, field.name), list) is field.many
            assert order.index(field.target) < order.index(entity)
    assert [field.name for field in REFERENCES[Entity.ENROLLMENTS] if field.required] == [
        "user_sourced_id",
        "class_sourced_id",
        "school_sourced_id",
    ]
