"""How much a sync may change before a person has to look, and what went beyond it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .model import Model, Observed

Percent = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class Limit(Model):
    """Passed only when more than `floor` records AND more than `percent` of the merged ones are hit."""

    percent: Percent = Field(default=10, description="Per cent of the active merged records of an entity.")
    floor: Count = Field(default=20, description="Records; up to this many never hold a sync.")


class Limits(Model):
    """The limits of a connection, or of one sync. Each is about one entity at a time."""

    deactivate: Limit = Field(
        default_factory=lambda: Limit(percent=10, floor=20), description="Records that a merge may deactivate."
    )
    update: Limit = Field(
        default_factory=lambda: Limit(percent=75, floor=50), description="Records that a merge may update."
    )
    create: Limit = Field(
        default_factory=lambda: Limit(percent=50, floor=200),
        description="Records that a merge may create. A first merge creates everything, and knows no such limit.",
    )
    invalid: Limit = Field(
        default_factory=lambda: Limit(percent=2, floor=5),
        description="Records that cannot be taken; per cent of those that the source showed.",
    )
    role_change: Limit = Field(
        default_factory=lambda: Limit(percent=5, floor=10), description="People whose role a merge may change."
    )
    email_change: Limit = Field(
        default_factory=lambda: Limit(percent=10, floor=20),
        description="People whose e-mail address a merge may change.",
    )
    in_use: Count = Field(
        default=0, description="Records that the application has registered as in use and that a merge may deactivate."
    )


class LimitHit(Observed):
    """One limit that a plan goes beyond."""

    limit: Annotated[str, Field(max_length=32)]  # the field's name in Limits
    entity: Annotated[str, Field(max_length=32)]
    count: Annotated[int, Field(ge=0)]  # records that would be hit
    of: Annotated[int, Field(ge=0)]  # what the per cent is of: active merged records before, or records shown
    max_percent: Annotated[int, Field(ge=0, le=100)]
    max_count: Annotated[int, Field(ge=0)]

    @property
    def percent(self) -> float:
        """The share that would be hit."""
        return 100 * self.count / self.of if self.of else 100.0

    @property
    def sentence(self) -> str:
        """What goes beyond which limit, for people; without a full stop."""
        what = _WHAT.get(self.limit, f"go beyond the limit {self.limit}")
        if self.limit == "inUse":
            used = f"{self.count:,} {self.entity} that the application uses would be deactivated"
            return f"{used}; the limit is {self.max_count:,}"
        return (
            f"{self.count:,} of {self.of:,} {self.entity} ({self.percent:.1f} %) {what};"
            f" the limit is {self.max_percent} % and {self.max_count:,}"
        )


_WHAT = {
    "deactivate": "would be deactivated",
    "update": "would be updated",
    "create": "would be created, by what is merged",
    "invalid": "cannot be taken",
    "roleChange": "would get another role",
    "emailChange": "would get another e-mail address",
}
