"""The one error this tool shows a person: a sentence, and what to do next."""

from __future__ import annotations


class LocalClusterError(Exception):
    """Something a person must know or decide. Its text is shown as it is, without a traceback."""
