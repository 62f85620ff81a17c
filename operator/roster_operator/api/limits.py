"""How much a sync may change before a person has to look, and what went beyond it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .model import Model, Observed


class Limit(Model):
    """Passed only when more than `floor` records AND more than `percent` of the merged ones are hit."""

    percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=10, description="Per cent of the active merged records of an entity."
    )
    floor: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=20, description="Records; up to this many never hold a sync."
    )


class Limits(Model):
    """The limits of a connection, or of one sync."""

    deactivate: Limit = Field(
        default_factory=lambda: Limit(percent=10, floor=20),
        description="Records of one entity that a merge may deactivate.",
    )


class LimitHit(Observed):
    """One limit that a plan goes beyond."""

    limit: Annotated[str, Field(max_length=32)]  # the field's name in Limits
    entity: Annotated[str, Field(max_length=32)]
    count: Annotated[int, Field(ge=0)]  # records that would be hit
    of: Annotated[int, Field(ge=0)]  # active merged records before
    max_percent: Annotated[int, Field(ge=0, le=100)]
    max_count: Annotated[int, Field(ge=0)]

    @property
    def percent(self) -> float:
        """The share of the active merged records that would be hit."""
        return 100 * self.count / self.of if self.of else 100.0
