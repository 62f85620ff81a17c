"""Normalised records: one model for OneRoster 1.1 and 1.2, whatever the source looked like.

Field order is fixed: it is the order of the database's columns. Every record begins with
sourced_id, status ("active" or "tobedeleted"), date_last_modified (UTC or None) and metadata.
Optional text is None, never "". Dates are as the standard has them: an end date is exclusive.
"""

from datetime import date, datetime
from typing import Any

import msgspec

from .entities import Entity


class Org(msgspec.Struct, frozen=True, gc=False):
    """A department, school, district, local, state or national organisation (or `ext:…`)."""

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    name: str
    type: str
    identifier: str | None
    parent_sourced_id: str | None


class AcademicSession(msgspec.Struct, frozen=True, gc=False):
    """A grading period, semester, term or school year; school_year is the year in which it ends."""

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    title: str
    type: str
    start_date: date
    end_date: date
    school_year: int | None
    parent_sourced_id: str | None


class Course(msgspec.Struct, frozen=True, gc=False):
    """A course of study, which classes teach."""

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    title: str
    course_code: str | None
    school_year_sourced_id: str | None
    org_sourced_id: str | None
    grades: list[str]
    subjects: list[str]
    subject_codes: list[str]


class Class(msgspec.Struct, frozen=True, gc=False):
    """A class: a course taught at a school in one or more sessions."""

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    title: str
    class_code: str | None
    class_type: str | None
    location: str | None
    course_sourced_id: str
    school_sourced_id: str
    term_sourced_ids: list[str]
    grades: list[str]
    subjects: list[str]
    subject_codes: list[str]
    periods: list[str]


class User(msgspec.Struct, frozen=True, gc=False):
    """A person.

    role is the primary role. roles holds every role as {role_type, role, org_sourced_id,
    begin_date, end_date, user_profile}, dates as "YYYY-MM-DD" or None; for a 1.1 source there is
    one primary role for each org. user_ids holds {type, identifier}. There is no password, ever.
    """

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    enabled_user: bool
    username: str | None
    user_ids: list[dict[str, str]]
    given_name: str
    family_name: str
    middle_name: str | None
    preferred_given_name: str | None
    preferred_middle_name: str | None
    preferred_family_name: str | None
    pronouns: str | None
    role: str
    roles: list[dict[str, str | None]]
    org_sourced_ids: list[str]
    primary_org_sourced_id: str | None
    agent_sourced_ids: list[str]
    grades: list[str]
    identifier: str | None
    user_master_identifier: str | None
    email: str | None
    sms: str | None
    phone: str | None


class Enrollment(msgspec.Struct, frozen=True, gc=False):
    """A user's role in one class. begin_date is inclusive, end_date exclusive."""

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    user_sourced_id: str
    class_sourced_id: str
    school_sourced_id: str
    role: str
    primary: bool | None
    begin_date: date | None
    end_date: date | None


class Demographics(msgspec.Struct, frozen=True, gc=False):
    """A person's demographics; sourced_id is the user's."""

    sourced_id: str
    status: str
    date_last_modified: datetime | None
    metadata: dict[str, Any] | None
    birth_date: date | None
    sex: str | None
    american_indian_or_alaska_native: bool | None
    asian: bool | None
    black_or_african_american: bool | None
    native_hawaiian_or_other_pacific_islander: bool | None
    white: bool | None
    demographic_race_two_or_more_races: bool | None
    hispanic_or_latino_ethnicity: bool | None
    country_of_birth_code: str | None
    state_of_birth_abbreviation: str | None
    city_of_birth: str | None
    public_school_residence_status: str | None


Record = Org | AcademicSession | Course | Class | User | Enrollment | Demographics

_TYPES: dict[Entity, type[Record]] = {
    Entity.ORGS: Org,
    Entity.ACADEMIC_SESSIONS: AcademicSession,
    Entity.COURSES: Course,
    Entity.CLASSES: Class,
    Entity.USERS: User,
    Entity.ENROLLMENTS: Enrollment,
    Entity.DEMOGRAPHICS: Demographics,
}


def record_type(entity: Entity) -> type[Record]:
    """The record class of an entity."""
    return _TYPES[entity]


# Lists whose order means nothing. A server that shuffles them has changed nothing, so the hash must
# not see the order; the record itself keeps the source's.
_UNORDERED: dict[type[Record], tuple[int, ...]] = {
    record: tuple(record.__struct_fields__.index(name) for name in names)
    for record, names in (
        (Class, ("term_sourced_ids",)),
        (User, ("user_ids", "roles", "org_sourced_ids", "agent_sourced_ids")),
    )
}
_STAMP = Org.__struct_fields__.index("date_last_modified")
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def canonical(record: Record) -> bytes:
    """Deterministic bytes of everything a record says but date_last_modified, for its row hash.

    Equal content gives equal bytes on every machine: keys are sorted, lists without an order too.
    """
    values = list(msgspec.structs.astuple(record))
    del values[_STAMP]
    for index in _UNORDERED.get(type(record), ()):
        items = values[index - 1]
        if len(items) > 1:
            values[index - 1] = sorted(items, key=_encode)
    return _encode(values)
