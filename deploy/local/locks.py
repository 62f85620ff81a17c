"""One at a time: a lock that ends with the process that holds it, so that a crash leaves nothing locked."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.progress import say


@contextmanager
def exclusive(file: Path, what: str) -> Generator[None]:
    """Hold the lock on `file`. When another process holds it, say that `what` is under way and wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  Another {what} is under way on this machine; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
