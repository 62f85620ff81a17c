"""What leaves a cluster in a support bundle. Pure: objects go in, and come out without what people typed or are called.

By a list of what may stay, never of what must go: a field that nobody thought of is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

Body = dict[str, Any]

_HIDDEN = "(left out)"
# Strings of a spec that stay: names of objects, choices from a list, durations, schedules.
_PLAIN = frozenset(
    {
        "provider", "version", "type", "mode", "name", "tenant", "testInterval", "databaseSecretRef", "entities",
        "approval", "approvedPlan", "schedule", "timeZone", "fullEvery", "onExceed", "stagedFor", "upload",
        "ttlAfterFinished", "deletionPolicy", "terms", "from", "to", "until",
    }
)  # fmt: skip
_ADDRESSES = frozenset({"endpoint", "tokenURL"})  # their host stays: most failures are about it
# Conditions and Events about a decision: their messages repeat who decided and why, letters outside ASCII rewritten.
_DECISIONS = frozenset({"Approved", "Rejected"})
_METADATA = ("name", "namespace", "uid", "generation", "creationTimestamp", "deletionTimestamp", "finalizers", "labels")


def resource(body: Body) -> Body:
    """A RosterConnection or RosterSync."""
    return {
        "kind": body.get("kind"),
        "metadata": metadata(body),
        "spec": _spec(body.get("spec") or {}),
        "status": _status(body.get("status") or {}),
    }


def metadata(body: Body) -> Body:
    """An object's metadata; of annotations only the names."""
    meta = body.get("metadata") or {}
    kept = {key: meta[key] for key in _METADATA if key in meta}
    return {**kept, "annotations": sorted(meta.get("annotations") or {})}


def job(body: Body) -> Body:
    """A Job: how it ended. Its spec holds its task, which nobody needs twice."""
    return {"metadata": metadata(body), "status": body.get("status") or {}}


def pod(body: Body) -> Body:
    """A pod: its phase, and why its containers do not run."""
    status = body.get("status") or {}
    return {
        "metadata": metadata(body),
        "status": {key: status[key] for key in ("phase", "reason", "conditions", "containerStatuses") if key in status},
    }


def event(body: Body) -> Body:
    """An Event."""
    about = body.get("involvedObject") or {}
    kept = {
        key: body[key]
        for key in ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp")
        if key in body
    }
    if body.get("reason") in _DECISIONS:
        kept["message"] = _HIDDEN
    return {**kept, "about": {key: about.get(key) for key in ("kind", "namespace", "name")}}


def words_of_people(bodies: Iterable[Body]) -> list[str]:
    """What people are called or have typed, as it may stand in messages: approvers, reasons, notes. Longest first."""
    found: set[str] = set()
    for body in bodies:
        spec, status = body.get("spec") or {}, body.get("status") or {}
        found.add(str((status.get("approval") or {}).get("by") or ""))
        for key in ("rejected", "ignorePause"):
            found.add(str((spec.get(key) or {}).get("reason") or ""))
        for name, value in ((body.get("metadata") or {}).get("annotations") or {}).items():
            if name.startswith("roster-operator.io/appr"):
                found.add(str(value))
    return sorted(found - {""}, key=len, reverse=True)


def without(value: Any, words: list[str]) -> Any:
    """The value with these words taken out of every text of it."""
    if isinstance(value, str):
        return re.sub("|".join(map(re.escape, words)), _HIDDEN, value) if words else value
    if isinstance(value, list):
        return [without(each, words) for each in value]
    if isinstance(value, dict):
        return {key: without(each, words) for key, each in value.items()}
    return value


def _spec(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if key in ("parameters", "roleMapping"):
            return dict.fromkeys(value, _HIDDEN)
        return {name: _spec(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_spec(each, key) for each in value] if key in _PLAIN else f"({len(value)} values left out)"
    if isinstance(value, str):
        return value if key in _PLAIN else _host(value) if key in _ADDRESSES else _HIDDEN
    return value


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return _HIDDEN
    return f"{parts.scheme}://{parts.hostname}/…"


def _status(status: Body) -> Body:
    kept = dict(status)
    if kept.get("approval"):
        kept["approval"] = {
            key: value for key, value in kept["approval"].items() if key in ("digest", "at", "via", "verified")
        }
    if kept.get("conditions"):
        kept["conditions"] = [
            {**one, "message": _HIDDEN} if one.get("type") in _DECISIONS else one for one in kept["conditions"]
        ]
    return kept
