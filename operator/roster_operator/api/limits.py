"""How much a sync may change before a person has to look, and what went beyond it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from .model import Model, Observed
from .scope import ScopedEntity

PER_SCHOOL = "perSchool"
GeneralLimit = Literal["deactivate", "update", "create", "invalid"]

Percent = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]


class Limit(Model):
    """Passed only when more than `floor` records AND more than `percent` of the merged ones are hit."""

    percent: Percent = Field(default=10, description="Per cent of the active merged records of an entity.")
    floor: Count = Field(default=20, description="Records; up to this many never hold a sync.")


class EntityLimit(Model):
    """A limit of one entity's own. Both halves are given: there is no default that fits."""

    percent: Percent = Field(description="Per cent of the active merged records of the entity.")
    floor: Count = Field(description="Records; up to this many never hold a sync.")


class EntityLimits(Model):
    """The limits of one entity in place of the general ones."""

    deactivate: EntityLimit | None = Field(default=None, description="In place of limits.deactivate.")
    update: EntityLimit | None = Field(default=None, description="In place of limits.update.")
    create: EntityLimit | None = Field(default=None, description="In place of limits.create.")
    invalid: EntityLimit | None = Field(default=None, description="In place of limits.invalid.")


class _WithLimits(Model):
    """Of a limit that is given in part, the other half is this field's own default, not that of any limit."""

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        whole: dict[str, Any] = dict(given)  # pyright: ignore[reportUnknownArgumentType]
        for name, field in cls.model_fields.items():
            default = field.get_default(call_default_factory=True)
            for key in (name, field.alias or name):
                if isinstance(default, Limit) and isinstance(whole.get(key), dict):
                    whole[key] = default.to_dict() | whole[key]
        return whole


class SchoolLimits(_WithLimits):
    """What one school may lose, for users, classes and enrollments each."""

    deactivate: Limit = Field(
        default_factory=lambda: Limit(percent=50, floor=5),
        description="Records of one school that a merge may deactivate; per cent of those that the school has.",
    )


class OnExceed(StrEnum):
    """What becomes of a plan beyond a limit of removals."""

    HOLD = "Hold"
    HOLD_REMOVALS = "HoldRemovals"


class Limits(_WithLimits):
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
    rekeyed: Limit = Field(
        default_factory=lambda: Limit(percent=1, floor=2),
        description="Records that come under another sourcedId; of users, those that are recognised and keep what "
        "hangs on them.",
    )
    in_use: Count = Field(
        default=0, description="Records that the application has registered as in use and that a merge may deactivate."
    )
    per_school: SchoolLimits = Field(
        default_factory=SchoolLimits, description="What one school may lose, whatever its share of the district."
    )
    entities: Annotated[dict[str, EntityLimits], Field(max_length=7)] | None = Field(
        default=None, description="Limits of single entities in place of the general ones, by the standard's name."
    )
    window_days: Annotated[int, Field(ge=0, le=60)] = Field(
        default=7,
        description="The same limits over the merges of so many days, each record counted once. 0: none.",
    )
    on_exceed: OnExceed = Field(
        default=OnExceed.HOLD,
        description="Hold: a plan beyond its limits waits for a person. HoldRemovals: where too much would be removed, "
        "the rest is merged and the removals wait; the next sync plans them again.",
    )

    @field_validator("entities")
    @classmethod
    def _known(cls, value: dict[str, EntityLimits] | None) -> dict[str, EntityLimits] | None:
        if unknown := set(value or {}) - set(ScopedEntity):
            raise ValueError(f"no such entity: {', '.join(sorted(unknown))}")
        return value

    def of(self, entity: str, limit: GeneralLimit) -> Limit | EntityLimit:
        """The limit that holds for an entity: its own, else the general one."""
        own = (self.entities or {}).get(entity)
        return (getattr(own, limit) if own else None) or getattr(self, limit)


class LimitHit(Observed):
    """One limit that a plan goes beyond."""

    limit: Annotated[str, Field(max_length=32)]  # the field's name in Limits
    entity: Annotated[str, Field(max_length=32)]
    count: Annotated[int, Field(ge=0)]  # records that would be hit
    of: Annotated[int, Field(ge=0)]  # what the per cent is of: active merged records before, or records shown
    max_percent: Annotated[int, Field(ge=0, le=100)]
    max_count: Annotated[int, Field(ge=0)]
    days: Annotated[int, Field(ge=0)] | None = None  # counted with the merges of so many days
    schools: Annotated[int, Field(ge=0)] | None = None  # perSchool: how many; count and of are the hardest hit one's

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
        if self.limit == PER_SCHOOL:
            number = self.schools or 1
            lose = "1 school would lose" if number == 1 else f"{number:,} schools would lose, the hardest hit one"
            return (
                f"{lose} {self.count:,} of its {self.of:,} {self.entity} ({self.percent:.1f} %);"
                f" the limit of a school is {self.max_percent} % and {self.max_count:,}"
            )
        if self.days:
            what += (
                f", with the merges of the last {self.days} days" if self.days > 1 else ", with those of the last day"
            )
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
    "rekeyed": "come under another sourcedId",
}
