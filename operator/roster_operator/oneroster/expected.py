"""What the standard requires of a record by version and binding, though the record can live without it.

What no record can live without is the same everywhere, and `careful` asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .choices import ATTRIBUTES
from .entities import Entity


@dataclass(frozen=True)
class Needs:
    """fields: (the standard's name, the record's). role_org: whether a role without its org makes the user invalid, as
    in CSV, where its row is refused; else it is only told."""

    fields: tuple[tuple[str, str], ...] = ()
    role_org: bool = False


NO_NEEDS = Needs()

_REST: Mapping[tuple[Literal["1.1", "1.2"], Entity], tuple[str, ...]] = {
    ("1.1", Entity.ACADEMIC_SESSIONS): ("schoolYear",),
    ("1.1", Entity.CLASSES): ("terms",),
    ("1.1", Entity.USERS): ("username", "orgs"),
    ("1.2", Entity.ORGS): ("identifier",),
    ("1.2", Entity.ACADEMIC_SESSIONS): ("schoolYear",),
    ("1.2", Entity.COURSES): ("courseCode",),
    ("1.2", Entity.CLASSES): ("terms",),
}


def rest_needs(entity: Entity, version: Literal["1.1", "1.2"]) -> Needs:
    """What REST requires. Roles of 1.2 are a list of their own, which `careful` looks through."""
    names = ATTRIBUTES[entity]
    return Needs(tuple((name, names[name]) for name in _REST.get((version, entity), ())))
