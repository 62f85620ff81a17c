"""Renders normalised records as a server of either version would send them."""

from datetime import UTC, date, datetime
from typing import Any

from roster_operator.oneroster.records import (
    AcademicSession,
    Class,
    Course,
    Demographics,
    Enrollment,
    Org,
    Record,
    User,
)

FLAGS = {
    "americanIndianOrAlaskaNative": "american_indian_or_alaska_native",
    "asian": "asian",
    "blackOrAfricanAmerican": "black_or_african_american",
    "nativeHawaiianOrOtherPacificIslander": "native_hawaiian_or_other_pacific_islander",
    "white": "white",
    "demographicRaceTwoOrMoreRaces": "demographic_race_two_or_more_races",
    "hispanicOrLatinoEthnicity": "hispanic_or_latino_ethnicity",
}


def ref(sourced_id: str | None, kind: str) -> dict[str, str] | None:
    return None if sourced_id is None else {"href": f"/{kind}s/x", "sourcedId": sourced_id, "type": kind}


def refs(ids: list[str], kind: str) -> list[dict[str, str] | None]:
    return [ref(item, kind) for item in ids]


def day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def stamp(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def wire(record: Record, version: str) -> dict[str, Any]:
    """The record's JSON object."""
    base = {
        "sourcedId": record.sourced_id,
        "status": record.status,
        "dateLastModified": stamp(record.date_last_modified),
        "metadata": record.metadata,
    }
    match record:
        case Org():
            return base | {"name": record.name, "type": record.type, "identifier": record.identifier,
                           "parent": ref(record.parent_sourced_id, "org")}  # fmt: skip
        case AcademicSession():
            year = record.school_year
            return base | {
                "title": record.title,
                "type": record.type,
                "startDate": day(record.start_date),
                "endDate": day(record.end_date),
                "schoolYear": year if version == "1.2" or year is None else str(year),
                "parent": ref(record.parent_sourced_id, "academicSession"),
            }
        case Course():
            return base | {
                "title": record.title,
                "courseCode": record.course_code,
                "schoolYear": ref(record.school_year_sourced_id, "academicSession"),
                "org": ref(record.org_sourced_id, "org"),
                "grades": record.grades,
                "subjects": record.subjects,
                "subjectCodes": record.subject_codes,
            }
        case Class():
            return base | {
                "title": record.title,
                "classCode": record.class_code,
                "classType": record.class_type,
                "location": record.location,
                "course": ref(record.course_sourced_id, "course"),
                "school": ref(record.school_sourced_id, "org"),
                "terms": refs(record.term_sourced_ids, "academicSession"),
                "grades": record.grades,
                "subjects": record.subjects,
                "subjectCodes": record.subject_codes,
                "periods": record.periods,
            }
        case User():
            return base | _user(record, version)
        case Enrollment():
            return base | {
                "user": ref(record.user_sourced_id, "user"),
                "class": ref(record.class_sourced_id, "class"),
                "school": ref(record.school_sourced_id, "org"),
                "role": record.role,
                "primary": None if record.primary is None else str(record.primary).lower(),
                "beginDate": day(record.begin_date),
                "endDate": day(record.end_date),
            }
        case Demographics():
            flags = {name: getattr(record, field) for name, field in FLAGS.items()}
            return base | flags | {
                "birthDate" if version == "1.2" else "birthdate": day(record.birth_date),
                "sex": record.sex,
                "countryOfBirthCode": record.country_of_birth_code,
                "stateOfBirthAbbreviation": record.state_of_birth_abbreviation,
                "cityOfBirth": record.city_of_birth,
                "publicSchoolResidenceStatus": record.public_school_residence_status,
            }  # fmt: skip


def _user(user: User, version: str) -> dict[str, Any]:
    both = {
        "enabledUser": user.enabled_user if version == "1.2" else str(user.enabled_user).lower(),
        "username": user.username,
        "userIds": user.user_ids,
        "givenName": user.given_name,
        "familyName": user.family_name,
        "middleName": user.middle_name,
        "agents": refs(user.agent_sourced_ids, "user"),
        "grades": user.grades,
        "identifier": user.identifier,
        "email": user.email,
        "sms": user.sms,
        "phone": user.phone,
        "preferredFirstName": user.preferred_given_name,
        "preferredMiddleName": user.preferred_middle_name,
        "preferredLastName": user.preferred_family_name,
        "pronouns": user.pronouns,
        "userMasterIdentifier": user.user_master_identifier,
        "primaryOrg": ref(user.primary_org_sourced_id, "org"),
    }
    if version == "1.1":
        return both | {"role": user.role, "orgs": refs(user.org_sourced_ids, "org")}
    return both | {
        "roles": [
            {
                "roleType": role["role_type"],
                "role": role["role"],
                "org": ref(role["org_sourced_id"], "org"),
                "beginDate": role["begin_date"],
                "endDate": role["end_date"],
                "userProfile": role["user_profile"],
            }
            for role in user.roles
        ]
    }
