"""The cluster's commands, put on the program."""

from __future__ import annotations

import typer

from . import acting, deciding, reading


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
