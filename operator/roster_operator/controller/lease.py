"""One operator at a time, by a Lease of coordination.k8s.io.

Whoever holds it renews it; whoever waits takes it when it was not renewed for its duration, measured by the waiter's
own clock, so that two clocks need not agree. Nothing depends on there being only one: names and database locks make a
double run harmless. The Lease only saves work and keeps logs readable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

from roster_operator.api.kinds import LEASE

from .client import Api, ApiError, ApiUnavailable
from .objects import Body
from .settings import Settings

log = logging.getLogger(__name__)


class LeaseLost(Exception):  # noqa: N818
    """Another process holds the Lease, or it could not be renewed in time. The process ends."""


class Lease:
    """The operator's Lease."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api = api
        self._settings = settings
        self._seen: tuple[str, str] | None = None  # holder and renewTime of another's Lease
        self._seen_at = 0.0
        self.held = False
        self.renewed_at = time.monotonic()

    async def acquire(self) -> None:
        """Wait until it is ours."""
        while True:
            try:
                if await self._try():
                    self.held = True
                    log.info("holding the Lease %s as %s", self._settings.lease_name, self._settings.identity)
                    return
            except (ApiError, ApiUnavailable) as error:
                log.warning("the Lease could not be read or written: %s", error)
            self.renewed_at = time.monotonic()  # alive: waiting is a standby's work
            await asyncio.sleep(self._settings.lease_retry)

    async def keep(self) -> None:
        """Renew it for ever. Raises LeaseLost."""
        while True:
            await asyncio.sleep(self._settings.lease_retry)
            try:
                if not await self._try():
                    self.held = False
                    raise LeaseLost("another process took the Lease")
            except (ApiError, ApiUnavailable) as error:
                if isinstance(error, ApiError) and (error.conflict or error.exists):
                    continue
                silent = time.monotonic() - self.renewed_at
                log.warning("the Lease could not be renewed for %.0f s: %s", silent, error)
                if silent > self._settings.lease_renew_deadline:
                    self.held = False
                    raise LeaseLost(f"the Lease could not be renewed for {silent:.0f} s") from error

    async def release(self) -> None:
        """Give it up, so that a standby need not wait. Where that fails, it runs out by itself."""
        if not self.held:
            return
        self.held = False
        try:
            body = await self._read()
            if body and (body.get("spec") or {}).get("holderIdentity") == self._settings.identity:
                body["spec"]["holderIdentity"] = ""
                body["spec"]["leaseDurationSeconds"] = 1
                await self._api.replace(LEASE, body)
        except (ApiError, ApiUnavailable) as error:
            log.info("the Lease was not given up: %s", error)

    async def _try(self) -> bool:
        body = await self._read()
        if body is None:
            await self._api.create(LEASE, self._fresh())
            self.renewed_at = time.monotonic()
            return True
        spec: dict[str, Any] = body.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        mine = holder == self._settings.identity
        if holder and not mine and not self._expired(holder, spec):
            return False
        now = _now()
        if not mine:
            spec |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        spec |= {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": int(self._settings.lease_duration),
            "renewTime": now,
        }
        # Its resourceVersion is in the body: of two that take it at once, one is told Conflict.
        await self._api.replace(LEASE, body | {"spec": spec})
        self.renewed_at = time.monotonic()
        return True

    def _expired(self, holder: str, spec: dict[str, Any]) -> bool:
        mark = (holder, str(spec.get("renewTime")))
        if mark != self._seen:
            self._seen, self._seen_at = mark, time.monotonic()
            return False
        return time.monotonic() - self._seen_at > float(spec.get("leaseDurationSeconds") or 0)

    async def _read(self) -> Body | None:
        return await self._api.get(LEASE, self._settings.pod_namespace, self._settings.lease_name)

    def _fresh(self) -> Body:
        now = _now()
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"namespace": self._settings.pod_namespace, "name": self._settings.lease_name},
            "spec": {
                "holderIdentity": self._settings.identity,
                "leaseDurationSeconds": int(self._settings.lease_duration),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
