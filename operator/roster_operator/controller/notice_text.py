"""What a notice says. Made of names of Kubernetes objects, reasons and counts: nothing of what a sync carries. Pure."""

from __future__ import annotations

import json
from urllib.parse import quote

from roster_operator.api.notices import Occasion

from .notices import Occurrence
from .objects import Meta, show_time

_WORDS = {
    Occasion.WAITING: ("a sync waits for approval", "Review it, then approve or reject it."),
    Occasion.HELD: (
        "a sync is held, and nothing of it was merged",
        "Review what holds it; approve its digest, or reject it.",
    ),
    Occasion.FAILED: (
        "a sync failed, and nothing of it was merged",
        "Its status has the reason and says what to do.",
    ),
    Occasion.MERGED: ("a sync was merged", "Nothing needs to be done."),
    Occasion.PAUSED: ("syncing is paused", "Nothing needs to be done; the connection says until when."),
    Occasion.RESUMED: ("syncing goes on after a pause", "Nothing needs to be done."),
}
_EXPIRING = {
    "credentials": ("credentials end soon", "Have them renewed before: from that day on no sync works."),
    "certificate": ("the source's certificate ends soon", "Have it renewed before: from that day on no sync works."),
}


def text_of(meta: Meta, one: Occurrence, console: str = "") -> tuple[str, str]:
    """Subject and body. console: the console's address, for a link into it."""
    where = f"{meta.namespace}/{meta.name}"
    happened, advice = _EXPIRING[one.reason] if one.occasion is Occasion.EXPIRING else _WORDS[one.occasion]
    lines = [f"{where}: {happened}."]
    if one.sync:
        lines.append(f"Sync: {one.sync}" + (f"\nReason: {one.reason}" if one.reason else ""))
    if one.summary:
        lines.append(f"Changes: {one.summary}.")
    lines.append(advice)
    if console:
        lines.append(console.rstrip("/") + path_of(meta, one))
    return f"[roster] {where}: {happened}", "\n\n".join(lines) + "\n"


def payload_of(meta: Meta, one: Occurrence, console: str = "") -> str:
    """What a webhook is sent: JSON with type, timestamp and data, as Standard Webhooks proposes."""
    data = {
        "namespace": meta.namespace,
        "connection": meta.name,
        "sync": one.sync,
        "reason": one.reason,
        "summary": one.summary,
        "digest": one.digest,
        "url": console.rstrip("/") + path_of(meta, one) if console else "",
    }
    return json.dumps(
        {
            "type": f"roster.{one.occasion.lower()}",
            "timestamp": show_time(one.at),
            "data": {name: value for name, value in data.items() if value},
        }
    )


def path_of(meta: Meta, one: Occurrence) -> str:
    """The page of the console that shows it."""
    kind, name = ("syncs", one.sync) if one.sync else ("connections", meta.name)
    return f"/namespaces/{quote(meta.namespace, safe='')}/{kind}/{quote(name, safe='')}"
