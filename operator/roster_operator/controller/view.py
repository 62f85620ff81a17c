"""What the watch has shown: a small record of each object, for triggers, figures and the count of running Jobs.

It may be behind the truth, so nothing is created, failed or concluded from it: that is done from a live read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from roster_operator.api.connection import Ledger, find
from roster_operator.api.kinds import CONNECTION, STAGED_FINALIZER, SYNC
from roster_operator.api.sync import FINAL, WAITING, Phase, RosterSyncStatus

from .jobs import STEP_LABEL
from .lifecycle import AT_CAPACITY
from .line import Line
from .objects import Body, Meta, parse_duration, parse_time, scheduled_by
from .queue import Key
from .results import is_finished
from .sync_status import limits_text, waiting_reason

Name = tuple[str, str]  # namespace, name
_ENDED = {phase.value for phase in FINAL}
_OF_AN_ENDED = {"databaseId", "dataVersion", "phase", "conditions", "times", "approval"}


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """What is known of a connection."""

    ready: str = "Unknown"
    generation_ready: int | None = None
    generation: int = 1
    last_merged: datetime | None = None
    next_sync: datetime | None = field(default=None, compare=False)
    certificate_expires: datetime | None = field(default=None, compare=False)
    credentials_expire: datetime | None = field(default=None, compare=False)
    rewound: bool = False  # its database was found to be older than it was
    version: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class SyncRecord:
    """What is known of a sync."""

    uid: str
    connection: str
    phase: Phase
    reason: str
    created: datetime
    waiting_since: datetime | None
    staged: datetime | None
    finished: datetime | None
    digest: str | None
    summary: str
    settled: bool  # final, and nothing is left to do
    outlives: datetime | None  # settled: from when on it may be deleted
    mode: str = "Full"
    pulled: datetime | None = None
    via: str = ""  # how it was approved
    ledger: Ledger | None = None  # merged: what the database held then
    scheduled_by: str | None = None  # the uid of the connection whose schedule made it
    version: str = field(default="", compare=False)

    @property
    def standing(self) -> tuple[Phase, str | None]:
        """What other syncs of the connection go by."""
        return self.phase, self.digest

    @property
    def busy(self) -> bool:
        """Something other than the object itself may have changed: its connection, its Job, the time."""
        return not self.settled and self.phase not in WAITING


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What is known of a Job of ours."""

    owner: Key | None
    step: str
    running: bool
    version: str = field(default="", compare=False)


class View:
    """Everything the watch has shown so far."""

    def __init__(self) -> None:
        self.connections: dict[Name, ConnectionRecord] = {}
        self.syncs: dict[Name, SyncRecord] = {}
        self.jobs: dict[Name, JobRecord] = {}
        self.running: set[Name] = set()  # Jobs that have not ended
        self.line = Line(SYNC)  # syncs, as the watch has shown them
        self.tests = Line(CONNECTION)  # connections whose test waits, as their last look found
        self._of_connection: dict[Name, set[Name]] = defaultdict(set)

    def connection_seen(self, body: Body, *, deleted: bool = False) -> set[Key]:
        """A connection changed: itself and the syncs that wait for it are looked at."""
        name = _name(body)
        before = self.connections.get(name)
        record = None if deleted else _connection(body)
        if record is None:
            self.connections.pop(name, None)
            self.tests.leave(name)
        else:
            self.connections[name] = record
        keys: set[Key] = set()
        # What was seen before is not looked at again: ten thousand of them are listed every ten minutes.
        if record is not None and (before is None or before.version != record.version):
            keys.add(Key(CONNECTION.kind, *name))
        if before != record:
            # Another spec can also end a pause, or approve a plan.
            edited = before is not None and record is not None and before.generation != record.generation
            waiting = {Phase.PENDING, Phase.STAGING} | (WAITING if edited else frozenset())
            keys |= {Key(SYNC.kind, *sync) for sync in self.syncs_of(name) if self.syncs[sync].phase in waiting}
        return keys

    def sync_seen(self, body: Body, *, deleted: bool = False) -> set[Key]:
        """A sync changed: itself and, where it tells something new, its connection."""
        name = _name(body)
        known = self.syncs.get(name)
        if known is not None and not deleted and known.version == body["metadata"].get("resourceVersion", ""):
            # Seen before, by a list or the watch: tens of thousands of them come again with each list.
            return {Key(SYNC.kind, *name)} if known.busy else set()
        before = self.syncs.pop(name, None)
        if before is not None:
            self._of_connection[name[0], before.connection].discard(name)
        record = None if deleted else _sync(body)
        if record is not None and record.reason == AT_CAPACITY:
            self.line.join(name, record.created, merging=record.phase is Phase.MERGING)
        else:
            self.line.leave(name)
        if record is not None:
            self.syncs[name] = record
            self._of_connection[name[0], record.connection].add(name)
        keys: set[Key] = set()
        new = record is not None and (before is None or before.version != record.version)
        if record is not None and not record.settled and (new or record.busy):
            keys.add(Key(SYNC.kind, *name))
        known = record or before
        if known is not None and before != record:
            keys.add(Key(CONNECTION.kind, name[0], known.connection))
        if record is not None and record.digest and (before is None or before.standing != record.standing):
            keys |= self._waiting_beside(name, record)
        return keys

    def _waiting_beside(self, name: Name, record: SyncRecord) -> set[Key]:
        """The connection's other syncs that wait for a person: this one's plan may supersede theirs."""
        others = self._of_connection[name[0], record.connection] - {name}
        return {Key(SYNC.kind, *other) for other in others if self.syncs[other].phase in WAITING}

    def outlived(self, now: datetime) -> set[Key]:
        """Syncs that ended so long ago that they may be deleted."""
        return {
            Key(SYNC.kind, *name)
            for name, record in self.syncs.items()
            if record.outlives is not None and record.outlives <= now
        }

    def job_seen(self, body: Body, *, deleted: bool = False) -> set[Key]:
        """A Job changed: its owner is looked at."""
        name = _name(body)
        labels = body["metadata"].get("labels") or {}
        record = JobRecord(
            _owner(body),
            labels.get(STEP_LABEL, ""),
            running=not is_finished(body),
            version=body["metadata"].get("resourceVersion", ""),
        )
        if deleted:
            self.jobs.pop(name, None)
        else:
            self.jobs[name] = record
        if record.running and not deleted:
            self.running.add(name)
        else:
            self.running.discard(name)
        return {record.owner} if record.owner else set()

    def syncs_of(self, connection: Name) -> list[Name]:
        """The names of a connection's syncs."""
        return sorted(self._of_connection.get(connection, ()))

    def forget_all_but(self, connections: set[Name], syncs: set[Name], jobs: set[Name]) -> None:
        """Drop what a full list no longer shows: a broken watch may have swallowed the deletion."""
        for gone in set(self.connections) - connections:
            del self.connections[gone]
            self.tests.leave(gone)
        for gone in set(self.syncs) - syncs:
            record = self.syncs.pop(gone)
            self.line.leave(gone)
            self._of_connection[gone[0], record.connection].discard(gone)
        for gone in set(self.jobs) - jobs:
            del self.jobs[gone]
            self.running.discard(gone)


def _name(body: Body) -> Name:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _connection(body: Body) -> ConnectionRecord:
    status = body.get("status") or {}
    ready = next((item for item in status.get("conditions") or () if item.get("type") == "Ready"), {})
    return ConnectionRecord(
        ready=ready.get("status", "Unknown"),
        generation_ready=ready.get("observedGeneration"),
        generation=body["metadata"].get("generation", 1),
        last_merged=_moment(status, "lastMergedTime"),
        next_sync=_moment(status, "nextSync"),
        certificate_expires=_moment(status, "certificateExpires"),
        credentials_expire=_moment(status, "credentialsExpire"),
        rewound=bool(status.get("databaseRewoundTime")),
        version=body["metadata"].get("resourceVersion", ""),
    )


def _moment(status: Body, name: str) -> datetime | None:
    text = status.get(name)
    return parse_time(text) if text else None


def _sync(body: Body) -> SyncRecord:
    meta = body["metadata"]
    status = _sync_status(body)
    waits = status.phase in WAITING
    approved = find(status.conditions, "Approved")
    plan = status.plan
    held = STAGED_FINALIZER in (meta.get("finalizers") or ())
    settled = status.phase in FINAL and not held
    finished = status.times.finished
    lasting = not settled or finished is None or Meta.of(body).tracked or meta.get("deletionTimestamp")
    kept = parse_duration(body["spec"].get("ttlAfterFinished") or "720h")
    return SyncRecord(
        uid=meta["uid"],
        connection=body["spec"]["connectionRef"]["name"],
        phase=status.phase,
        reason=waiting_reason(status),
        created=parse_time(meta["creationTimestamp"]),
        waiting_since=(approved.last_transition_time if approved else status.times.staged) if waits else None,
        staged=status.times.staged,
        pulled=status.times.pulled,
        finished=status.times.finished,
        digest=plan.digest if plan else None,
        summary=_summary(status) if waits else "",
        settled=settled,
        via=status.approval.via if status.approval else "",
        ledger=_ledger(meta["uid"], status),
        mode=body["spec"].get("mode", "Full"),
        scheduled_by=scheduled_by(body),
        outlives=None if lasting or finished is None else finished + kept,
        version=meta.get("resourceVersion", ""),
    )


def _sync_status(body: Body) -> RosterSyncStatus:
    """The status as far as a record needs it. The plan of an ended sync, most of what there is to parse, is left out
    but for its digest: tens of thousands of them are listed at the start."""
    told: Body = body.get("status") or {}
    if told.get("phase") in _ENDED:
        told = {name: value for name, value in told.items() if name in _OF_AN_ENDED}
        digest = ((body["status"].get("plan")) or {}).get("digest")
        told |= {"plan": {"digest": digest, "entities": {}}} if digest else {}
    try:
        return RosterSyncStatus.from_dict(told)
    except ValidationError:
        return RosterSyncStatus()


def _ledger(uid: str, status: RosterSyncStatus) -> Ledger | None:
    if status.phase is not Phase.MERGED or status.database_id is None or status.data_version is None:
        return None
    return Ledger(database=status.database_id, data_version=status.data_version, run=uid)


def _summary(status: RosterSyncStatus) -> str:
    if status.plan is None:
        return ""
    totals = status.plan.totals
    text = (
        f"create {totals.create:,}, update {totals.update:,}, remove {totals.deactivate:,}, invalid {totals.invalid:,}"
    )
    if status.plan.limits:
        text += f"; beyond limits: {limits_text(status.plan.limits)}"
    return text[:256]


def _owner(body: Body) -> Key | None:
    for reference in body["metadata"].get("ownerReferences") or ():
        if reference.get("controller") and reference.get("kind") in {CONNECTION.kind, SYNC.kind}:
            return Key(reference["kind"], body["metadata"]["namespace"], reference["name"])
    return None
