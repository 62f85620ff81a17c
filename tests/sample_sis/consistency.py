"""What must hold in every district: checked on the JSON that a client would get, in both versions."""

from __future__ import annotations

import json
from typing import Any

from roster_sample_sis import District, Rendering, Version

TABLES = {
    "orgs": "org",
    "academicSessions": "academicSession",
    "courses": "course",
    "classes": "class",
    "users": "user",
    "enrollments": "enrollment",
    "demographics": "demographics",
}


def records(district: District, version: Version) -> dict[str, list[dict[str, Any]]]:
    """All records by table, decoded."""
    rendering = Rendering(district, version, "http://sis")
    return {table: [json.loads(row) for row in rendering.records(table, 0, 1 << 40)] for table in TABLES}


def _references(value: Any) -> list[dict[str, str]]:
    if isinstance(value, dict):
        if value.keys() == {"href", "sourcedId", "type"}:
            return [value]
        return [found for each in value.values() for found in _references(each)]
    return [found for each in value for found in _references(each)] if isinstance(value, list) else []


def check(district: District, *, classes_filled: bool = True) -> None:
    """References lead somewhere and have the right type, ids ascend, classes have a teacher and students."""
    for version in Version:
        tables = records(district, version)
        ids = {kind: {row["sourcedId"] for row in tables[table]} for table, kind in TABLES.items()}
        paths = {kind: table for table, kind in TABLES.items()}
        for table, rows in tables.items():
            order = [row["sourcedId"] for row in rows]
            assert order == sorted(set(order)), f"{table} ascend and are unique"
            for row in rows:
                for reference in _references(row):
                    assert reference["sourcedId"] in ids[reference["type"]], (table, reference)
                    assert reference["href"] == f"http://sis/{paths[reference['type']]}/{reference['sourcedId']}"
        classes = {row["sourcedId"]: row for row in tables["classes"]}
        schools = {row["sourcedId"] for row in tables["orgs"] if row["type"] == "school"}
        members: dict[str, set[str]] = {sourced_id: set() for sourced_id in classes}
        primaries: list[str] = []
        for row in tables["enrollments"]:
            class_ = classes[row["class"]["sourcedId"]]
            assert row["school"] == class_["school"]
            assert row["school"]["sourcedId"] in schools
            assert row["beginDate"] < row["endDate"]
            members[class_["sourcedId"]].add(row["role"])
            if row["primary"] == "true":
                assert row["role"] == "teacher"
                primaries.append(class_["sourcedId"])
        assert sorted(primaries) == sorted(classes), "every class has one primary teacher"
        if classes_filled:
            assert all("student" in roles for roles in members.values())
        for row in tables["classes"]:
            assert len(row["subjects"]) == len(row["subjectCodes"])
        students = {user.sourced_id for user in district.students}
        assert {row["sourcedId"] for row in tables["demographics"]} == students
