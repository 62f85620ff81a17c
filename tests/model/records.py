"""What a source shows, and what of it is taken: the words of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENTITIES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics")
Values = Mapping[str, Any]

# (field, what it refers to, whether the record means nothing without it). A list is good if one of it is.
REFERENCES: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "orgs": (),
    "academicSessions": (),
    "courses": (("org_sourced_id", "orgs", False),),
    "classes": (
        ("course_sourced_id", "courses", False),
        ("school_sourced_id", "orgs", True),
        ("term_sourced_ids", "academicSessions", True),
    ),
    "users": (("org_sourced_ids", "orgs", True),),
    "enrollments": (
        ("user_sourced_id", "users", True),
        ("class_sourced_id", "classes", True),
        ("school_sourced_id", "orgs", True),
    ),
    "demographics": (("sourced_id", "users", True),),
}


@dataclass(frozen=True)
class Shown:
    """One record as a source shows it. touched: its dateLastModified. spoilt: it cannot be read as a record."""

    sourced_id: str | None
    values: tuple[tuple[str, Any], ...]
    touched: int = 0
    deleted: bool = False
    spoilt: bool = False
    secret: bool = False  # it holds a password, so its bytes are never recognised again

    def get(self, name: str) -> Any:
        return self.sourced_id if name == "sourced_id" else dict(self.values)[name]


@dataclass(frozen=True)
class Listing:
    """What a source shows of an entity, and how many it says there are."""

    shown: tuple[Shown, ...]
    total: int
    delta: bool = False


@dataclass(frozen=True)
class Scope:
    """What is taken. Nothing named: everything."""

    schools: frozenset[str] = frozenset()
    enrolled_only: bool = False
    untaken: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    current_terms: bool = False

    @property
    def some(self) -> bool:
        return bool(self.schools or self.enrolled_only or self.untaken or self.roles or self.current_terms)

    def judges(self, entity: str) -> bool:
        """Whether it is seen of a record, as it is read, that it is out."""
        fallen = bool(self.schools)
        return {
            "orgs": fallen,
            "classes": fallen or self.current_terms,
            "users": fallen or bool(self.roles),
            "enrollments": fallen or self.current_terms or bool(self.roles),
            "demographics": fallen or bool(self.roles),
        }.get(entity, False)

    def reading(self, entity: str) -> object:
        """Settings under which the same bytes are another record."""
        schools, roles = tuple(sorted(self.schools)), tuple(sorted(self.roles))
        return {"orgs": (schools,), "users": (schools, roles)}.get(entity)
