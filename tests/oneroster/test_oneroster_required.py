"""Every field that the standard requires, by version and binding, is asked for: with an error where the record means
nothing without it, else with a warning; and what is not required is not missed."""

import io
import json
import zipfile
from typing import Any, Literal

import pytest

from roster_operator.oneroster.csvfiles.source import CsvSource
from roster_operator.oneroster.csvfiles.tables import KNOWN, TABLES, Kind
from roster_operator.oneroster.csvfiles.validate import validate
from roster_operator.oneroster.decode import Decoder, Version
from roster_operator.oneroster.entities import Entity

Missing = Literal["error", "warning", ""]
REF = {"sourcedId": "x1"}

# What is said of a record that lacks the field: REST 1.1, REST 1.2, CSV 1.1, CSV 1.2. "-": it stands elsewhere there.
E, W = "error", "warning"
REQUIRED: dict[Entity, dict[str, tuple[str, str, str, str]]] = {
    Entity.ORGS: {
        "sourcedId": (E, E, E, E), "name": (E, E, E, E), "type": (E, E, E, E), "identifier": ("", W, "", ""),
        "parent": ("", "", "", ""),
    },
    Entity.ACADEMIC_SESSIONS: {
        "sourcedId": (E, E, E, E), "title": (E, E, E, E), "type": (E, E, E, E), "startDate": (E, E, E, E),
        "endDate": (E, E, E, E), "schoolYear": (W, W, W, W), "parent": ("", "", "", ""),
    },
    Entity.COURSES: {
        "sourcedId": (E, E, E, E), "title": (E, E, E, E), "courseCode": ("", W, "", ""), "org": ("", "", W, W),
        "schoolYear": ("", "", "", ""),
    },
    Entity.CLASSES: {
        "sourcedId": (E, E, E, E), "title": (E, E, E, E), "course": (E, E, E, E), "school": (E, E, E, E),
        "terms": (W, W, W, W), "classType": ("", "", W, W), "classCode": ("", "", "", ""),
    },
    Entity.USERS: {
        "sourcedId": (E, E, E, E), "enabledUser": (E, E, E, E), "givenName": (E, E, E, E), "familyName": (E, E, E, E),
        "username": (W, "", W, W), "role": (E, "-", E, "-"), "orgs": (W, "-", W, "-"), "email": ("", "", "", ""),
        "identifier": ("", "", "", ""),
    },
    Entity.ENROLLMENTS: {
        "sourcedId": (E, E, E, E), "user": (E, E, E, E), "class": (E, E, E, E), "school": (E, E, E, E),
        "role": (E, E, E, E), "primary": ("", "", "", ""),
    },
    Entity.DEMOGRAPHICS: {"sourcedId": (E, E, E, E), "birthDate": ("", "", "", ""), "sex": ("", "", "", "")},
}  # fmt: skip
FULL: dict[Entity, dict[str, Any]] = {
    Entity.ORGS: {"name": "Hill", "type": "school", "identifier": "7", "parent": REF},
    Entity.ACADEMIC_SESSIONS: {
        "title": "Fall", "type": "term", "startDate": "2026-08-01", "endDate": "2026-12-20", "schoolYear": "2027",
        "parent": REF},
    Entity.COURSES: {"title": "Algebra", "courseCode": "A1", "org": REF, "schoolYear": REF},
    Entity.CLASSES: {
        "title": "Algebra 1", "course": REF, "school": REF, "terms": [REF], "classType": "scheduled", "classCode": "1"},
    Entity.USERS: {
        "enabledUser": "true", "givenName": "Ann", "familyName": "Null", "username": "ann", "email": "a@example.org",
        "identifier": "1"},
    Entity.ENROLLMENTS: {"user": REF, "class": REF, "school": REF, "role": "student", "primary": "false"},
    Entity.DEMOGRAPHICS: {"birthDate": "2012-01-02", "sex": "female"},
}  # fmt: skip
BINDINGS: list[tuple[str, Version]] = [("REST", "1.1"), ("REST", "1.2"), ("CSV", "1.1"), ("CSV", "1.2")]
ROLE = {"roleType": "primary", "role": "student", "org": REF}
CASES = [
    (entity, field, *binding, said[at])
    for entity, fields in REQUIRED.items()
    for field, said in fields.items()
    for at, binding in enumerate(BINDINGS)
    if said[at] != "-"
]


def full(entity: Entity, version: Version) -> dict[str, Any]:
    """A record with every field that stands in the list."""
    fields = {"sourcedId": "x2", "status": "active"} | FULL[entity]
    if entity is Entity.USERS:
        fields |= {"role": "student", "orgs": [REF]} if version == "1.1" else {"roles": [ROLE]}
    return fields


def by_rest(entity: Entity, version: Version, fields: dict[str, Any]) -> set[tuple[str, str]]:
    found = Decoder(entity, version)(json.dumps(fields).encode())
    return {(problem.severity, problem.field or "") for problem in found.problems}


def bundle(entity: Entity, version: Version, fields: dict[str, Any], role: dict[str, Any]) -> io.BytesIO:
    """One row of this entity, its roles if it has some, and a manifest."""
    tables = {entity.value: fields}
    if entity is Entity.USERS and version == "1.2":
        tables["roles"] = {"sourcedId": "r1", "user": {"sourcedId": "x2"}} | role
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        modes = "".join(f"file.{name},{'bulk' if name in tables else 'absent'}\n" for name in sorted(KNOWN))
        file.writestr("manifest.csv", f"propertyName,value\nmanifest.version,1.0\noneroster.version,{version}\n{modes}")
        for name, row in tables.items():
            columns = [column for column in TABLES[version][name].columns if column.kind is not Kind.OLD]
            cells = ["" if column.kind is Kind.STATUS else _cell(row.get(column.field)) for column in columns]
            file.writestr(f"{name}.csv", ",".join(column.name for column in columns) + "\n" + ",".join(cells) + "\n")
    return held


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_cell, value))
    return value["sourcedId"] if isinstance(value, dict) else value or ""


def by_csv(
    entity: Entity, version: Version, fields: dict[str, Any], role: dict[str, Any] = ROLE
) -> set[tuple[str, str]]:
    with CsvSource(bundle(entity, version, fields, role)) as source:
        decode = source.decoder(entity)
        return {
            (problem.severity, problem.field or "")
            for page in source.pages(entity)
            for raw in page.records
            for problem in decode(raw).problems
        }


@pytest.mark.parametrize("entity", list(Entity))
@pytest.mark.parametrize(("binding", "version"), BINDINGS)
def test_a_record_with_all_its_fields_lacks_nothing(entity: Entity, binding: str, version: Version) -> None:
    said = (by_rest if binding == "REST" else by_csv)(entity, version, full(entity, version))
    assert said == set()


@pytest.mark.parametrize(("entity", "field", "binding", "version", "said"), CASES)
def test_what_is_required_is_asked_for(
    entity: Entity, field: str, binding: str, version: Version, said: Missing
) -> None:
    fields = full(entity, version)
    del fields[field]
    found = (by_rest if binding == "REST" else by_csv)(entity, version, fields)
    if (binding, version, field) == ("CSV", "1.2", "sourcedId"):
        found -= {(E, "role")}  # no row of roles.csv can name the user then
    assert found == ({(said, field)} if said else set())


@pytest.mark.parametrize(
    ("field", "rest", "files"),
    [("role", E, E), ("roleType", W, W), ("org", W, E)],
)
def test_a_role_of_1_2_is_asked_for_its_fields(field: str, rest: Missing, files: Missing) -> None:
    role = {name: value for name, value in ROLE.items() if name != field}
    assert by_rest(Entity.USERS, "1.2", full(Entity.USERS, "1.2") | {"roles": [role]}) >= {(rest, f"roles.{field}")}
    assert by_csv(Entity.USERS, "1.2", full(Entity.USERS, "1.2"), role) >= {(files, f"roles.{field}")}


def test_a_user_of_1_2_without_roles_is_told() -> None:
    fields = full(Entity.USERS, "1.2")
    del fields["roles"]
    assert by_rest(Entity.USERS, "1.2", fields | {"role": "student", "orgs": [REF]}) == {(W, "roles")}
    assert by_rest(Entity.USERS, "1.2", fields) == {(E, "role")}


@pytest.mark.parametrize(
    ("entity", "field", "version", "said"),
    [(entity, field, version, said) for entity, field, binding, version, said in CASES if binding == "CSV"],
)
def test_a_validation_says_the_same_as_a_sync(entity: Entity, field: str, version: Version, said: Missing) -> None:
    fields = full(entity, version)
    del fields[field]
    report = validate(bundle(entity, version, fields, ROLE))
    names = {column.field: column.name for column in TABLES[version][entity.value].columns}
    found = {
        (finding.fault.severity, finding.column)
        for finding in report.findings
        if finding.code in ("MissingRequired", "MissingExpected")
    }
    assert found == ({(said, names[field])} if said else set())
