"""A source that is ready to be read, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from roster_operator.oneroster.source import Source

from .failures import WorkerError


@dataclass(frozen=True)
class Opened:
    """A source that is ready. origin: the facts of the file that it reads, where it is one."""

    source: Source
    origin: dict[str, Any] | None = None


def refuse_upload(upload: str | None) -> None:
    """Raises WorkerError(UploadNotExpected) where a sync names an upload though its connection has another source."""
    if upload is not None:
        raise WorkerError(
            "UploadNotExpected",
            "The sync names an upload, and its connection has a source of its own.",
            "Leave spec.source.upload out, or use a connection with csv.upload.",
        )
