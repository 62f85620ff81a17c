"""A full list, at the start and then every ten minutes.

At the start it fills the view before anything is decided. Later it finds what a broken watch has swallowed: after a
410 an object that was deleted in the gap gives no DELETED event.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator

from roster_operator.api.kinds import CONNECTION, JOB, SYNC, Kind

from .client import Api, ApiError, ApiUnavailable
from .jobs import SELECTOR
from .objects import Body
from .queue import WorkQueue
from .settings import Settings
from .view import Name, View

log = logging.getLogger(__name__)


async def relist(api: Api, view: View, queue: WorkQueue, settings: Settings) -> None:
    """List everything once."""
    connections, syncs, jobs = set[Name](), set[Name](), set[Name]()
    async for body in _all(api, CONNECTION, settings):
        connections.add(_name(body))
        queue.add(view.connection_seen(body))
    async for body in _all(api, SYNC, settings):
        syncs.add(_name(body))
        queue.add(view.sync_seen(body))
    async for body in _all(api, JOB, settings, labels=SELECTOR):
        jobs.add(_name(body))
        queue.add(view.job_seen(body))
    view.forget_all_but(connections, syncs, jobs)
    queue.add(view.outlived(api.now()))


async def relist_forever(api: Api, view: View, queue: WorkQueue, settings: Settings) -> None:
    """List again and again; a list that fails is left to the next."""
    while True:
        await asyncio.sleep(settings.relist_interval * random.uniform(0.9, 1.1))  # noqa: S311  jitter
        try:
            await relist(api, view, queue, settings)
        except (ApiError, ApiUnavailable) as error:
            log.warning("full list failed, the next one follows: %s", error)


async def _all(api: Api, kind: Kind, settings: Settings, labels: str = "") -> AsyncIterator[Body]:
    for namespace in settings.watch_namespaces or [None]:
        async for body in api.items(kind, namespace, labels=labels):
            yield body


def _name(body: Body) -> Name:
    return body["metadata"]["namespace"], body["metadata"]["name"]
