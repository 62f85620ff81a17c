"""A full list, at the start and then every ten minutes.

At the start it fills the view before anything is decided. Later it finds what a broken watch has swallowed: after a
410 an object that was deleted in the gap gives no DELETED event.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Protocol

from roster_operator.api.kinds import CONNECTION, JOB, SYNC, Kind

from .client import Api, ApiError, ApiUnavailable
from .jobs import SELECTOR
from .objects import Body
from .queue import Key, WorkQueue
from .quiet import Quiet, quiet_of
from .settings import Settings
from .silence import Silence
from .view import Name, View

log = logging.getLogger(__name__)
LONGEST = 3600.0  # seconds after which also a connection that rests is looked at


class Versioned(Protocol):
    """A record of an object at one version."""

    @property
    def version(self) -> str:
        """Its resourceVersion."""
        ...


async def relist(api: Api, view: View, queue: WorkQueue, settings: Settings, silence: Silence | None = None) -> None:
    """List everything once. silence: where the watch runs beside it, which then owes what is news here."""
    connections, syncs, jobs = set[Name](), set[Name](), set[Name]()
    quiet: dict[Key, Quiet] = {}
    async for body in _all(api, CONNECTION, settings):
        connections.add(_name(body))
        _owe(silence, CONNECTION, view.connections, body)
        keys = view.connection_seen(body)
        if silence is None and (found := quiet_of(body, api.now())):
            calm = Key(CONNECTION.kind, *_name(body))
            keys.discard(calm)
            quiet[calm] = found
        queue.add(keys)
    async for body in _all(api, SYNC, settings):
        syncs.add(_name(body))
        _owe(silence, SYNC, view.syncs, body)
        queue.add(view.sync_seen(body) - quiet.keys())
    async for body in _all(api, JOB, settings, labels=SELECTOR):
        jobs.add(_name(body))
        _owe(silence, JOB, view.jobs, body)
        queue.add(view.job_seen(body))
    view.forget_all_but(connections, syncs, jobs)
    queue.add(view.outlived(api.now()))
    _leave_alone(quiet, view, queue, api.now())


def _leave_alone(quiet: dict[Key, Quiet], view: View, queue: WorkQueue, now: datetime) -> None:
    """Those of which nothing is due are looked at later, spread over the second half of an hour."""
    for key, one in quiet.items():
        name = (key.namespace, key.name)
        if one.agrees((sync[1], view.syncs[sync]) for sync in view.syncs_of(name)):
            seconds = min((one.due - now).total_seconds(), LONGEST * random.uniform(0.5, 1.0))  # noqa: S311
            queue.add_later(key, seconds)
        else:
            queue.add({key})


async def relist_forever(api: Api, view: View, queue: WorkQueue, settings: Settings, silence: Silence) -> None:
    """List again and again; a list that fails is left to the next."""
    while True:
        await asyncio.sleep(settings.relist_interval * random.uniform(0.9, 1.1))  # noqa: S311  jitter
        try:
            await relist(api, view, queue, settings, silence)
        except (ApiError, ApiUnavailable) as error:
            log.warning("full list failed, the next one follows: %s", error)


def _owe(silence: Silence | None, kind: Kind, known: Mapping[Name, Versioned], body: Body) -> None:
    record = known.get(_name(body))
    if silence is not None and (record is None or record.version != body["metadata"].get("resourceVersion", "")):
        silence.owed(kind)


async def _all(api: Api, kind: Kind, settings: Settings, labels: str = "") -> AsyncIterator[Body]:
    for namespace in settings.watch_namespaces or [None]:
        async for body in api.items(kind, namespace, labels=labels):
            yield body


def _name(body: Body) -> Name:
    return body["metadata"]["namespace"], body["metadata"]["name"]
