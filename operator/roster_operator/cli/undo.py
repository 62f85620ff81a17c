"""`roster undo`: take back what a merged sync did, in a cluster, or with -f on a database."""

from __future__ import annotations

from typing import Annotated

import typer

from roster_operator.api.task import Policy

from . import engine as engines
from .cluster import undoing
from .cluster.shared import Context, Kubeconfig, Namespace, complete_connection, complete_sync
from .manifests import connection_from
from .output import Output, print_staged
from .shared import WAITS, Database, MaybeConnectionFile, OutputOption, told


def undo(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SYNC|RUN",
            help="A merged RosterSync of the cluster; with -f, a merged run's id or the name of its sync.",
            autocompletion=complete_sync,
        ),
    ],
    filename: MaybeConnectionFile = None,
    database: Database = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Also where something changed a record since. Default: those are left."),
    ] = False,
    connection: Annotated[
        str | None,
        typer.Option("--connection", help="Of the sync, where its object is gone.", autocompletion=complete_connection),
    ] = None,
    ignore_pause: Annotated[
        str | None, typer.Option("--ignore-pause", metavar="REASON", help="Also in a pause of the connection.")
    ] = None,
    own_name: Annotated[str | None, typer.Option("--name", help="Of the undo. Default: made of the time.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Plan to take back what a merged sync did. Nothing is merged before someone approves."""
    if filename is None:
        undoing.undo(
            name,
            connection=connection,
            overwrite=overwrite,
            ignore_pause=ignore_pause,
            own_name=own_name,
            output=output,
            cluster_options=(namespace, context, kubeconfig),
        )
        return
    if connection or ignore_pause or own_name:
        raise typer.BadParameter("--connection, --ignore-pause and --name are for a cluster", param_hint="--filename")
    with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
        made, staged = engine.undo(name, overwrite=overwrite)
    print_staged(made, staged.plan, staged.hits, filename, output)
    raise typer.Exit(WAITS)
