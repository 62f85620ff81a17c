"""Which records are out of scope, as far as a record and what was left out before it tell. Pure.

What follows for unchanged records, which are never decoded, the database works out at the end of the pull.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Protocol

from .choices import Choices
from .entities import Entity
from .records import Class, Demographics, Enrollment, Org, Record, User

# Of these ids of an entity, those that were left out in this pull.
LeftOut = Callable[[Entity, Iterable[str]], set[str]]


def judges(choices: Choices, entity: Entity) -> bool:
    """Whether records of this entity can be out of scope, each for itself or by what it refers to."""
    fallen = bool(choices.schools)
    match entity:
        case Entity.ORGS:
            return fallen
        case Entity.CLASSES:
            return fallen or choices.current_terms
        case Entity.USERS:
            return fallen or bool(choices.roles)
        case Entity.ENROLLMENTS:
            return fallen or choices.current_terms or bool(choices.roles)
        case Entity.DEMOGRAPHICS:
            return fallen or bool(choices.roles)
        case _:
            return False


def out_of_scope(choices: Choices, entity: Entity, records: Sequence[Record], left_out: LeftOut) -> set[int]:
    """Positions of the records that are out of scope, whatever their status."""
    refers = _references(records)
    gone = {target: left_out(target, ids) for target, ids in refers.items()} if entity is not Entity.ORGS else {}
    return {at for at, record in enumerate(records) if _is_out(choices, record, gone)}


def _references(records: Sequence[Record]) -> dict[Entity, set[str]]:
    refers: dict[Entity, set[str]] = {}
    for record in records:
        if isinstance(record, Class):
            refers.setdefault(Entity.ORGS, set()).add(record.school_sourced_id)
            refers.setdefault(Entity.ACADEMIC_SESSIONS, set()).update(record.term_sourced_ids)
        elif isinstance(record, User):
            refers.setdefault(Entity.ORGS, set()).update(record.org_sourced_ids)
        elif isinstance(record, Enrollment):
            refers.setdefault(Entity.ORGS, set()).add(record.school_sourced_id)
            refers.setdefault(Entity.CLASSES, set()).add(record.class_sourced_id)
            refers.setdefault(Entity.USERS, set()).add(record.user_sourced_id)
        elif isinstance(record, Demographics):
            refers.setdefault(Entity.USERS, set()).add(record.sourced_id)
    return refers


def _is_out(choices: Choices, record: Record, gone: dict[Entity, set[str]]) -> bool:
    if isinstance(record, Org):
        return record.type == "school" and record.sourced_id not in choices.schools
    if isinstance(record, Class):
        terms = record.term_sourced_ids
        return record.school_sourced_id in gone[Entity.ORGS] or (
            bool(terms) and gone[Entity.ACADEMIC_SESSIONS].issuperset(terms)
        )
    if isinstance(record, User):
        return _person_is_out(choices, record, gone[Entity.ORGS])
    if isinstance(record, Enrollment):
        return (
            record.school_sourced_id in gone[Entity.ORGS]
            or record.class_sourced_id in gone[Entity.CLASSES]
            or record.user_sourced_id in gone[Entity.USERS]
        )
    if isinstance(record, Demographics):
        return record.sourced_id in gone[Entity.USERS]
    return False


def _person_is_out(choices: Choices, person: User, schools_out: set[str]) -> bool:
    """A person with several roles is taken for any of them that is wanted, at any school that is taken: a principal who
    teaches is needed for the class. Somebody who only has orgs that are no schools stays."""
    if (
        choices.schools
        and choices.schools.isdisjoint(person.org_sourced_ids)
        and not schools_out.isdisjoint(person.org_sourced_ids)
    ):
        return True
    return bool(choices.roles) and not any(
        role["role"] in choices.roles and role["org_sourced_id"] not in schools_out for role in person.roles
    )


class Session(Protocol):
    """An academic session. `end` is exclusive."""

    @property
    def sourced_id(self) -> str: ...
    @property
    def start(self) -> date: ...
    @property
    def end(self) -> date: ...
    @property
    def school_year(self) -> int | None: ...
    @property
    def parent(self) -> str | None: ...


def current_sessions(sessions: Iterable[Session], today: date) -> set[str]:
    """Ids of the sessions of a school year that is under way, with all their parents and children.

    Between two school years the last one that began counts as under way: the summer is no reason to remove everybody.
    """
    by_id = {session.sourced_id: session for session in sessions}
    under_way = [session for session in by_id.values() if session.start <= today < session.end]
    if not under_way:
        begun = [session for session in by_id.values() if session.start <= today]
        last = max((session.end for session in begun), default=None)
        under_way = [session for session in begun if session.end == last]
    years = {session.school_year for session in under_way} - {None}
    under_way += [session for session in by_id.values() if session.school_year in years]
    children: dict[str, list[str]] = {}
    for session in by_id.values():
        if session.parent is not None:
            children.setdefault(session.parent, []).append(session.sourced_id)
    current = _reached([session.sourced_id for session in under_way], lambda i: _parents(by_id, i))
    return _reached(sorted(current), lambda i: children.get(i, []))


def _parents(by_id: dict[str, Session], sourced_id: str) -> list[str]:
    parent = by_id[sourced_id].parent
    return [parent] if parent in by_id else []


def _reached(starts: list[str], onward: Callable[[str], list[str]]) -> set[str]:
    """All that can be reached; circles end by themselves."""
    found, ahead = set(starts), list(starts)
    while ahead:
        for each in onward(ahead.pop()):
            if each not in found:
                found.add(each)
                ahead.append(each)
    return found
