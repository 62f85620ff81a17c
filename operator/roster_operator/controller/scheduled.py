"""The RosterSyncs that a schedule makes: their names, their manifests, and how many of them stay. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from roster_operator.api.kinds import CONNECTION, SCHEDULED_AT, SYNC
from roster_operator.api.model import GROUP
from roster_operator.api.sync import Mode

from .jobs import label_value
from .objects import Body, Connection, show_time
from .view import SyncRecord

HISTORY = 3  # ended syncs of a schedule that stay; all of them are in the database
_NAME_LIMIT = 253


def sync_name(connection: str, due: datetime, zone: ZoneInfo) -> str:
    """The name of the sync of this moment: always the same, by the schedule's own clock."""
    local = due.astimezone(zone)
    # An autumn night has one hour twice.
    tail = f"-{local:%Y%m%d-%H%M}" + ("-2" if local.fold else "")
    if len(connection) + len(tail) > _NAME_LIMIT:
        mark = hashlib.sha256(connection.encode()).hexdigest()[:10]
        connection = f"{connection[: _NAME_LIMIT - len(tail) - 11].rstrip('-.')}-{mark}"
    return connection + tail


def manifest(connection: Connection, due: datetime, zone: ZoneInfo, mode: Mode) -> Body:
    """The RosterSync for this scheduled time. It goes when its connection goes."""
    meta = connection.meta
    return {
        "apiVersion": SYNC.api_version,
        "kind": SYNC.kind,
        "metadata": {
            "name": sync_name(meta.name, due, zone),
            "namespace": meta.namespace,
            "labels": {f"{GROUP}/connection": label_value(meta.name)},
            "annotations": {SCHEDULED_AT: show_time(due)},
            "ownerReferences": [
                {
                    "apiVersion": CONNECTION.api_version,
                    "kind": CONNECTION.kind,
                    "name": meta.name,
                    "uid": meta.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {"connectionRef": {"name": meta.name}, "mode": mode.value},
    }


def beyond_history(uid: str, syncs: Iterable[tuple[str, SyncRecord]]) -> list[tuple[str, str]]:
    """Names and uids of the ended syncs of this connection's schedule that may go: all but the latest few."""
    ended = [(item.finished, name, item) for name, item in syncs if item.scheduled_by == uid and item.outlives]
    ended.sort(key=lambda one: (one[0] or one[2].created, one[1]), reverse=True)
    return [(name, item.uid) for _, name, item in ended[HISTORY:]]
