"""The seven entities as tables: names and columns, in the order in which records are staged.

A test compares this with the schema that the migrations make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import LiteralString
from uuid import UUID

from psycopg import sql


class Kind(Enum):
    """How a value is written in COPY's text format."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DATE = "date"
    TIMESTAMP = "timestamptz"
    ARRAY = "text[]"
    JSON = "jsonb"


# A column `severity` by its weight, to sort by.
BY_SEVERITY: LiteralString = "array_position(array['error', 'warning', 'info'], {severity})"


@dataclass(frozen=True)
class Column:
    """A column, and how its values are written."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """One entity. `columns` are those that come from the source, after sourced_id, status, raw_hash and row_hash."""

    entity: str  # the standard's name, as in academicSessions
    name: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(column.name for column in self.columns)


def _columns(text: str) -> tuple[Column, ...]:
    common = "date_last_modified:timestamptz metadata:jsonb "
    return tuple(
        Column(name, Kind(kind or "text"))
        for name, _, kind in (word.partition(":") for word in (common + text).split())
    )


TABLES: tuple[Table, ...] = (
    Table("orgs", "orgs", _columns("name type identifier parent_sourced_id")),
    Table(
        "academicSessions",
        "academic_sessions",
        _columns("title type start_date:date end_date:date school_year:integer parent_sourced_id"),
    ),
    Table(
        "courses",
        "courses",
        _columns(
            "title course_code school_year_sourced_id org_sourced_id grades:text[] subjects:text[] subject_codes:text[]"
        ),
    ),
    Table(
        "classes",
        "classes",
        _columns(
            "title class_code class_type location course_sourced_id school_sourced_id term_sourced_ids:text[]"
            " grades:text[] subjects:text[] subject_codes:text[] periods:text[]"
        ),
    ),
    Table(
        "users",
        "users",
        _columns(
            "enabled_user:boolean username user_ids:jsonb given_name family_name middle_name preferred_given_name"
            " preferred_middle_name preferred_family_name pronouns role roles:jsonb org_sourced_ids:text[]"
            " primary_org_sourced_id agent_sourced_ids:text[] grades:text[] identifier user_master_identifier"
            " email sms phone"
        ),
    ),
    Table(
        "enrollments",
        "enrollments",
        _columns(
            "user_sourced_id class_sourced_id school_sourced_id role primary:boolean begin_date:date end_date:date"
        ),
    ),
    Table(
        "demographics",
        "demographics",
        _columns(
            "birth_date:date sex american_indian_or_alaska_native:boolean asian:boolean"
            " black_or_african_american:boolean native_hawaiian_or_other_pacific_islander:boolean white:boolean"
            " demographic_race_two_or_more_races:boolean hispanic_or_latino_ethnicity:boolean country_of_birth_code"
            " state_of_birth_abbreviation city_of_birth public_school_residence_status"
        ),
    ),
)

BY_ENTITY = {table.entity: table for table in TABLES}
STAGE_COLUMNS: Sequence[str] = ("sourced_id", "status", "raw_hash", "row_hash")


def stage_table(tenant: str, run: UUID, token: int, what: str) -> sql.Identifier:
    """The name of one of a run's tables, as roster.stage_table makes it."""
    mark = hashlib.sha256(f"{tenant}/{run}".encode()).hexdigest()[:32]
    return sql.Identifier("roster_stage", f"r{mark}_{token}_{what}")
