"""Waiting: for a sync to end or to need a person, and for a test to be answered."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from roster_operator.api.kinds import POD
from roster_operator.api.sync import Phase

from . import sentences
from .access import Cluster
from .objects import Connection, Sync, one
from .problems import ClusterError

PAUSE = 2.0  # seconds between two looks
LOOKS_LOST = 15  # looks in a row that may fail before we give up: half a minute
# What a look may fail by, while the cluster is only busy or restarting.
_PASSING = ("ClusterUnreachable", "ClusterUnavailable")


@dataclass(frozen=True)
class Progress:
    """How far a stage has come with one entity. `total` is None where the source does not tell."""

    entity: str
    records: int
    total: int | None


@dataclass(frozen=True)
class Look:
    """A sync at a moment, and how far its Job is, where its log can be read."""

    sync: Sync
    progress: tuple[Progress, ...] = ()


def follow(
    cluster: Cluster, name: str, timeout: float | None, pause: Callable[[float], None] = time.sleep
) -> Iterator[Look]:
    """Looks at a sync, until it ends, or waits for a person. Raises ClusterError, also when the time is up."""
    deadline = None if timeout is None else time.monotonic() + timeout
    readable = True  # the log; asked for once, where it is forbidden
    lost = 0
    while True:
        try:
            sync = one(cluster, Sync, name)
            progress: tuple[Progress, ...] = ()
            if readable and sync.status.phase is Phase.STAGING:
                try:
                    progress = _progress(cluster, sync)
                except ClusterError:
                    readable = False
            lost = 0
        except ClusterError as error:
            lost += 1
            if error.reason not in _PASSING or lost > LOOKS_LOST:
                raise
        else:
            yield Look(sync, progress)
            if sync.ended or sync.waits:
                return
        if deadline is not None and time.monotonic() >= deadline:
            raise ClusterError(
                "StillRunning",
                f"{name} has not ended in {timeout:g} seconds. It goes on by itself.",
                "Look again with `roster watch`, or give a longer --timeout.",
            )
        pause(PAUSE)


def phase_line(sync: Sync) -> str:
    """A phase as one line."""
    return f"{sync.status.phase.value}: {sentences.headline(sync)}"


def parse_progress(log: str) -> tuple[Progress, ...]:
    """The newest count of each entity in a worker's log. Lines that are something else are passed over."""
    newest: dict[str, Progress] = {}
    for line in log.splitlines():
        try:
            entry = json.loads(line)
            total = entry["total"]
            newest[str(entry["entity"])] = Progress(
                str(entry["entity"]), int(entry["records"]), None if total is None else int(total)
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return tuple(newest.values())


def _progress(cluster: Cluster, sync: Sync) -> tuple[Progress, ...]:
    job = sync.status.job
    if job is None:
        return ()
    pods = [
        pod
        for pod in cluster.items(POD, sync.metadata.namespace, labels=f"batch.kubernetes.io/job-name={job.name}")
        if (pod.get("status") or {}).get("phase") == "Running"
    ]
    if not pods:
        return ()
    return parse_progress(cluster.log(sync.metadata.namespace, pods[-1]["metadata"]["name"], lines=200))


def answered(
    cluster: Cluster, name: str, request: str, timeout: float, pause: Callable[[float], None] = time.sleep
) -> Connection:
    """The connection, once its status answers the test that was asked for. Raises ClusterError."""
    deadline = time.monotonic() + timeout
    while True:
        connection = one(cluster, Connection, name)
        if connection.status.last_handled_test_request == request:
            return connection
        if time.monotonic() >= deadline:
            raise ClusterError(
                "TestUnanswered",
                f"The test was not answered in {timeout:g} seconds.",
                "`roster doctor` says whether the operator is at work.",
            )
        pause(PAUSE)
