"""`roster upload`: a OneRoster CSV zip into the database, to be staged later by its digest."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Annotated

import typer

from roster_operator.api.model import DIGEST_PATTERN
from roster_operator.api.task import Policy

from . import engine as engines
from .manifests import connection_from
from .output import Output, console, print_json
from .shared import ConnectionFile, Database, OutputOption, told

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
    bundle: Bundle, filename: ConnectionFile, database: Database = None, output: OutputOption = Output.TABLE
) -> None:
    """Store a OneRoster CSV zip for a later stage, and print its digest. Nothing is staged yet."""
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
