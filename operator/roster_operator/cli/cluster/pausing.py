"""`roster pause`: days on which a connection is not synced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from roster_operator.api.automatic import Pause, PauseMode
from roster_operator.api.kinds import CONNECTION
from roster_operator.cli.grouped import grouped
from roster_operator.cli.output import Output
from roster_operator.cli.shared import OutputOption

from . import documents, pauses
from .access import Cluster
from .objects import Connection, one
from .pauses import Window
from .problems import ClusterError
from .shared import ConnectionName, Context, Kubeconfig, Namespace, note, open_cluster, show, show_json, told, width

pause_app = typer.Typer(
    no_args_is_help=True,
    help="Days on which nothing of a connection is merged, such as a summer break. They bind every sync, also those "
    "that people begin. To stop at once and without an end: `roster suspend`.",
)


class PauseOutput(StrEnum):
    """Do it, with or without JSON, or print what to commit."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True)
class Where:
    """The options that name a cluster (cli/grouped.py)."""

    namespace: Namespace = None
    context: Context = None
    kubeconfig: Kubeconfig = None

    def open(self) -> Cluster:
        """Raises ClusterError."""
        return open_cluster(self.namespace, self.context, self.kubeconfig)


_DAY = ["%Y-%m-%d"]
First = Annotated[datetime, typer.Option("--from", formats=_DAY, help="First day, by the schedule's time zone.")]
PauseOutputOption = Annotated[
    PauseOutput, typer.Option("--output", "-o", help="table, json, or yaml: print the change to commit instead.")
]


@pause_app.command("add")
@grouped
def add(
    connection: ConnectionName,
    first: First,
    last: Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last day; it is part of the pause.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for people who wonder.")],
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Pull and plan all the same, and merge nothing.")
    ] = False,
    *,
    where: Where,
    output: PauseOutputOption = PauseOutput.TABLE,
) -> None:
    """Add a pause. On its days nothing is pulled; with --rehearse it is pulled and planned, and never merged."""
    if last < first:
        raise typer.BadParameter("a pause must not end before it begins", param_hint="--to")
    try:
        mode = PauseMode.REHEARSE if rehearse else PauseMode.SKIP
        new = Pause.from_dict({"from": first.date(), "to": last.date(), "mode": mode, "reason": reason.strip()})
    except ValidationError:
        raise typer.BadParameter("1 to 256 characters of ASCII, in one line", param_hint="--reason") from None
    with told():
        cluster = where.open()
        found = _scheduled(one(cluster, Connection, connection))
        windows = pauses.with_pause(found.pauses, new)
        day = pauses.today(cluster.now, found.time_zone)
        _write(cluster, found, windows, output)
    if pauses.state(new.to_dict(), day) == "over":
        note(f"This pause is over already: where the schedule is, it is {day}.")


@pause_app.command("remove")
@grouped
def remove(
    connection: ConnectionName,
    first: First,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=_DAY, help="Last day; needed where two begin together.")
    ] = None,
    *,
    where: Where,
    output: PauseOutputOption = PauseOutput.TABLE,
) -> None:
    """Take the pause away that begins on this day. The first sync after a pause that held is a full one."""
    with told():
        cluster = where.open()
        found = one(cluster, Connection, connection)
        windows = pauses.without_pause(found.pauses, first.date(), last.date() if last else None)
        _write(cluster, found, windows, output)


@pause_app.command("list")
@grouped
def listing(connection: ConnectionName, *, where: Where, output: OutputOption = Output.TABLE) -> None:
    """List a connection's pauses, and where each stands today."""
    with told():
        cluster = where.open()
        found = one(cluster, Connection, connection)
    day = pauses.today(cluster.now, found.time_zone)
    if output is Output.JSON:
        show_json("Pauses", _document(found, found.pauses))
    elif found.pauses:
        show(pauses.pauses_table(found.pauses, day, width()))
    else:
        note(f"{connection} has no pauses.")


def _scheduled(found: Connection) -> Connection:
    if found.spec.automatic_sync is None:
        raise ClusterError(
            "NoSchedule",
            f"{found.metadata.name} has no automaticSync, and pauses are part of it.",
            "Give it a schedule first (docs/how-to/automatic-syncing.md), or stop it with `roster suspend`.",
        )
    return found


def _write(cluster: Cluster, found: Connection, windows: list[Window], output: PauseOutput) -> None:
    name = found.metadata.name
    spec = {"automaticSync": {"pause": windows}}
    if output is PauseOutput.YAML:
        typer.echo(
            yaml.safe_dump(documents.connection_to_commit(found, spec), sort_keys=False, width=120),
            nl=False,
        )
        return
    # The whole list is written: with the version that was read, so that nobody's pause of this moment is lost.
    patch = {"metadata": {"resourceVersion": found.metadata.resource_version}, "spec": spec}
    cluster.patch(CONNECTION, name, cluster.namespace, patch)
    if found.metadata.from_git:
        note("Git owns this connection, and may set its pauses back: commit what -o yaml prints as well.")
    if output is PauseOutput.JSON:
        show_json("Pauses", _document(found, windows))
        return
    show(pauses.pauses_table(windows, pauses.today(cluster.now, found.time_zone), width()))
    if not windows:
        typer.echo(f"{name} has no pauses any more.")


def _document(found: Connection, windows: list[Window]) -> dict[str, Any]:
    where = found.metadata
    return {"connection": where.name, "namespace": where.namespace, "timeZone": found.time_zone, "pauses": windows}
