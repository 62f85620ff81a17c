"""/healthz, /readyz and /metrics: our own small server, up from the start of the process, on a standby too.

Healthy is a process whose event loop turns, whose queue's workers give signs of life, and whose Lease is watched.
Ready is one that found the resource definitions and has either listed everything once or stands by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from .lease import Lease
from .metrics import Metrics
from .queue import WorkQueue

LOOP_LAG = 10.0  # seconds
SILENCE = 120.0  # seconds without a sign of life of the queue; a request may take 30


@dataclass
class Health:
    """What the probes ask about. Filled in as the process comes up."""

    lease: Lease | None = None
    queue: WorkQueue | None = None
    lease_patience: float = 60.0
    found_definitions: bool = False
    leading: bool = False
    listed: bool = False
    loop_beat: float = field(default_factory=time.monotonic)

    def healthy(self) -> list[str]:
        """What is wrong with the process; empty where nothing is."""
        now = time.monotonic()
        wrong: list[str] = []
        if now - self.loop_beat > LOOP_LAG:
            wrong.append(f"the event loop stood still for {now - self.loop_beat:.0f} s")
        if self.queue and self.leading and self.listed and now - self.queue.last_beat > SILENCE:
            wrong.append(f"no worker of the queue gave a sign of life for {now - self.queue.last_beat:.0f} s")
        if self.lease and now - self.lease.renewed_at > self.lease_patience:
            wrong.append(f"the Lease was not looked at for {now - self.lease.renewed_at:.0f} s")
        return wrong

    def ready(self) -> list[str]:
        """What is missing until the process can work or stand by."""
        if not self.found_definitions:
            return ["the resource definitions were not found yet"]
        if self.leading and not self.listed:
            return ["the first full list is not done yet"]
        return []

    async def beat(self) -> None:
        """The event loop's sign of life."""
        while True:
            self.loop_beat = time.monotonic()
            await asyncio.sleep(1.0)


async def serve(health: Health, metrics: Metrics, host: str, port: int) -> web.AppRunner:
    """Start the server; call `cleanup` on what is returned."""
    app = web.Application()
    app.router.add_get("/healthz", _probe(health.healthy))
    app.router.add_get("/readyz", _probe(health.ready))
    app.router.add_get("/metrics", _metrics(metrics))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _probe(ask: Callable[[], list[str]]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        wrong = ask()
        return web.Response(status=503 if wrong else 200, text="; ".join(wrong) or "ok")

    return answer


def _metrics(metrics: Metrics) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    return answer
