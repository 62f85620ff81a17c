"""Completion as kubectl asks a plugin for it: words in, one candidate a line out, then how to take them."""

from __future__ import annotations

import typer
from typer._completion_classes import BashComplete  # the only public way is a shell's own environment variables

_NO_FILES = ":4"  # cobra's ShellCompDirectiveNoFileComp


def answer(app: typer.Typer, words: list[str]) -> list[str]:
    """The candidates for the last of `words`, each with its help after a tab, and the directive."""
    *before, incomplete = words
    completer = BashComplete(typer.main.get_command(app), {}, "roster", "_ROSTER_COMPLETE")
    found = completer.get_completions(before, incomplete)
    return [*(f"{one.value}\t{one.help}" if one.help else str(one.value) for one in found), _NO_FILES]
