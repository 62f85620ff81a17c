"""Who is told of what: the notices of a connection. They hold counts, reasons and a link, never a value of a record."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .mailbox import Address
from .model import Model, Observed

TOLD_KEPT = 32


class Occasion(StrEnum):
    """What people are told of."""

    WAITING = "Waiting"
    HELD = "Held"
    FAILED = "Failed"
    MERGED = "Merged"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    EXPIRING = "Expiring"


class Notify(Model):
    """What is told, and to whom."""

    on: Annotated[list[Occasion], Field(min_length=1, max_length=7)] = Field(
        default_factory=lambda: list(Occasion),
        description="Waiting: a plan waits for approval. Held: it is beyond limits. Failed, Merged: so a sync ended. "
        "Paused, Resumed: a pause or spec.suspend began or ended. Expiring: credentials or a certificate end within 21 "
        "days. Default: all of them.",
    )
    email: Annotated[list[Address], Field(min_length=1, max_length=10)] = Field(
        description="Plain addresses, 10 at most. The mail goes through the operator's mail server."
    )


class Told(Observed):
    """One occasion, and who is still to be told of it."""

    key: Annotated[str, Field(max_length=16)] = Field(description="A hash of the occasion.")
    left: Annotated[list[Annotated[str, Field(max_length=8)]], Field(max_length=16)] = Field(
        default_factory=list[str], description="Hashes of the addresses that are still to be told. None: it is done."
    )
    attempts: int = 0
    next: datetime | None = Field(default=None, description="When it is tried again.")


class Notified(Observed):
    """What people were told. What happened before `since` is told to nobody."""

    since: datetime
    paused: datetime | None = Field(default=None, description="Since when the connection is paused.")
    resumed: datetime | None = Field(default=None, description="When its last pause ended.")
    told: Annotated[list[Told], Field(max_length=TOLD_KEPT)] = Field(default_factory=list[Told])
