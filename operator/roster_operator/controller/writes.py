"""Writing a status or the finalizers: guarded by resourceVersion, and only where something changes."""

from __future__ import annotations

from typing import Any

from roster_operator.api.kinds import STAGED_FINALIZER, Kind
from roster_operator.api.model import Observed

from .client import Api, ApiError
from .objects import Body, Meta
from .queue import Again


def status_patch(stored: Body, before: Observed, after: Observed) -> Body:
    """The merge patch that turns the stored status into `after`; empty where nothing changes.

    `before` is the stored status as this version reads it. A field that only a newer version knows is in `stored` and
    in neither model, and stays.
    """
    return _difference(stored, before.to_dict(), after.to_dict())


def _difference(stored: Any, before: dict[str, Any], after: dict[str, Any]) -> Body:
    stored_map: dict[str, Any] = stored if isinstance(stored, dict) else {}
    patch: Body = {}
    for name, value in after.items():
        if isinstance(value, dict):
            inner = before.get(name)
            known: dict[str, Any] = inner if isinstance(inner, dict) else {}
            if name not in stored_map:
                patch[name] = value
            elif nested := _difference(stored_map[name], known, value):
                patch[name] = nested
        elif name not in stored_map or (stored_map[name] != value and before.get(name) != value):
            patch[name] = value
    for name in before.keys() - after.keys():
        if name in stored_map:
            patch[name] = None
    return patch


async def write_status(api: Api, kind: Kind, body: Body, before: Observed, after: Observed) -> Body:
    """Write what changed; the object as stored afterwards. Raises Again where somebody else wrote in between."""
    patch = status_patch(body.get("status") or {}, before, after)
    if not patch:
        return body
    meta = Meta.of(body)
    guarded = {"metadata": {"resourceVersion": meta.resource_version}, "status": patch}
    try:
        return await api.patch(kind, meta.namespace, meta.name, guarded, subresource="status")
    except ApiError as error:
        if error.conflict or error.gone:
            raise Again from error
        raise


async def set_finalizer(api: Api, kind: Kind, body: Body, *, present: bool, name: str = STAGED_FINALIZER) -> Body:
    """Set or remove our finalizer; the object as stored afterwards. Others' finalizers stay."""
    meta = Meta.of(body)
    names = [other for other in meta.finalizers if other != name]
    if present:
        names.append(name)
    if tuple(names) == meta.finalizers:
        return body
    patch = {"metadata": {"resourceVersion": meta.resource_version, "finalizers": names}}
    try:
        return await api.patch(kind, meta.namespace, meta.name, patch)
    except ApiError as error:
        if error.gone and not present:
            return body
        if error.conflict or error.gone:
            raise Again from error
        raise
