"""The two resources as the command line reads them: a tolerant view of the spec, and the whole status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field, ValidationError

from roster_operator.api.connection import Condition, RosterConnectionStatus, find
from roster_operator.api.kinds import CONNECTION, SYNC, Kind, kept_in_git
from roster_operator.api.model import Observed
from roster_operator.api.sync import FINAL, WAITING, ConnectionRef, RosterSyncStatus

from .access import Body, Cluster
from .problems import ClusterError, ForbiddenError, NotThereError, not_there


class Metadata(Observed):
    """What an object is called, since when it exists, and what stands on it."""

    name: Annotated[str, Field(max_length=253)]
    namespace: Annotated[str, Field(max_length=63)]
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default_factory=dict[str, str])
    labels: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def from_git(self) -> bool:
        """Argo CD or Flux keeps the object as it stands in Git."""
        return kept_in_git(self.annotations, self.labels)


class _Named(Observed):
    name: str


class _Api(Observed):
    provider: str = ""


class _Csv(Observed):
    upload: dict[str, Any] | None = None


class _Automatic(Observed):
    time_zone: str = "Etc/UTC"
    pause: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])


class ConnectionSpec(Observed):
    """The part of a connection's spec that is shown. Fields of newer versions are passed over."""

    api: _Api | None = None
    csv: _Csv | None = None
    database_secret_ref: _Named | None = None
    automatic_sync: _Automatic | None = None
    suspend: bool = False


class SyncSpec(Observed):
    """The part of a sync's spec that is shown."""

    connection_ref: ConnectionRef
    mode: str = "Full"
    approved: bool = False
    approved_plan: str | None = None
    rejected: dict[str, Any] | None = None


class Connection(Observed):
    """A RosterConnection."""

    metadata: Metadata
    spec: ConnectionSpec
    status: RosterConnectionStatus = Field(default_factory=RosterConnectionStatus)

    @property
    def source(self) -> str:
        """What is pulled from, in a word or two."""
        if self.spec.api is not None:
            return f"{self.spec.api.provider} {self.status.version or ''}".strip()
        return "CSV upload" if self.spec.csv and self.spec.csv.upload is not None else "CSV by SFTP"

    @property
    def pauses(self) -> list[dict[str, Any]]:
        """spec.automaticSync.pause, as the object has it."""
        return self.spec.automatic_sync.pause if self.spec.automatic_sync else []

    @property
    def time_zone(self) -> str:
        """That of its schedule and its pauses."""
        return self.spec.automatic_sync.time_zone if self.spec.automatic_sync else _Automatic().time_zone

    @property
    def ready(self) -> Condition | None:
        """The condition Ready."""
        return find(self.status.conditions, "Ready")


class Sync(Observed):
    """A RosterSync."""

    metadata: Metadata
    spec: SyncSpec
    status: RosterSyncStatus = Field(default_factory=RosterSyncStatus)

    @property
    def waits(self) -> bool:
        """A person has to decide, and the operator knows of no decision that was made since."""
        status, plan = self.status, self.status.plan
        if plan is None or status.phase not in WAITING:
            return False
        decided = self.spec.rejected is not None or self.spec.approved_plan == plan.digest
        seen = (status.observed_generation or 0) >= self.metadata.generation
        in_advance = plan.in_advance and not plan.first and not plan.limits
        return not (decided or (self.spec.approved and (in_advance or not seen)))

    @property
    def ended(self) -> bool:
        """Its phase is final."""
        return self.status.phase in FINAL


Resource = TypeVar("Resource", Connection, Sync)
_KINDS: dict[type[Connection | Sync], Kind] = {Connection: CONNECTION, Sync: SYNC}


def parsed(what: type[Resource], body: Body) -> Resource:
    """An object's body. Raises ClusterError where a newer version wrote it."""
    try:
        return what.model_validate(body)
    except ValidationError:  # pydantic's message would repeat values
        name = (body.get("metadata") or {}).get("name", "")
        raise ClusterError(
            "ObjectUnreadable",
            f"The {_KINDS[what].kind} {name} has fields that this version of roster does not understand.",
            "Install the version of roster that fits the operator.",
        ) from None


def one(cluster: Cluster, what: type[Resource], name: str) -> Resource:
    """One object of the namespace. Raises NotThereError with similar names."""
    kind, namespace = _KINDS[what], cluster.namespace
    try:
        return parsed(what, cluster.get(kind, name, namespace))
    except NotThereError:
        try:
            known = [body["metadata"]["name"] for body in cluster.items(kind, namespace)]
        except ForbiddenError:
            known = []
        raise not_there(kind.kind, name, namespace, known) from None


def several(cluster: Cluster, what: type[Resource], namespace: str | None) -> tuple[list[Resource], list[str]]:
    """All objects of a namespace, or of all of them; and the names of those that cannot be understood."""
    good: list[Resource] = []
    bad: list[str] = []
    for body in cluster.items(_KINDS[what], namespace):
        try:
            good.append(parsed(what, body))
        except ClusterError:
            bad.append(str((body.get("metadata") or {}).get("name", "")))
    return good, bad
