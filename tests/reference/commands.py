"""Every command of `roster` with its arguments and options, from the program itself."""

from __future__ import annotations

from typing import Any

from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from roster_operator.cli.app import app

_HEAD = """# The command line

`roster`, which is `kubectl roster`, too. This page is made from the program: `make generate` writes it again. How to
use it: [in a cluster](../how-to/kubectl-roster.md), and [its JSON](cli-json.md).

Exit codes: 0 done, 1 failed (the reason and the next step are on standard error), 2 wrong usage, 3 waits for a person.

"""


def page() -> str:
    """docs/reference/command-line.md"""
    command: Any = get_command(app)
    for name in [name for name, each in command.commands.items() if each.hidden]:
        del command.commands[name]
    said = get_docs_for_click(obj=command, ctx=Context(command, info_name="roster"), name="roster")
    # The page has a title of its own; the commands stand one level below.
    lines = [f"#{line}" if line.startswith("#") else line.rstrip() for line in said.strip().splitlines()]
    return _HEAD + "\n".join(lines) + "\n"
