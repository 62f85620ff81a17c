"""One entity's records as the settings want them: roles taken as others, omitted fields gone. No I/O.

The way of a record: decoded (passwords are gone then), its roles mapped, omitted fields taken out, judged by `scope`,
masked values filled from what is merged, staged.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from .choices import ATTRIBUTES, NAMES, Choices, empty_values
from .entities import Entity
from .masks import is_masked
from .problems import VALUE_MASKED, Decoded, Problem
from .records import Enrollment, Record, User
from .source import Raw
from .values import ENROLLMENT_ROLES, ROLES, known

_ROLE_FIELDS = frozenset({"role", "roles.role"})


@runtime_checkable
class _CanOmit(Protocol):
    def without(self, names: frozenset[str]) -> Callable[[Raw], Decoded]: ...


class Intake:
    """The settings for one entity. `changes`: whether records of it are shaped at all."""

    def __init__(self, choices: Choices, entity: Entity) -> None:
        omitted = choices.omit.get(entity, frozenset())
        empty = empty_values(entity)
        self._empty = {name: empty[name] for name in sorted(omitted)}
        self._omitted_names = frozenset(standard for name in omitted for standard in NAMES[entity][name])
        self._roles = choices.role_mapping if entity in {Entity.USERS, Entity.ENROLLMENTS} else {}
        self.changes = bool(self._empty or self._roles)
        scope: list[object] = []
        if entity is Entity.ORGS or entity is Entity.USERS:
            scope.append(sorted(choices.schools))
        if entity is Entity.USERS:
            scope.append(sorted(choices.roles))
        reading = [list(self._empty), sorted(self._roles.items()), scope]
        # Part of what the same bytes mean: with other settings every record is read again.
        self.reading = json.dumps(reading) if self.changes or any(scope) else ""

    def decoder(self, decode: Callable[[Raw], Decoded]) -> Callable[[Raw], Decoded]:
        """The source's decoder, and what becomes of its records. An omitted field makes no record invalid."""
        if self._omitted_names and isinstance(decode, _CanOmit):
            decode = decode.without(self._omitted_names)
        if not self.changes:
            return decode
        return lambda raw: self._shaped(decode(raw))

    def _shaped(self, decoded: Decoded) -> Decoded:
        record, sourced_id, problems, secret = decoded
        if problems:
            problems = tuple(found for found in problems if not self._is_omitted(found))
        if record is not None and self._roles:
            record, problems = self._mapped(record, problems)
        if record is not None and self._empty:
            record = msgspec.structs.replace(record, **self._empty)
        return Decoded(record, sourced_id, problems, secret)

    def emptied(self, record: Record) -> Record:
        """A record that was merged, without what is omitted by now."""
        return msgspec.structs.replace(record, **self._empty)

    def _is_omitted(self, problem: Problem) -> bool:
        return (problem.field or "").split(".")[0] in self._omitted_names and problem.severity == "warning"

    def _mapped(self, record: Record, problems: tuple[Problem, ...]) -> tuple[Record, tuple[Problem, ...]]:
        take, vocabulary = self._roles, ROLES
        if isinstance(record, User):
            if not any(role["role"] in take for role in record.roles) and record.role not in take:
                return record, problems
            roles = [{**role, "role": take.get(role["role"] or "", role["role"])} for role in record.roles]
            changed: Record = msgspec.structs.replace(record, role=take.get(record.role, record.role), roles=roles)
            named = ["role" if found.field == "role" else "roles.role" for found in problems if _is_role(found)][:1]
            unknown = [role for role in roles if not known(role["role"] or "", vocabulary)[1]]
            # What was unknown may be known now; what it is taken as may be unknown.
            fresh = [Problem("UnknownVocabulary", "warning", named[0] if named else "roles.role")] if unknown else []
        elif isinstance(record, Enrollment) and record.role in take:
            role = take[record.role]
            changed = msgspec.structs.replace(record, role=role)
            fresh = [] if known(role, ENROLLMENT_ROLES)[1] else [Problem("UnknownVocabulary", "warning", "role")]
        else:
            return record, problems
        return changed, (*(found for found in problems if not _is_role(found)), *fresh)


def _is_role(problem: Problem) -> bool:
    return problem.code == "UnknownVocabulary" and problem.field in _ROLE_FIELDS


def masked_fields(entity: Entity, problems: tuple[Problem, ...]) -> list[str]:
    """The record's fields whose values the source withholds."""
    names = ATTRIBUTES[entity]
    return [names[found.field] for found in problems if found.code == VALUE_MASKED and found.field in names]


def filled(record: Record, masked: list[str], merged: Mapping[str, Any] | None) -> Record:
    """The record with what is merged in the place of masked values.

    Without a merged row an optional field stays empty, and a required one as masked as it came.
    """
    values: dict[str, Any] = {}
    for name in masked:
        before = None if merged is None else merged[name]
        if name == "metadata":
            values[name] = _filled_keys(record.metadata or {}, before or {})
        elif before is not None:
            values[name] = before
    return msgspec.structs.replace(record, **values)


def _filled_keys(metadata: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Metadata is withheld key by key."""
    found: dict[str, Any] = {}
    for key, value in metadata.items():
        if not isinstance(value, str) or not is_masked(value):
            found[key] = value
        elif key in before:
            found[key] = before[key]
    return found or None
