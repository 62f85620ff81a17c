"""`test`, `sync`, `watch`, `suspend`, `resume`: ask the operator for something, and follow it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from roster_operator.api.kinds import CONNECTION, SYNC, TEST_REQUESTED_AT
from roster_operator.api.model import API_VERSION, GROUP
from roster_operator.api.sync import Mode, Phase
from roster_operator.cli.output import Output, print_checks
from roster_operator.cli.shared import OutputOption

from . import documents, views
from .access import Body, Cluster
from .objects import Connection, Sync, one, parsed
from .problems import ClusterError
from .sentences import Program
from .shared import (
    FAILED,
    WAITS,
    ConnectionName,
    Context,
    Kubeconfig,
    Namespace,
    SyncName,
    note,
    open_cluster,
    program,
    show,
    show_json,
    told,
    width,
)
from .watching import Look, answered, follow, phase_line

Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Seconds to wait at most. Default: no limit.")]


def check(
    name: str,
    *,
    wait: bool,
    timeout: float,
    output: Output,
    cluster_options: tuple[str | None, str | None, Path | None],
) -> None:
    """Ask the operator to test a connection; with `wait`, say what it found. Exit code 1: not ready."""
    with told():
        cluster = open_cluster(*cluster_options)
        one(cluster, Connection, name)
        request = datetime.now(UTC).isoformat()
        cluster.patch(CONNECTION, name, cluster.namespace, {"metadata": {"annotations": {TEST_REQUESTED_AT: request}}})
        found = answered(cluster, name, request, timeout) if wait else None
    ready = found.ready if found else None
    if output is Output.JSON:
        conditions = [one.to_dict() for one in found.status.conditions] if found else []
        counts = found.status.counts if found else {}
        content = {
            "connection": name,
            "namespace": cluster.namespace,
            "request": request,
            "answered": found is not None,
        }
        checks = [one.to_dict() for one in found.status.checks] if found else []
        show_json("TestRequest", {**content, "conditions": conditions, "checks": checks, "counts": counts})
    elif found is None:
        where = program(cluster, *cluster_options[1:])
        typer.echo(f"Asked for. next: {where.command('status', name, namespace=cluster.namespace)}")
    else:
        print_checks(found.status.checks)
        for each in found.status.conditions:
            mark = {"True": "yes", "False": "no"}.get(each.status, "not known")
            typer.echo(f"{each.type:<15} {mark:<9} {each.reason}{f': {each.message}' if each.message else ''}")
    if found and (ready is None or ready.status != "True"):
        raise typer.Exit(FAILED)


def sync(
    connection: ConnectionName,
    full: Annotated[bool, typer.Option("--full", help="Pull everything. This is the default.")] = False,
    delta: Annotated[bool, typer.Option("--delta", help="Pull only what changed since the last merged sync.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="Default: the connection and the time.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until it ends or waits for a person.")] = False,
    timeout: Timeout = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Begin a sync: it is staged and planned, and nothing is merged before someone approves."""
    if full and delta:
        raise typer.BadParameter("one of --full and --delta", param_hint="--delta")
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        found = one(cluster, Connection, connection)
        chosen = name or f"{connection[:200]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        mode = Mode.DELTA if delta else Mode.FULL
        made = parsed(
            Sync, cluster.create(SYNC, manifest(cluster.namespace, chosen, connection, mode), cluster.namespace)
        )
    say_what_it_waits_for(found)
    if wait:
        if output is Output.TABLE:
            typer.echo(chosen)
        to_its_end(cluster, chosen, timeout, output, program(cluster, context, kubeconfig))
    if output is Output.JSON:
        show_json("Sync", documents.sync(made))
        return
    typer.echo(
        f"{chosen}\nnext: {program(cluster, context, kubeconfig).command('watch', chosen, namespace=cluster.namespace)}"
    )


def say_what_it_waits_for(found: Connection) -> None:
    """A new sync of a connection that is not ready begins later: said beside the result."""
    name, ready = found.metadata.name, found.ready
    if ready is None or ready.status != "True":
        note(f"{name} is not ready ({ready.reason if ready else 'not tested yet'}). The sync starts when it is.")
    if found.spec.suspend:
        note(f"{name} is suspended. The sync starts when it is resumed.")


def manifest(namespace: str, name: str, connection: str, mode: Mode) -> Body:
    """A RosterSync."""
    return {
        "apiVersion": f"{GROUP}/{API_VERSION}",
        "kind": "RosterSync",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"connectionRef": {"name": connection}, "mode": mode.value},
    }


def watch(
    name: SyncName,
    timeout: Timeout = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Follow a sync until it ends (0 merged, 1 anything else) or waits for a person (3)."""
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        who = program(cluster, context, kubeconfig)
    to_its_end(cluster, name, timeout, output, who)


def suspend(
    connection: ConnectionName, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Begin nothing new for a connection: no test, no pull, no merge. What runs goes on."""
    _set_suspend(connection, True, namespace, context, kubeconfig)


def resume(
    connection: ConnectionName, namespace: Namespace = None, context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Undo suspend."""
    _set_suspend(connection, False, namespace, context, kubeconfig)


def _set_suspend(name: str, value: bool, namespace: str | None, context: str | None, kubeconfig: Path | None) -> None:
    with told():
        cluster = open_cluster(namespace, context, kubeconfig)
        found = one(cluster, Connection, name)
        written = parsed(Connection, cluster.patch(CONNECTION, name, cluster.namespace, {"spec": {"suspend": value}}))
        if written.spec.suspend is not value:  # the API server drops a field that it does not know
            raise ClusterError(
                "NotInstalled",
                "The resource definition in the cluster is older than this program: it has no spec.suspend.",
                "Upgrade roster-operator.",
            )
    if found.metadata.from_git:
        note("Git owns this connection, and may set spec.suspend back: change it there as well.")
    typer.echo(f"{name} is {'suspended: nothing new is begun' if value else 'resumed'}.")


def to_its_end(cluster: Cluster, name: str, timeout: float | None, output: Output, who: Program) -> None:
    """Never returns: ends with the exit code."""
    with told():
        looks = follow(cluster, name, timeout)
        last = _shown(looks) if output is Output.TABLE else _last(looks)
    if output is Output.JSON:
        show_json("Sync", documents.sync(last))
    elif last.status.plan and (last.waits or last.status.phase is Phase.MERGED):
        show(views.plan_lines(last.status.plan, width()))
    if last.waits:
        if output is Output.TABLE:
            typer.echo(f"next: {who.command('review', name, namespace=cluster.namespace)}")
        raise typer.Exit(WAITS)
    raise typer.Exit(0 if last.status.phase is Phase.MERGED else FAILED)


def _last(looks: Iterator[Look]) -> Sync:
    return list(looks)[-1].sync


def _shown(looks: Iterator[Look]) -> Sync:
    """A line for each change; on a terminal, bars for what is being pulled."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    said = ""
    last: Sync | None = None
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        tasks = {}
        for look in looks:
            last = look.sync
            line = phase_line(last)
            if line != said:
                said = line
                bars.stop()  # a line of ours and a bar do not share a row
                typer.echo(line)
                bars.start()
            for one_entity in look.progress:
                if one_entity.entity not in tasks:
                    tasks[one_entity.entity] = bars.add_task(one_entity.entity, total=None)
                bars.update(tasks[one_entity.entity], completed=one_entity.records, total=one_entity.total)
    if last is None:
        raise ClusterError("StillRunning", "Nothing was seen of the sync.", "Look again with `roster watch`.")
    return last
