"""Undo: a sync from what a merged one did, for the pages and the API alike. It is a plan like any other."""

from __future__ import annotations

from typing import Any

from roster_operator.api.kinds import SYNC
from roster_operator.api.sync import Mode, Phase, UndoConflicts

from . import problems
from .cluster import Cluster
from .district import new_name
from .sessions import Session


async def begin(
    cluster: Cluster,
    person: Session,
    namespace: str,
    name: str,
    *,
    overwrite: bool = False,
    ignore_pause: str | None = None,
) -> str:
    """Create the undo of a merged sync, as the person; its name. Raises problems.Problem."""
    found = await cluster.sync(person.token, namespace, name)
    if found.status.phase is not Phase.MERGED:
        raise problems.not_merged()
    connection = found.spec.connection_ref.name
    spec: dict[str, Any] = {"connectionRef": {"name": connection}, "mode": Mode.UNDO.value, "undoes": name}
    if overwrite:
        spec["undoConflicts"] = UndoConflicts.OVERWRITE.value
    if ignore_pause:
        spec["ignorePause"] = {"reason": ignore_pause}
    body = {"metadata": {"name": new_name(f"{connection[:35]}-undo")}, "spec": spec}
    return await cluster.create(SYNC, person.token, namespace, body)
