"""A resource as the API server returned it, parsed once into typed values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from roster_operator.api.connection import Condition, RosterConnectionSpec, RosterConnectionStatus, find
from roster_operator.api.kinds import CONNECTION, PURGE_FINALIZER, SCHEDULED_AT, STAGED_FINALIZER
from roster_operator.api.sync import RosterSyncSpec, RosterSyncStatus

# What Argo CD and Flux put on what they apply, by their defaults.
_TRACKING_LABELS = (
    "argocd.argoproj.io/instance",
    "app.kubernetes.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
)
_TRACKING_ANNOTATION = "argocd.argoproj.io/tracking-id"

Body = dict[str, Any]


@dataclass(frozen=True)
class Meta:
    """The part of metadata that decisions need."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleted: datetime | None
    finalizers: tuple[str, ...]
    annotations: dict[str, str]
    labels: dict[str, str]

    @property
    def deleting(self) -> bool:
        """Someone deleted the object, and a finalizer still stands."""
        return self.deleted is not None

    @property
    def tracked(self) -> bool:
        """A GitOps tool keeps this object: it would make it again, so it is not ours to delete."""
        return _TRACKING_ANNOTATION in self.annotations or any(name in self.labels for name in _TRACKING_LABELS)

    @classmethod
    def of(cls, body: Body) -> Meta:
        """From an object's body."""
        meta = body["metadata"]
        deleted = meta.get("deletionTimestamp")
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            generation=meta.get("generation", 1),
            resource_version=meta.get("resourceVersion", ""),
            created=parse_time(meta["creationTimestamp"]),
            deleted=parse_time(deleted) if deleted else None,
            finalizers=tuple(meta.get("finalizers") or ()),
            annotations=dict(meta.get("annotations") or {}),
            labels=dict(meta.get("labels") or {}),
        )


@dataclass(frozen=True)
class Connection:
    """A RosterConnection."""

    meta: Meta
    spec: RosterConnectionSpec
    status: RosterConnectionStatus
    body: Body

    @classmethod
    def of(cls, body: Body) -> Connection:
        """From an object's body. Raises pydantic.ValidationError where the resource definition is a newer one."""
        return cls(
            Meta.of(body),
            RosterConnectionSpec.from_dict(body["spec"]),
            RosterConnectionStatus.from_dict(body.get("status") or {}),
            body,
        )

    @property
    def ready(self) -> Condition | None:
        """The condition Ready, if there is one."""
        return find(self.status.conditions, "Ready")

    @property
    def purge_held(self) -> bool:
        """Our finalizer stands: the rows go before the connection does."""
        return PURGE_FINALIZER in self.meta.finalizers

    @property
    def tested(self) -> bool:
        """Ready, with the spec as it is now."""
        ready = self.ready
        return ready is not None and ready.status == "True" and ready.observed_generation == self.meta.generation


@dataclass(frozen=True)
class Sync:
    """A RosterSync."""

    meta: Meta
    spec: RosterSyncSpec
    status: RosterSyncStatus
    body: Body

    @classmethod
    def of(cls, body: Body) -> Sync:
        """From an object's body. Raises pydantic.ValidationError where the resource definition is a newer one."""
        return cls(
            Meta.of(body),
            RosterSyncSpec.from_dict(body["spec"]),
            RosterSyncStatus.from_dict(body.get("status") or {}),
            body,
        )

    @property
    def held(self) -> bool:
        """Our finalizer stands: there may be staged rows."""
        return STAGED_FINALIZER in self.meta.finalizers

    @property
    def scheduled_by(self) -> str | None:
        """The uid of the connection whose schedule made it; None where a person did."""
        return scheduled_by(self.body)

    @property
    def expires(self) -> datetime | None:
        """When it has waited as long as it may; None before it is staged."""
        staged = self.status.times.staged
        return staged + parse_duration(self.spec.staged_for) if staged else None

    @property
    def outlives(self) -> datetime | None:
        """From when on it may be deleted; None where it may not, or not yet."""
        finished = self.status.times.finished
        if finished is None or self.held or self.meta.deleting or self.meta.tracked:
            return None
        return finished + parse_duration(self.spec.ttl_after_finished)


def scheduled_by(body: Body) -> str | None:
    """The uid of the connection whose schedule made this sync; None where a person did."""
    meta = body["metadata"]
    if SCHEDULED_AT not in (meta.get("annotations") or {}):
        return None
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == CONNECTION.kind:
            return str(owner.get("uid"))
    return None


def parse_time(text: str) -> datetime:
    """A Kubernetes time, with or without parts of a second."""
    return datetime.fromisoformat(text)


def parse_duration(text: str) -> timedelta:
    """A duration as the resource has it: 24h, 1h30m, 90s."""
    hours, minutes, seconds = (
        int(found.group(1)) if (found := re.search(rf"(\d+){unit}", text)) else 0 for unit in "hms"
    )
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def show_time(moment: datetime) -> str:
    """A Kubernetes time, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
