"""Connections and syncs in words. Pure: objects go in, sentences come out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from roster_operator.api.connection import find
from roster_operator.api.limits import LimitHit
from roster_operator.api.sync import Phase, Removals

from .objects import Connection, Sync

_DONE = {
    "deactivate": "deactivated",
    "create": "created",
    "update": "updated",
    "invalid": "invalid",
    "rekeyed": "under another sourcedId",
}


@dataclass(frozen=True)
class Program:
    """How the person called us, so that the commands we print can be pasted."""

    name: str  # roster | kubectl roster
    home: str  # the namespace that needs no -n
    options: tuple[str, ...] = ()  # --context, --kubeconfig, as they were given

    def command(self, *words: str, namespace: str) -> str:
        """A command line."""
        place = () if namespace == self.home else ("-n", namespace)
        return " ".join([self.name, *(shlex.quote(word) for word in (*words, *place, *self.options))])


def ago(time: datetime, now: datetime) -> str:
    """How far away a time is, in one unit."""
    seconds = (now - time).total_seconds()
    size = abs(seconds)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if size >= length:
            amount = int(size // length)
            text = f"{amount} {unit}{'s' if amount > 1 else ''}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds >= 0 else "in a moment"


def short(time: datetime | None, now: datetime) -> str:
    """How far away a time is, as kubectl's columns have it: 12m, 11h, 40d."""
    if time is None:
        return "-"
    size = abs((now - time).total_seconds())
    for unit, length in (("d", 2 * 86400), ("h", 2 * 3600), ("m", 120)):
        if size >= length:
            return f"{int(size // {'d': 86400, 'h': 3600, 'm': 60}[unit])}{unit}"
    return f"{int(size)}s"


def readiness(connection: Connection, now: datetime) -> str:
    """Whether the connection works, and since when that is known."""
    ready, tested = connection.ready, connection.status.last_test_time
    if connection.spec.suspend:
        return "Suspended: nothing new is begun"
    if ready is None:
        return "Not tested yet"
    if ready.status == "True":
        return f"Ready, tested {ago(tested, now)}" if tested else "Ready"
    word = "Not ready" if ready.status == "False" else "Not known"
    return f"{word}: {ready.reason}, {ready.message}" if ready.message else f"{word}: {ready.reason}"


def limit(hit: LimitHit, removals: Removals) -> str:
    """One limit that a plan goes beyond."""
    if hit.limit not in _DONE or hit.days:
        return hit.sentence
    share = f"{hit.percent:.1f} %" if hit.of else f"{hit.count:,}"
    text = f"{hit.entity} {share} {_DONE[hit.limit]} (limit {hit.max_percent} %)"
    if hit.limit == "deactivate" and removals.unexplained:
        text += f", {min(removals.unexplained, hit.count):,} of them unexplained"
    return text


def plural(amount: int, what: str = "record") -> str:
    """A number and its noun."""
    return f"{amount:,} {what}{'' if amount == 1 else 's'}"


def headline(sync: Sync) -> str:
    """The sync in one sentence, without its name."""
    status, plan = sync.status, sync.status.plan
    match status.phase:
        case Phase.BLOCKED if plan and plan.limits:
            return f"beyond limits: {'; '.join(limit(hit, plan.removals) for hit in plan.limits)}"
        case Phase.AWAITING_APPROVAL | Phase.BLOCKED if plan:
            why = _said(sync, "Stalled", "Approved")
            first = " Nothing of this district was merged before." if plan.first else ""
            return f"if approved, it {plan.summed().effects}.{first}" + (
                f" {why}" if why and not why.startswith("Waiting for a person") else ""
            )
        case Phase.MERGED if plan and plan.entities:
            return f"it {plan.summed().effects}."
        case Phase.MERGING if plan:
            return _said(sync, "Complete") or f"it {plan.summed().effects}."
        case Phase.FAILED:
            return f"{status.failure.reason}: {status.failure.message}" if status.failure else "its conditions say why."
        case Phase.REJECTED:
            return "nothing of it was merged."
        case Phase.EXPIRED | Phase.SUPERSEDED:
            return _said(sync, status.phase.value)
        case Phase.PENDING | Phase.STAGING:
            return _said(sync, "Staged") or "it has not begun."
        case _:
            return _said(sync, "Complete", "Staged")


def _said(sync: Sync, *kinds: str) -> str:
    found = (find(sync.status.conditions, kind) for kind in kinds)
    return next((one.message for one in found if one and one.message), "")


def reason(sync: Sync) -> str:
    """Why it is in its phase, in one word; empty where nothing says it."""
    for kind in ("Failed", "Rejected", "Expired", "Superseded", "Complete", "Stalled", "Approved", "Staged"):
        found = find(sync.status.conditions, kind)
        if found:
            return found.reason
    return ""


def newest_first(syncs: Sequence[Sync]) -> list[Sync]:
    """As a person reads a history."""
    return sorted(syncs, key=lambda sync: (sync.metadata.creation_timestamp, sync.metadata.name), reverse=True)


def of_connection(syncs: Sequence[Sync], connection: Connection) -> list[Sync]:
    """The syncs of one connection, newest first."""
    return [
        sync
        for sync in newest_first(syncs)
        if sync.metadata.namespace == connection.metadata.namespace
        and sync.spec.connection_ref.name == connection.metadata.name
    ]
