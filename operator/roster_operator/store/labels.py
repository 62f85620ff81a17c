"""What people call a record, and which school it belongs to."""

from __future__ import annotations

from typing import Any, LiteralString

# Columns that a person knows a record by; also what a search looks at, beside the sourcedId.
LABELS: dict[str, tuple[str, ...]] = {
    "orgs": ("name", "identifier"),
    "academicSessions": ("title",),
    "courses": ("title", "course_code"),
    "classes": ("title", "class_code"),
    "users": ("given_name", "family_name", "username", "email", "identifier"),
    "enrollments": ("role", "user_sourced_id", "class_sourced_id"),
    "demographics": (),
}
# A person belongs to their primary org, or else to the first that is named. {r} is the row.
SCHOOL: dict[str, LiteralString] = {
    "orgs": "{r}.sourced_id",
    "academicSessions": "null::text",
    "courses": "{r}.org_sourced_id",
    "classes": "{r}.school_sourced_id",
    "users": "coalesce({r}.primary_org_sourced_id, {r}.org_sourced_ids[1])",
    "enrollments": "{r}.school_sourced_id",
    "demographics": "null::text",
}


def label_of(entity: str, row: dict[str, Any]) -> str:
    """A record's name, from its columns; empty where it has none."""
    if entity == "users":
        return f"{row.get('given_name') or ''} {row.get('family_name') or ''}".strip()
    if entity == "enrollments":
        return f"{row.get('role')} {row.get('user_sourced_id')} in {row.get('class_sourced_id')}"
    return str(next((row[name] for name in LABELS[entity] if row.get(name)), ""))
