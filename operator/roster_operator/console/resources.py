"""The two resources as the console reads and gives them: the models of `api`, and the part of metadata people need."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from roster_operator.api.connection import RosterConnectionSpec, RosterConnectionStatus
from roster_operator.api.kinds import kept_in_git
from roster_operator.api.model import Observed
from roster_operator.api.sync import FINAL, WAITING, RosterSyncSpec, RosterSyncStatus


class Metadata(Observed):
    """What an object is called, and since when it exists."""

    name: Annotated[str, Field(max_length=253)]
    namespace: Annotated[str, Field(max_length=63)]
    uid: str = ""
    generation: int = 0
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default_factory=dict[str, str], exclude=True)
    labels: dict[str, str] = Field(default_factory=dict[str, str], exclude=True)

    @property
    def from_git(self) -> bool:
        """Argo CD or Flux keeps the object as it stands in Git."""
        return kept_in_git(self.annotations, self.labels)


class Connection(Observed):
    """A RosterConnection."""

    metadata: Metadata
    spec: RosterConnectionSpec
    status: RosterConnectionStatus = Field(default_factory=RosterConnectionStatus)


class Sync(Observed):
    """A RosterSync."""

    metadata: Metadata
    spec: RosterSyncSpec
    status: RosterSyncStatus = Field(default_factory=RosterSyncStatus)

    @property
    def waits(self) -> bool:
        """A person has to decide, and nobody has yet: not here, not elsewhere."""
        status, plan = self.status, self.status.plan
        if plan is None or status.phase not in WAITING or self.metadata.deletion_timestamp:
            return False
        return self.spec.rejected is None and self.spec.approved_plan != plan.digest

    @property
    def ended(self) -> bool:
        """Its phase is final."""
        return self.status.phase in FINAL


class _Page(Observed):
    following: str | None = Field(
        default=None, serialization_alias="continue", description="Give this back to read on."
    )
    unreadable: list[str] = Field(
        default_factory=list[str], description="Names of objects with fields that this version does not know."
    )


class ConnectionPage(_Page):
    """Some RosterConnections of one namespace."""

    items: list[Connection]


class SyncPage(_Page):
    """Some RosterSyncs of one namespace."""

    items: list[Sync]


Resource = TypeVar("Resource", Connection, Sync)


def parse_all(kind: type[Resource], bodies: list[Any]) -> tuple[list[Resource], list[str]]:
    """What can be read, and the names of what cannot: one strange object must not hide all others."""
    good: list[Resource] = []
    bad: list[str] = []
    for body in bodies:
        try:
            good.append(kind.model_validate(body))
        except ValidationError:
            bad.append(_name_of(body))
    return good, bad


def _name_of(body: Any) -> str:
    metadata: Any = body.get("metadata") if isinstance(body, dict) else None
    name: Any = metadata.get("name") if isinstance(metadata, dict) else None
    return name[:253] if isinstance(name, str) else "(without a name)"
