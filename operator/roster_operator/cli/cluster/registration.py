"""The cluster's commands, put on the program."""

from __future__ import annotations

from typing import Annotated

import typer

from . import acting, completing, deciding, doctor, pausing, reading, records, report


def register(app: typer.Typer) -> None:
    """Add them. `test` and `review` stand in the program itself: with -f they mean no cluster."""
    panel = "In a cluster"
    app.command("status", rich_help_panel=panel)(reading.status)
    app.command("list", rich_help_panel=panel)(reading.listing)
    app.command("history", rich_help_panel=panel)(reading.history)
    app.command("sync", rich_help_panel=panel)(acting.sync)
    app.command("watch", rich_help_panel=panel)(acting.watch)
    app.command("approve", rich_help_panel=panel)(deciding.approve)
    app.command("reject", rich_help_panel=panel)(deciding.reject)
    app.command("suspend", rich_help_panel=panel)(acting.suspend)
    app.command("resume", rich_help_panel=panel)(acting.resume)
    app.add_typer(pausing.pause_app, name="pause", rich_help_panel=panel)
    app.command("diff", rich_help_panel=panel)(records.diff)
    app.command("person", rich_help_panel=panel)(records.person)
    app.command("console", rich_help_panel=panel)(records.console_address)
    app.command("doctor", rich_help_panel=panel)(doctor.doctor)
    app.command("report", rich_help_panel=panel)(report.report)

    # kubectl calls the program kubectl_complete-roster; that one calls this.
    @app.command("__complete", hidden=True, context_settings={"ignore_unknown_options": True})
    def complete(words: Annotated[list[str], typer.Argument()]) -> None:  # pyright: ignore[reportUnusedFunction]
        """Complete the last word, as kubectl wants to read it."""
        typer.echo("\n".join(completing.answer(app, words)))
