"""`status`, `list`, `history`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from roster_operator.cli.output import Output
from roster_operator.cli.shared import OutputOption

from . import documents, sentences, views
from .grid import Line
from .objects import Connection, Sync, one, several
from .shared import (
    ConnectionName,
    Context,
    Kubeconfig,
    Namespace,
    complete_connection,
    note,
    open_cluster,
    program,
    show,
    show_json,
    told,
    width,
)

_Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")]


def status(
    connection: Annotated[
        str | None, typer.Argument(help="Only this RosterConnection.", autocompletion=complete_connection)
    ] = None,
    everywhere: _Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say how each district stands: whether its connection works, what waits for a person, what came last."""
    if connection and everywhere:
        raise typer.BadParameter("one connection is in one namespace", param_hint="--all-namespaces")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        place = None if everywhere else cluster.namespace
        found, unreadable = (
            ([one(cluster, Connection, connection)], []) if connection else several(cluster, Connection, place)
        )
        syncs, strange = several(cluster, Sync, place)
    if output is Output.JSON:
        shown = [_document(each, syncs) for each in found]
        newest = [own[0] for each in found if (own := sentences.of_connection(syncs, each))]
        waiting = [sync for each in found for sync in sentences.of_connection(syncs, each) if sync.waits]
        listed = list({(sync.metadata.namespace, sync.metadata.name): sync for sync in [*waiting, *newest]}.values())
        show_json(
            "Status",
            {
                "connections": shown,
                "syncs": [documents.sync(sync) for sync in listed],
                "unreadable": [*unreadable, *strange],
            },
        )
        return
    who = program(cluster, context, kubeconfig)
    ordered = sorted(found, key=lambda each: (each.metadata.namespace, each.metadata.name))
    for at, each in enumerate(ordered):
        show([Line("")] if at else [])
        show(views.connection_lines(each, syncs, cluster.now, width(), who))
    _tell_of_the_rest(found, [*unreadable, *strange], place)


def listing(
    everywhere: _Everywhere = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the connections, one line each."""
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        place = None if everywhere else cluster.namespace
        found, unreadable = several(cluster, Connection, place)
        syncs, strange = several(cluster, Sync, place)
    if output is Output.JSON:
        shown = [_document(each, syncs) for each in found]
        show_json("ConnectionList", {"connections": shown, "unreadable": [*unreadable, *strange]})
        return
    if found:
        show(views.connections_table(found, syncs, cluster.now, width(), everywhere=everywhere))
    _tell_of_the_rest(found, [*unreadable, *strange], place)


def history(
    connection: ConnectionName,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List a connection's syncs that the cluster still has, newest first. The database keeps the whole history."""
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        found = one(cluster, Connection, connection)
        syncs, strange = several(cluster, Sync, cluster.namespace)
    own = sentences.of_connection(syncs, found)
    if output is Output.JSON:
        show_json(
            "History",
            {"connection": connection, "syncs": [documents.sync(sync) for sync in own], "unreadable": strange},
        )
        return
    if own:
        show(views.history_table(own, cluster.now, width()))
    else:
        note(f"{connection} has no syncs.")


def _document(connection: Connection, syncs: list[Sync]) -> dict[str, object]:
    return documents.connection(connection, [s for s in sentences.of_connection(syncs, connection) if s.waits])


def _tell_of_the_rest(found: list[Connection], unreadable: list[str], place: str | None) -> None:
    if not found:
        note(f"No RosterConnection {f'in the namespace {place}' if place else 'in the cluster'}.")
    if unreadable:
        note(f"Not understood by this version of roster: {', '.join(unreadable[:10])}.")
