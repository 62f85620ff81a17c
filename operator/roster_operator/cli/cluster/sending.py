"""`upload` in a cluster: a zip through the console, looked at here first, and a sync of it if that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import typer

from roster_operator.cli.output import Output
from roster_operator.cli.validate import print_report
from roster_operator.oneroster.csvfiles.validate import validate

from .acting import say_what_it_waits_for, to_its_end
from .console import Console
from .objects import Connection, one
from .problems import ClusterError
from .shared import note, open_cluster, program, show_json, told


@dataclass(frozen=True)
class Next:
    """What follows an upload. timeout: seconds; None waits for as long as it takes."""

    sync: bool
    wait: bool
    timeout: float | None


def upload(
    bundle: Path,
    connection: str,
    following: Next,
    console: str | None,
    output: Output,
    cluster_options: tuple[str | None, str | None, Path | None],
) -> None:
    """Look at the zip, send it, and print its digest; begin a sync of it, and follow it, where that is wanted."""
    report = validate(bundle)
    if not report.readable:
        print_report(report, on_stderr=True)
        with told():
            raise ClusterError(
                "BundleRefused", f"No sync could be made of {bundle.name}, so it was not sent.",
                "Correct what is listed above; `roster validate` says whether it is.",
            )  # fmt: skip
    if report.errors:
        note(f"{report.errors:,} errors: such records are left out. `roster validate {bundle}` lists them.")
    with told():
        cluster = open_cluster(*cluster_options)
        api = Console(console, cluster)
        found = one(cluster, Connection, connection)
        sent = api.upload(connection, bundle)
        if not sent["kept"]:  # a console of another version reads otherwise
            codes = ", ".join(sorted({str(each["code"]) for each in sent["findings"] if each["severity"] == "error"}))
            raise ClusterError(
                "BundleRefused", f"The console did not take {bundle.name}: {codes or 'it cannot be read'}.",
                "Use a `roster` of the console's version; `roster validate` says what is wrong with the bundle.",
            )  # fmt: skip
        begun = api.change("POST", connection, "uploads/stage", {"digest": sent["digest"]}) if following.sync else None
    name = None if begun is None else str(begun["name"])
    who = program(cluster, *cluster_options[1:])
    if name is not None:
        say_what_it_waits_for(found)
    if output is Output.TABLE:
        _print(sent)
        typer.echo(
            name or f"next: {who.command('upload', str(bundle), connection, '--sync', namespace=cluster.namespace)}"
        )
    if name is not None and following.wait:
        to_its_end(cluster, name, following.timeout, output, who)
    if output is Output.JSON:
        kept = {key: sent[key] for key in ("digest", "size", "expiresAt", "before")}
        show_json("Upload", {**kept, "errors": report.errors, "warnings": report.warnings, "sync": name})
    elif name is not None:
        typer.echo(f"next: {who.command('watch', name, namespace=cluster.namespace)}")


def _print(sent: dict[str, Any]) -> None:
    typer.echo(f"Digest   {sent['digest']}")
    typer.echo(f"Size     {sent['size']:,} bytes")
    typer.echo(f"Expires  {datetime.fromisoformat(sent['expiresAt']):%Y-%m-%d %H:%M}, unless it is merged before")
    if sent["before"]:
        typer.echo("It was there already; it rests longer now.")
