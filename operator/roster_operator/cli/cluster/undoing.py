"""`undo` in a cluster: a RosterSync that takes back what a merged one did."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import typer

from roster_operator.api.kinds import SYNC
from roster_operator.api.sync import Mode, Phase, UndoConflicts
from roster_operator.cli.output import Output

from . import documents
from .access import Body, Cluster
from .acting import manifest
from .objects import Connection, Sync, one, parsed
from .problems import ClusterError, NotThereError
from .shared import note, open_cluster, program, show_json, told


def undo(
    name: str,
    *,
    connection: str | None,
    overwrite: bool,
    ignore_pause: str | None,
    own_name: str | None,
    output: Output,
    cluster_options: tuple[str | None, str | None, Path | None],
) -> None:
    """Create the undo of a merged sync. It is staged and planned, and nothing is merged before someone approves."""
    with told():
        cluster = open_cluster(*cluster_options)
        district = one(cluster, Connection, connection or _connection_of(cluster, name))
        chosen = own_name or f"{district.metadata.name[:200]}-undo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        body = manifest(cluster.namespace, chosen, district.metadata.name, Mode.UNDO)
        body["spec"] |= _spec(name, overwrite=overwrite, ignore_pause=ignore_pause)
        made = parsed(Sync, cluster.create(SYNC, body, cluster.namespace))
        if made.spec.mode != Mode.UNDO:
            raise ClusterError(
                "NotInstalled",
                "The resource definition in the cluster is older than this program: it knows no undo.",
                "Upgrade roster-operator.",
            )
    if not district.spec.suspend:
        note(
            f"{district.metadata.name} is not suspended: what is undone comes back with the next pull that somebody "
            "approves, if the source still says it. Correct the source first, or suspend the connection."
        )
    if output is Output.JSON:
        show_json("Sync", documents.sync(made))
        return
    who = program(cluster, *cluster_options[1:])
    typer.echo(f"{chosen}\nnext: {who.command('watch', chosen, namespace=cluster.namespace)}")


def _spec(undoes: str, *, overwrite: bool, ignore_pause: str | None) -> Body:
    return (
        {"undoes": undoes}
        | ({"undoConflicts": UndoConflicts.OVERWRITE.value} if overwrite else {})
        | ({"ignorePause": {"reason": ignore_pause}} if ignore_pause else {})
    )


def _connection_of(cluster: Cluster, name: str) -> str:
    """Of the sync that is to be undone. Its object may be gone: the database has what it did all the same."""
    try:
        found = one(cluster, Sync, name)
    except NotThereError as error:
        raise NotThereError(
            error.reason, error.message, f"{error.step} If it was deleted since, name its --connection."
        ) from None
    if found.status.phase is not Phase.MERGED:
        raise ClusterError(
            "NotMerged",
            f"{name} is {found.status.phase.value}: nothing of it was merged, so there is nothing to undo.",
            "Name a merged sync; `roster history` lists them.",
        )
    return found.spec.connection_ref.name
