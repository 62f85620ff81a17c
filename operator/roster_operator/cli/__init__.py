"""`roster`: the owner's work on the database, and the whole engine without a cluster, on the same YAML."""

from __future__ import annotations


def main() -> None:
    """The console script."""
    from .app import app  # noqa: PLC0415  the imports take longer than `--help` of a shell completion should

    app()
