"""From a connection's spec to what is taken of its source."""

from __future__ import annotations

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.scope import Terms
from roster_operator.oneroster.choices import Choices, choose


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
