"""What of a source is taken: entities, schools, roles, terms, fields, and what its roles are taken as.

Built once from a connection's settings; `scope` and `intake` apply it to records.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, get_origin

import msgspec

from .entities import Entity
from .errors import OneRosterError, Reason
from .records import record_type
from .values import ROLES, known

# Names of the standard that are not simply the record's own in camelCase. Aliases: the same field in other versions.
_STANDARD = {
    "parent_sourced_id": "parent",
    "school_year_sourced_id": "schoolYear",
    "org_sourced_id": "org",
    "course_sourced_id": "course",
    "school_sourced_id": "school",
    "term_sourced_ids": "terms",
    "user_sourced_id": "user",
    "class_sourced_id": "class",
    "org_sourced_ids": "orgs",
    "primary_org_sourced_id": "primaryOrg",
    "agent_sourced_ids": "agents",
    "preferred_given_name": "preferredFirstName",
    "preferred_family_name": "preferredLastName",
}
_ALIASES = {
    "preferred_given_name": ("preferredGivenName",),
    "preferred_family_name": ("preferredFamilyName",),
    "birth_date": ("birthdate",),
}
# A record means nothing without these, or this program cannot do without them (dateLastModified: delta pulls).
_INDISPENSABLE = {
    Entity.ORGS: {"name", "type"},
    Entity.ACADEMIC_SESSIONS: {"title", "type", "start_date", "end_date"},
    Entity.COURSES: {"title"},
    Entity.CLASSES: {"title", "course_sourced_id", "school_sourced_id", "term_sourced_ids"},
    Entity.USERS: {"enabled_user", "given_name", "family_name", "role", "roles", "org_sourced_ids"},
    Entity.ENROLLMENTS: {"user_sourced_id", "class_sourced_id", "school_sourced_id", "role"},
    Entity.DEMOGRAPHICS: set[str](),
}
_ALWAYS = {"sourced_id", "status", "date_last_modified"}


def _names(entity: Entity) -> dict[str, tuple[str, ...]]:
    """The standard's names of each field of a record, the usual one first."""
    found: dict[str, tuple[str, ...]] = {}
    for name in record_type(entity).__struct_fields__:
        head, *rest = name.split("_")
        standard = _STANDARD.get(name) or head + "".join(word.capitalize() for word in rest)
        found[name] = (standard, *_ALIASES.get(name, ()))
    return found


NAMES: dict[Entity, dict[str, tuple[str, ...]]] = {entity: _names(entity) for entity in Entity}
ATTRIBUTES: dict[Entity, dict[str, str]] = {
    entity: {standard: name for name, names in fields.items() for standard in names} for entity, fields in NAMES.items()
}


def empty_values(entity: Entity) -> dict[str, Any]:
    """What an optional field of a record holds when it has nothing: None, or an empty list."""
    return {
        each.name: [] if get_origin(each.type) is list else None
        for each in msgspec.structs.fields(record_type(entity))
        if each.name not in _ALWAYS | _INDISPENSABLE[entity]
    }


@dataclass(frozen=True)
class Choices:
    """The settings, checked. Empty schools or roles: all. omit: names of record fields, by entity."""

    entities: frozenset[Entity] = frozenset(Entity)
    schools: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    current_terms: bool = False
    enrolled_only: bool = False
    omit: Mapping[Entity, frozenset[str]] = field(default_factory=dict[Entity, frozenset[str]])
    role_mapping: Mapping[str, str] = field(default_factory=dict[str, str])
    # The day of the run by UTC: a source does not tell its time zone. A school year begins or ends some hours early or
    # late by this, at night.
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    @property
    def scoped(self) -> bool:
        """Whether some records are left out."""
        return bool(self.schools or self.roles or self.current_terms or self.enrolled_only or self.untaken)

    @property
    def mark(self) -> str:
        """The same for the same settings, whatever the day: rows that were read under another mark may lack something
        that no later change of theirs will show."""
        settings = [
            sorted(self.entities), sorted(self.schools), sorted(self.roles), self.current_terms, self.enrolled_only,
            sorted((entity, sorted(names)) for entity, names in self.omit.items() if names),
            sorted(self.role_mapping.items()),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]

    @property
    def untaken(self) -> list[Entity]:
        """Entities that are not taken at all."""
        return [entity for entity in Entity if entity not in self.entities]


EVERYTHING = Choices()


def choose(
    *,
    entities: Iterable[str] = (),
    schools: Iterable[str] = (),
    roles: Iterable[str] = (),
    current_terms: bool = False,
    enrolled_only: bool = False,
    omit: Iterable[str] = (),
    role_mapping: Mapping[str, str] | None = None,
    today: date | None = None,
) -> Choices:
    """The settings as a connection has them. Raises OneRosterError(SettingsInvalid) where they cannot be meant so."""
    taken = {Entity(name) for name in entities} or set(Entity)
    fields: dict[Entity, frozenset[str]] = {}
    for name in omit:
        entity, attribute = _field(name)
        if attribute is None:
            taken.discard(entity)
        else:
            fields[entity] = fields.get(entity, frozenset()) | {attribute}
    wanted = frozenset(known(role, ROLES)[0] for role in roles)
    _need(taken, "scope.schools", frozenset(schools), Entity.ORGS)
    _need(taken, "scope.roles", wanted, Entity.USERS)
    _need(taken, "scope.terms", current_terms, Entity.ACADEMIC_SESSIONS)
    _need(taken, "scope.enrolledOnly", enrolled_only, Entity.USERS, Entity.ENROLLMENTS)
    return Choices(
        entities=frozenset(taken),
        schools=frozenset(schools),
        roles=wanted,
        current_terms=current_terms,
        enrolled_only=enrolled_only,
        omit=fields,
        # Roles of the standard are compared in its own spelling, as the records have them.
        role_mapping={known(source, ROLES)[0]: known(role, ROLES)[0] for source, role in (role_mapping or {}).items()},
        today=today or datetime.now(UTC).date(),
    )


def _need(taken: set[Entity], setting: str, value: object, *entities: Entity) -> None:
    missing = [entity for entity in entities if entity not in taken]
    if value and missing:
        raise OneRosterError(
            Reason.SETTINGS_INVALID,
            f"{setting} cannot be decided without {' and '.join(missing)}, and the settings leave it out.",
            f"Take {' and '.join(missing)}, or leave {setting} out.",
        )


def _field(name: str) -> tuple[Entity, str | None]:
    """The entity that fields.omit names, and the record's field, or None for the whole entity."""
    first, _, rest = name.partition(".")
    if first not in {entity.value for entity in Entity}:
        raise OneRosterError(
            Reason.SETTINGS_INVALID,
            f"fields.omit names {first}, which is no entity.",
            f"Write ENTITY or ENTITY.FIELD, with one of {', '.join(Entity)}.",
        )
    entity = Entity(first)
    if not rest:
        return entity, None
    attribute = ATTRIBUTES[entity].get(rest)
    if attribute is None:
        raise OneRosterError(
            Reason.SETTINGS_INVALID,
            f"fields.omit names {name}, and {entity} have no field {rest}.",
            "Write the field as the standard does, as in users.phone or users.preferredFirstName.",
        )
    if attribute in _ALWAYS | _INDISPENSABLE[entity]:
        raise OneRosterError(
            Reason.SETTINGS_INVALID,
            f"fields.omit names {name}, which a record cannot be without.",
            "Take the field out of fields.omit.",
        )
    return entity, attribute
