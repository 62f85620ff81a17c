"""What of a source the application takes: which records, and which of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import Field

from .model import Model

_SourcedId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
ROLE_PATTERN = r"^(ext:)?[A-Za-z0-9._\-]+$"
Role = Annotated[str, Field(min_length=1, max_length=64, pattern=ROLE_PATTERN)]


class Terms(StrEnum):
    """Which academic sessions count."""

    ALL = "All"
    CURRENT = "Current"


class ScopedEntity(StrEnum):
    """An entity by the standard's name."""

    ORGS = "orgs"
    ACADEMIC_SESSIONS = "academicSessions"
    COURSES = "courses"
    CLASSES = "classes"
    USERS = "users"
    ENROLLMENTS = "enrollments"
    DEMOGRAPHICS = "demographics"


T = TypeVar("T")


def in_order(rows: Mapping[str, T]) -> list[tuple[str, T]]:
    """What is kept by entity, in the standard's order; what is not of it last, by name."""
    order = {entity.value: at for at, entity in enumerate(ScopedEntity)}
    return sorted(rows.items(), key=lambda row: (order.get(row[0], len(order)), row[0]))


class Scope(Model):
    """Which records are taken. What falls out of it is named as out of scope, never as vanished."""

    schools: Annotated[list[_SourcedId], Field(max_length=1000)] = Field(
        default_factory=list,
        description="sourcedIds of the schools to take, with their classes, people and enrollments. Empty: all.",
    )
    roles: Annotated[list[Role], Field(max_length=32)] = Field(
        default_factory=list, description="Roles of the people to take. Empty: all."
    )
    terms: Terms = Field(
        default=Terms.ALL,
        description="Current: only sessions of a school year that is under way, and their classes and enrollments.",
    )
    enrolled_only: bool = Field(
        default=False, description="Leave out students without an enrollment that is itself taken."
    )
    entities: Annotated[list[ScopedEntity], Field(max_length=7)] = Field(
        default_factory=list, description="Entities to take. Empty: all. Others are not even read."
    )


class FieldChoice(Model):
    """Which fields are kept."""

    omit: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=96, pattern=r"^[A-Za-z]+(\.[A-Za-z]+)?$")]],
        Field(max_length=64),
    ] = Field(
        default_factory=list,
        description="Fields that are never stored, not even in staging: users.phone, classes.location, or a whole "
        "entity such as demographics. A field that a record cannot be without is refused.",
    )
