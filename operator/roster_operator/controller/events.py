"""Kubernetes Events, on transitions only: one object for each (uid, reason), counted.

An Event is a courtesy: where it cannot be written, that is logged and nothing else happens.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from roster_operator.api.kinds import EVENT, Kind

from .client import Api, ApiError, ApiUnavailable
from .conditions import plain
from .objects import Meta, show_time

log = logging.getLogger(__name__)

COMPONENT = "roster-operator"
_NAME_LIMIT = 253


@dataclass(frozen=True)
class Happening:
    """Something worth an Event. No personal data: counts, reasons, digests."""

    reason: str
    message: str
    warning: bool = False


class Recorder:
    """Writes Events."""

    def __init__(self, api: Api, instance: str) -> None:
        self._api = api
        self._instance = instance

    async def record(self, kind: Kind, meta: Meta, happening: Happening) -> None:
        """Write the Event, or count it once more."""
        try:
            await self._record(kind, meta, happening)
        except (ApiError, ApiUnavailable) as error:
            log.info("event %s for %s/%s not written: %s", happening.reason, meta.namespace, meta.name, error)

    async def _record(self, kind: Kind, meta: Meta, happening: Happening) -> None:
        mark = hashlib.sha256(f"{meta.uid}/{happening.reason}".encode()).hexdigest()[:16]
        name = f"{meta.name[: _NAME_LIMIT - 17]}.{mark}"
        now = show_time(self._api.now())
        message = plain(happening.message)
        try:
            await self._api.create(
                EVENT,
                {
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": {"name": name, "namespace": meta.namespace},
                    "involvedObject": {
                        "apiVersion": kind.api_version,
                        "kind": kind.kind,
                        "namespace": meta.namespace,
                        "name": meta.name,
                        "uid": meta.uid,
                    },
                    "type": "Warning" if happening.warning else "Normal",
                    "reason": happening.reason,
                    "message": message,
                    "count": 1,
                    "firstTimestamp": now,
                    "lastTimestamp": now,
                    "source": {"component": COMPONENT},
                    "reportingComponent": COMPONENT,
                    "reportingInstance": self._instance[:128],
                },
            )
        except ApiError as error:
            if not error.exists:
                raise
            known = await self._api.get(EVENT, meta.namespace, name)
            count = int((known or {}).get("count") or 1) + 1
            again = {"count": count, "lastTimestamp": now, "message": message}
            await self._api.patch(EVENT, meta.namespace, name, again)
