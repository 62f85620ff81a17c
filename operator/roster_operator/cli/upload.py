"""`roster upload`: a OneRoster CSV zip, to be staged by its digest: through the console, or into the database."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Annotated

import typer

from roster_operator.api.model import DIGEST_PATTERN
from roster_operator.api.task import Policy

from . import engine as engines
from .cluster import sending
from .cluster.acting import Timeout
from .cluster.shared import ConsoleUrl, Context, Kubeconfig, Namespace, complete_connection
from .manifests import connection_from
from .output import Output, console, print_json
from .shared import Database, MaybeConnectionFile, OutputOption, told

Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", exists=True, dir_okay=False, readable=True, help="The OneRoster CSV zip.")
]


def _digest(value: str | None) -> str | None:
    if value is not None and not re.match(DIGEST_PATTERN, value):
        raise typer.BadParameter("a digest is sha256: and 64 hexadecimal digits.")
    return value


UploadDigest = Annotated[
    str | None,
    typer.Option(
        "--upload",
        metavar="DIGEST",
        callback=_digest,
        help="The zip to stage, by the digest that `roster upload` printed; for connections with csv.upload.",
    ),
]


def upload(
    bundle: Bundle,
    connection: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONNECTION]",
            help="A RosterConnection of the cluster: the zip goes through the console.",
            autocompletion=complete_connection,
        ),
    ] = None,
    filename: MaybeConnectionFile = None,
    database: Database = None,
    sync: Annotated[bool, typer.Option("--sync", help="In a cluster: begin a sync of it.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="With --sync: follow it until it ends or waits for a person.")
    ] = False,
    timeout: Timeout = None,
    console_url: ConsoleUrl = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send in a OneRoster CSV zip, and print its digest: to a cluster's console, or with -f into the database.

    In a cluster the zip is looked at first, and one that no sync could be made of is not sent. With -f it is stored for
    a later `roster stage --upload`.
    """
    if (connection is None) == (filename is None):
        raise typer.BadParameter("either a CONNECTION of the cluster, or a file", param_hint="--filename")
    if filename is None:
        if wait and not sync:
            raise typer.BadParameter("there is nothing to wait for without --sync", param_hint="--wait")
        where = (namespace, context, kubeconfig)
        sending.upload(bundle, connection or "", sending.Next(sync, wait, timeout), console_url, output, where)
        return
    if sync or wait:
        raise typer.BadParameter("with a file: `roster stage --upload`", param_hint="--sync")
    _store(bundle, filename, database, output)


def _store(bundle: Path, filename: Path, database: str | None, output: Output) -> None:
    with told(), engines.engine(connection_from(filename), database, Policy()) as engine:
        stored = engine.upload(bundle, getpass.getuser())
    if output is Output.JSON:
        print_json(
            "Upload",
            {
                "digest": stored.digest,
                "size": stored.size,
                "expiresAt": stored.expires_at.isoformat(),
                "before": stored.before,
            },
        )
        return
    console.print(f"Digest   {stored.digest}", highlight=False, soft_wrap=True)
    console.print(f"Size     {stored.size:,} bytes", highlight=False)
    console.print(f"Expires  {stored.expires_at:%Y-%m-%d %H:%M}, unless it is merged before", highlight=False)
    if stored.before:
        console.print("It was there already; it rests longer now.")
    console.print(
        f"\nNext: roster stage -f {filename} --upload {stored.digest}", highlight=False, soft_wrap=True, markup=False
    )
