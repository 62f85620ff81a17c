"""Who is told of what: the notices of a connection. They hold counts, reasons and a link, never a value of a record."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from .mailbox import Address
from .model import Model, Observed
from .sources import CaBundle, Key, Name, SecretUse

TOLD_KEPT = 32
SIGNING_KEY = "signing-key"
WebhookUrl = Annotated[
    str, Field(min_length=9, max_length=2048, pattern=r"^https://[^\s/?#@]+(/[^\s?#]*)?(\?[^\s#]*)?$")
]


class Occasion(StrEnum):
    """What people are told of."""

    WAITING = "Waiting"
    HELD = "Held"
    FAILED = "Failed"
    MERGED = "Merged"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    EXPIRING = "Expiring"


class SigningKeyRef(Model):
    """A Secret in the connection's namespace, and the key in it."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")
    key: Key = Field(default=SIGNING_KEY, description="Key of the signing key: whsec_ and 24 to 64 bytes in base64.")

    def secret(self) -> SecretUse:
        """The Secret under the file name that the worker knows."""
        return SecretUse(self.name, {SIGNING_KEY: self.key})


class Webhook(Model):
    """Where notices are sent as JSON, signed as Standard Webhooks says."""

    url: WebhookUrl = Field(
        description="https. It is no secret: who reads this object or its Jobs sees it. No redirect is followed."
    )
    secret_ref: SigningKeyRef = Field(description="The Secret that holds the signing key.")
    ca_bundle: CaBundle | None = Field(default=None, description="Authorities in PEM, besides the system's.")


class Notify(Model):
    """What is told, and to whom."""

    on: Annotated[list[Occasion], Field(min_length=1, max_length=7)] = Field(
        default_factory=lambda: list(Occasion),
        description="Waiting: a plan waits for approval. Held: it is beyond limits. Failed, Merged: so a sync ended. "
        "Paused, Resumed: a pause or spec.suspend began or ended. Expiring: credentials or a certificate end within 21 "
        "days. Default: all of them.",
    )
    email: Annotated[list[Address], Field(max_length=10)] = Field(
        default_factory=list[Address],
        description="Plain addresses, 10 at most. The mail goes through the operator's mail server.",
    )
    webhook: Webhook | None = Field(
        default=None, description="Told besides, or instead. A Job sends it, which mounts the signing key and no more."
    )


class Told(Observed):
    """One occasion, and who is still to be told of it."""

    key: Annotated[str, Field(max_length=16)] = Field(description="A hash of the occasion.")
    left: Annotated[list[Annotated[str, Field(max_length=8)]], Field(max_length=16)] = Field(
        default_factory=list[str], description="Hashes of the addresses that are still to be told. None: it is done."
    )
    attempts: int = 0
    next: datetime | None = Field(default=None, description="When it is tried again.")


class Posted(Observed):
    """One occasion, and what has become of it at the webhook. Without job and next it is done."""

    key: Annotated[str, Field(max_length=16)] = Field(description="A hash of the occasion.")
    job: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="The Job that sends it.")
    attempts: int = 0
    next: datetime | None = Field(default=None, description="When it is tried again.")


class Notified(Observed):
    """What people were told. What happened before `since` is told to nobody."""

    since: datetime
    paused: datetime | None = Field(default=None, description="Since when the connection is paused.")
    resumed: datetime | None = Field(default=None, description="When its last pause ended.")
    told: Annotated[list[Told], Field(max_length=TOLD_KEPT)] = Field(default_factory=list[Told])
    posted: Annotated[list[Posted], Field(max_length=TOLD_KEPT)] = Field(
        default_factory=list[Posted], description="What the webhook was told."
    )
