"""What the cluster's commands share: options, the way to print, how an error is told, and the names for completion."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roster_operator.api.model import API_VERSION, GROUP

from .grid import Line
from .problems import ClusterError
from .sentences import Program

if TYPE_CHECKING:
    from .access import Cluster

FAILED, WAITS = 1, 3

Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Default: the context's namespace.")]
Context = Annotated[
    str | None, typer.Option("--context", help="A context of the kubeconfig. Default: the current one.")
]
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", dir_okay=False, help="Default: KUBECONFIG, else ~/.kube/config.")
]

ConsoleUrl = Annotated[
    str | None, typer.Option("--console", envvar="ROSTER_CONSOLE_URL", help="The console's address, as in a browser.")
]


def open_cluster(namespace: str | None, context: str | None, kubeconfig: Path | None) -> Cluster:
    """The cluster that the options name. Raises ClusterError."""
    from .access import Cluster  # noqa: PLC0415  the client takes long to import, and --help needs none

    return Cluster.connect(namespace, context, kubeconfig)


def program(cluster: Cluster, context: str | None, kubeconfig: Path | None) -> Program:
    """How to write commands for this person."""
    name = "kubectl roster" if Path(sys.argv[0]).name.startswith("kubectl-roster") else "roster"
    given = [*(["--context", context] if context else []), *(["--kubeconfig", str(kubeconfig)] if kubeconfig else [])]
    return Program(name, cluster.home, tuple(given))


@contextmanager
def told() -> Generator[None]:
    """A ClusterError becomes a reason, a sentence, a next step on stderr, and exit code 1."""
    try:
        yield
    except ClusterError as error:
        tell(error)
        raise typer.Exit(FAILED) from None


def tell(error: ClusterError) -> None:
    """A reason, a sentence, a next step, on stderr."""
    reason = typer.style(error.reason, fg="red", bold=True) if _colours(sys.stderr) else error.reason
    typer.echo(f"{reason}: {error.message} {error.step}", err=True)


def width() -> int | None:
    """The terminal's columns; None where a program reads."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else None


def show(lines: Iterable[Line]) -> None:
    """Print lines, with colour on terminals only."""
    coloured = _colours(sys.stdout)
    for line in lines:
        typer.echo(typer.style(line.text, fg=line.tone) if line.tone and coloured else line.text)


def note(text: str) -> None:
    """Something beside the result, on stderr."""
    typer.echo(text, err=True)


def show_json(kind: str, content: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(document(kind, content), indent=2, default=str))


def document(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """A document with its head."""
    return {"apiVersion": f"{GROUP}/{API_VERSION}", "kind": kind, **content}


def _colours(stream: Any) -> bool:
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ


def _names(plural: str, context: typer.Context, incomplete: str) -> list[str]:
    """For completion in a shell: never an error, never a word on stderr."""
    from roster_operator.api.kinds import CONNECTION, SYNC  # noqa: PLC0415

    given = context.params
    try:
        cluster = open_cluster(given.get("namespace"), given.get("context"), given.get("kubeconfig"))
        kind = CONNECTION if plural == CONNECTION.plural else SYNC
        names = [str(body["metadata"]["name"]) for body in cluster.items(kind, cluster.namespace)]
    except ClusterError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))


def complete_connection(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of connections."""
    return _names("rosterconnections", ctx, incomplete)


def complete_sync(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of syncs."""
    return _names("rostersyncs", ctx, incomplete)


ConnectionName = Annotated[
    str, typer.Argument(metavar="CONNECTION", help="Name of the RosterConnection.", autocompletion=complete_connection)
]
SyncName = Annotated[str, typer.Argument(metavar="SYNC", help="Name of the RosterSync.", autocompletion=complete_sync)]
