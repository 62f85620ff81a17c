"""The rows that a district must have become, worked out from what the SIS sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from roster_sample_sis import District, Rendering, Version

Row = tuple[Any, ...]

# Entity: its table, and which column holds which field of the JSON. A dot goes into a reference, [] through a list.
FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "orgs": (
        "orgs",
        {"name": "name", "type": "type", "identifier": "identifier", "parent_sourced_id": "parent.sourcedId"},
    ),
    "academicSessions": (
        "academic_sessions",
        {
            "title": "title", "type": "type", "start_date": "startDate", "end_date": "endDate",
            "school_year": "schoolYear", "parent_sourced_id": "parent.sourcedId",
        },
    ),
    "courses": (
        "courses",
        {"title": "title", "course_code": "courseCode", "org_sourced_id": "org.sourcedId", "grades": "grades"},
    ),
    "classes": (
        "classes",
        {
            "title": "title", "class_code": "classCode", "class_type": "classType", "location": "location",
            "course_sourced_id": "course.sourcedId", "school_sourced_id": "school.sourcedId",
            "term_sourced_ids": "terms[].sourcedId", "periods": "periods",
        },
    ),
    "users": (
        "users",
        {
            "given_name": "givenName", "family_name": "familyName", "middle_name": "middleName",
            "preferred_given_name": "preferredFirstName", "username": "username", "email": "email", "phone": "phone",
            "identifier": "identifier", "enabled_user": "enabledUser", "grades": "grades",
            "primary_org_sourced_id": "primaryOrg.sourcedId", "agent_sourced_ids": "agents[].sourcedId",
        },
    ),
    "demographics": ("demographics", {"birth_date": "birthDate", "sex": "sex", "asian": "asian", "white": "white"}),
    "enrollments": (
        "enrollments",
        {
            "user_sourced_id": "user.sourcedId", "class_sourced_id": "class.sourcedId",
            "school_sourced_id": "school.sourcedId", "role": "role", "begin_date": "beginDate",
            "end_date": "endDate", "primary": "primary",
        },
    ),
}  # fmt: skip


def query(entity: str) -> str:
    """What reads an entity's active rows, every value as text, in the order of `rows`."""
    table, fields = FIELDS[entity]
    columns = ", ".join(f'to_jsonb("{column}")' for column in fields)
    return f"select sourced_id, {columns} from roster.{table} where tenant = %s and status = 'active'"


def rows(district: District, entity: str) -> set[Row]:
    """The rows of an entity as they must be."""
    fields = FIELDS[entity][1].values()
    rendering = Rendering(district, Version.V1_2, "https://sis.invalid")
    return {
        (record["sourcedId"], *(plain(field(record, path)) for path in fields)) for record in records(rendering, entity)
    }


def records(rendering: Rendering, entity: str) -> Iterator[dict[str, Any]]:
    """What the SIS sends of an entity and has not marked as removed."""
    for raw in rendering.records(entity, 0, 10_000_000):
        record = json.loads(raw)
        if record["status"] == "active":
            yield record


def field(record: Any, path: str) -> Any:
    """A value of a record by its path."""
    head, _, rest = path.partition(".")
    if head.endswith("[]"):
        return [field(each, rest) for each in record.get(head.removesuffix("[]")) or ()]
    value = record.get(head)
    return field(value, rest) if rest and value is not None else value


def plain(value: Any) -> Any:
    """A value so that the JSON and the database compare: text, or a tuple of it; nothing is None."""
    match value:
        case None | [] | "":
            return None
        case [*values]:
            return tuple(plain(each) for each in values)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def personal(district: District) -> set[str]:
    """What must never be seen outside the database: enough of each person that it is not met by chance."""
    found: set[str] = set()
    for user in district.users:
        found |= {user.email, user.username, user.sourced_id, f"{user.given} {user.family}"}
    return found | {str(each) for each in enrollment_ids(district)}


def enrollment_ids(district: District) -> Iterator[str]:
    """The sourcedIds of the enrollments."""
    for record in records(Rendering(district, Version.V1_2, "https://sis.invalid"), "enrollments"):
        yield record["sourcedId"]
