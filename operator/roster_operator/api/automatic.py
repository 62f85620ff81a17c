"""Automatic syncing: when a connection is pulled without anybody asking, and when not."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .model import Duration, Model, Observed

_FIELD = r"[0-9A-Za-z*/,#-]+"
SCHEDULE_PATTERN = rf"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|{_FIELD}( {_FIELD}){{4}})$"


class ApprovalPolicy(StrEnum):
    """Who approves what a schedule has staged."""

    MANUAL = "Manual"
    WITHIN_LIMITS = "WithinLimits"


class PauseMode(StrEnum):
    """What happens in a pause window."""

    SKIP = "Skip"
    REHEARSE = "Rehearse"


class Pause(Model):
    """Days on which nothing is merged. They bind every sync of the connection, unless it has ignorePause."""

    from_: date = Field(alias="from", description="First day, by timeZone.")
    to: date = Field(description="Last day; it is part of the pause.")
    mode: PauseMode = Field(
        default=PauseMode.SKIP, description="Skip: nothing is pulled. Rehearse: pulled and planned, never merged."
    )
    reason: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]*$")] = Field(
        description="Why, for people who wonder."
    )

    def covers(self, day: date) -> bool:
        """Whether a day, by the schedule's time zone, is in the pause."""
        return self.from_ <= day <= self.to


class AutomaticSync(Model):
    """A schedule. It begins after the connection's first approved merge, and catches up one missed run."""

    schedule: Annotated[str, Field(max_length=100, pattern=SCHEDULE_PATTERN)] = Field(
        description='Five fields as cron has them ("0 3 * * *"), or @hourly, @daily, @weekly, @monthly, @yearly.'
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = Field(
        default="Etc/UTC", description="IANA time zone of schedule, until and pause: America/Chicago."
    )
    until: date | None = Field(default=None, description="Last day on which a sync is begun. Default: no end.")
    full_every: Duration | None = Field(
        default=None,
        description="A full pull at least this often, and deltas between. Default: every pull is a full one, which is "
        "right for a source whose dateLastModified cannot be trusted.",
    )
    approval: ApprovalPolicy = Field(
        default=ApprovalPolicy.MANUAL,
        description="Manual: a person approves each plan. WithinLimits: a plan within its limits, of a pull that was "
        "proved complete, is approved by this policy; others wait.",
    )
    pause: Annotated[list[Pause], Field(max_length=32)] = Field(
        default_factory=list[Pause], description="Days without merges, such as a summer break."
    )


class AutomaticStatus(Observed):
    """What the operator has to remember of a schedule."""

    schedule: Annotated[str, Field(max_length=180)] = Field(description="The schedule and time zone that these are of.")
    since: datetime = Field(description="Since when it is in force: an earlier time was not missed.")
    last_scheduled: datetime | None = Field(default=None, description="The latest time for which a sync was made.")
