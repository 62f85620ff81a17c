"""What the commands share: options, exit codes, and how an error is told."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from roster_operator.oneroster.errors import OneRosterError
from roster_operator.store.errors import StoreError
from roster_operator.worker.failures import WorkerError, failure_of

from .embedded import EmbeddedPostgresError
from .manifests import ManifestError
from .output import Output, errors, print_failure

FAILED, WAITS = 1, 3

ConnectionFile = Annotated[
    Path, typer.Option("--filename", "-f", exists=True, dir_okay=False, help="YAML file with the RosterConnection.")
]
MaybeConnectionFile = Annotated[
    Path | None,
    typer.Option(
        "--filename", "-f", exists=True, dir_okay=False, help="YAML file with the RosterConnection; no cluster then."
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret",
        exists=True,
        dir_okay=False,
        help="YAML file with the Secret that the connection names. Default: the same file.",
    ),
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="ROSTER_DATABASE_URL",
        help="The tenant's login for this step (stage-url, or merge-url for merge). Default: an embedded PostgreSQL.",
    ),
]
OwnerDatabase = Annotated[str, typer.Option("--database", envvar="ROSTER_OWNER_URL", help="The database owner's URL.")]
AllowAddress = Annotated[
    list[str], typer.Option("--allow-address", help="CIDR range that the source may have, beyond public addresses.")
]
AllowInsecure = Annotated[bool, typer.Option("--allow-insecure", help="Permit connections that ask for http.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="table or json.")]
RunId = Annotated[uuid.UUID, typer.Argument(metavar="RUN", help="The run's id, as `roster stage` printed it.")]


@contextmanager
def told() -> Generator[None]:
    """Errors become a reason, a sentence, a next step, and exit code 1."""
    try:
        yield
    except (OneRosterError, StoreError, WorkerError) as error:
        print_failure(failure_of(error))
    except EmbeddedPostgresError as error:
        errors.print(f"[bold red]{error.reason}[/]: {error.message} {error.next_step}", highlight=False)
    except ManifestError as error:
        errors.print(f"[bold red]ManifestInvalid[/]: {error}", highlight=False)
    else:
        return
    raise typer.Exit(FAILED)


def me() -> str:
    """Who is at the keyboard, for the record."""
    return f"{getpass.getuser()} (command line)"
