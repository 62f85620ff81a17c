"""Approving and rejecting, for the pages and the API alike. Always of the plan that the person saw."""

from __future__ import annotations

from typing import Any

from roster_operator.api.kinds import APPROVAL_NOTE, APPROVED_BY, NOTE_LENGTH, SYNC

from . import problems
from .cluster import Cluster
from .resources import Sync

LONGEST = NOTE_LENGTH  # letters of a note or a reason


async def approve(cluster: Cluster, token: str, who: str, sync: Sync, digest: str, note: str = "") -> None:
    """Approve the plan with this digest, if it is the one that waits. Raises problems.Problem."""
    where, plan = sync.metadata, sync.status.plan
    await _may(cluster, token, sync, "approve")
    if not sync.waits or plan is None:
        raise problems.not_waiting()
    if digest != plan.digest:
        raise problems.plan_changed()
    # The digest binds the approval to the plan, so another's write in between does no harm.
    # A note of before was about something else.
    notes: dict[str, Any] = {APPROVED_BY: who or None, APPROVAL_NOTE: printable(note) or None}
    patch = {"metadata": {"annotations": notes}, "spec": {"approvedPlan": digest}}
    await cluster.change(SYNC, token, where.namespace, where.name, patch)


async def reject(cluster: Cluster, token: str, sync: Sync, reason: str) -> None:
    """End a sync that waits, with a reason. Raises problems.Problem."""
    where, words = sync.metadata, reason.strip()
    await _may(cluster, token, sync, "reject")
    if not words or len(words) > LONGEST:
        raise problems.not_valid(f"A reason of 1 to {LONGEST} letters is needed.")
    if not sync.waits:
        raise problems.not_waiting()
    await cluster.change(SYNC, token, where.namespace, where.name, {"spec": {"rejected": {"reason": words}}})


async def _may(cluster: Cluster, token: str, sync: Sync, what: str) -> None:
    where = sync.metadata
    if not await cluster.may(token, "approve", SYNC, where.namespace, where.name):
        raise problems.needs_right("approve", SYNC.plural, what)


def printable(text: str) -> str:
    """One line of printable ASCII, as annotations of ours are: they are shown on terminals."""
    line = " ".join(text.split())[:LONGEST]
    return "".join(letter if " " <= letter <= "~" else "?" for letter in line)
