"""From a connection's spec to what is taken of its source, and what is told of it."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.scope import ROLE_PATTERN, Terms
from roster_operator.api.sync import Taken
from roster_operator.oneroster.choices import NAMES, Choices, choose
from roster_operator.oneroster.entities import Entity

_WORD, _LONGEST = re.compile(ROLE_PATTERN), 64
# So many of each have room in a status.
_ROLES, _FIELDS, _MAPPED = 16, 16, 8


def choices_of(spec: RosterConnectionSpec) -> Choices:
    """The spec's scope, fields and roles. Raises OneRosterError(SettingsInvalid) where they cannot be meant so."""
    scope = spec.scope
    return choose(
        entities=[entity.value for entity in scope.entities],
        schools=scope.schools,
        roles=scope.roles,
        current_terms=scope.terms is Terms.CURRENT,
        enrolled_only=scope.enrolled_only,
        omit=spec.fields.omit,
        role_mapping=spec.role_mapping,
    )


def taken_by(choices: Choices) -> dict[str, Any] | None:
    """What a plan says of its choices, as the database keeps it; None where everything is taken as it comes.

    Schools are counted: no sourcedId stands in a status.
    """
    omitted = [f"{entity}.{NAMES[entity][name][0]}" for entity in choices.omit for name in choices.omit[entity]]
    if not (choices.scoped or omitted or choices.role_mapping):
        return None
    roles = sorted(choices.roles)
    # A role of the source's own can be any text; what is no word stays out of a status.
    mapped = {a: b for a, b in sorted(choices.role_mapping.items()) if _WORD.fullmatch(a) and len(a) <= _LONGEST}
    shown = Taken(
        schools=len(choices.schools),
        roles=roles[:_ROLES],
        terms=Terms.CURRENT if choices.current_terms else Terms.ALL,
        enrolled_only=choices.enrolled_only,
        entities=[each.value for each in Entity if each in choices.entities] if choices.untaken else [],
        omitted=sorted(omitted)[:_FIELDS],
        role_mapping=dict(islice(mapped.items(), _MAPPED)),
    )
    listed = len(shown.roles) + len(shown.omitted) + len(shown.role_mapping)
    shown.more = len(roles) + len(omitted) + len(choices.role_mapping) - listed
    return shown.to_dict()
