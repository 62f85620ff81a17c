"""Waiting for the cluster, and saying what stood there when the wait was in vain."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
Body = dict[str, Any]

PAUSE = 0.5


def until(what: str, look: Callable[[], T | None], tell: Callable[[], str], *, seconds: float = 120) -> T:
    """Look until there is something, not nothing; where it never comes, fail with what `tell` says."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:.0f} s.\n{tell()}")
        time.sleep(PAUSE)


def condition(body: Body, kind: str) -> Body:
    """A condition of an object, or one without status and reason."""
    found = body.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == kind), {"status": None, "reason": None, "message": ""})


def is_true(body: Body, kind: str) -> bool:
    """Whether a condition stands at True."""
    return condition(body, kind)["status"] == "True"


def told(body: Body) -> str:
    """An object's spec and status for the reader of a failure."""
    if not body:
        return "(there is no such object)"
    kept = {key: body[key] for key in ("spec", "status") if key in body}
    meta = body.get("metadata", {})
    head = f"{body.get('kind', '?')} {meta.get('namespace', '')}/{meta.get('name', '')}"
    return f"{head} generation {meta.get('generation')}\n{json.dumps(kept, indent=1)}"


def told_events(events: Iterable[Body]) -> str:
    """Events in the order of their time, a line each."""
    lines = [
        f"{event.get('lastTimestamp') or event.get('eventTime') or '':<28}"
        f"{event.get('type', ''):<8} {event.get('reason', ''):<22}"
        f"{event.get('involvedObject', {}).get('kind', '')}/{event.get('involvedObject', {}).get('name', '')}: "
        f"{event.get('message') or event.get('note') or ''}"
        for event in events
    ]
    return "\n".join(sorted(lines)) or "(no events)"
