"""Where a command works that is there twice: in a cluster through the console, or on a database for its owner."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from .console import Console
from .objects import Connection, one
from .shared import ConsoleUrl, Context, Kubeconfig, Namespace, complete_connection, open_cluster, told

District = Annotated[
    str,
    typer.Argument(
        metavar="DISTRICT",
        help="A RosterConnection of the cluster; with --database, the key of the district's rows.",
        autocompletion=complete_connection,
    ),
]
OwnersUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="ROSTER_OWNER_URL",
        help="The database owner's URL; without a cluster then. The options that name a cluster outdo the variable.",
    ),
]


@dataclass(frozen=True)
class ClusterOptions:
    """The options that name a cluster and its console (cli/grouped.py)."""

    console: ConsoleUrl = None
    namespace: Namespace = None
    context: Context = None
    kubeconfig: Kubeconfig = None


_OF_A_CLUSTER = ("namespace", "context", "kubeconfig", "console")


@dataclass(frozen=True)
class PlaceOptions:
    """Those, and the one that names a database instead."""

    call: typer.Context
    owners_url: OwnersUrl = None
    console: ConsoleUrl = None
    namespace: Namespace = None
    context: Context = None
    kubeconfig: Kubeconfig = None

    @property
    def database(self) -> str | None:
        """The owner's URL; None where it goes through a cluster. A cluster that is named on the command line counts
        more than a database of the environment. Raises typer.BadParameter where both are named there."""
        named = next((each for each in _OF_A_CLUSTER if self._typed(each)), None)
        if self.owners_url is None or named is None:
            return self.owners_url
        if self._typed("owners_url"):
            raise typer.BadParameter(
                f"a database is no cluster's: give one of --database and --{named}", param_hint="--database"
            )
        return None

    def _typed(self, parameter: str) -> bool:
        """Whether it stands on the command line, and not only in the environment."""
        source = self.call.get_parameter_source(parameter)
        return source is not None and source.name == "COMMANDLINE"

    @property
    def cluster(self) -> ClusterOptions:
        """Without the database."""
        return ClusterOptions(self.console, self.namespace, self.context, self.kubeconfig)


@dataclass(frozen=True)
class Records:
    """One district's records, through the console, with the rights of the person who asks."""

    api: Console
    connection: str

    def read(self, path: str, **query: str | None) -> dict[str, Any]:
        """Raises ClusterError."""
        return self.api.of_connection(self.connection, path, **query)

    def change(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str | None) -> dict[str, Any]:
        """Raises ClusterError. It is never tried twice."""
        return self.api.change(method, self.connection, path, body, **query)


@contextmanager
def records(district: str, where: ClusterOptions) -> Generator[Records]:
    """A name that is nearly right is told so; errors are told, and end the program."""
    with told():
        cluster = open_cluster(where.namespace, where.context, where.kubeconfig)
        one(cluster, Connection, district)
        yield Records(Console(where.console, cluster), district)
