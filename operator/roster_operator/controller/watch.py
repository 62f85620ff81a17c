"""Kopf watches; what it shows goes into the view, and the keys that it touches into the queue.

Low-level event handlers only: Kopf then puts no annotation and no finalizer on anything, and a restart replays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from roster_operator.api.kinds import CONNECTION, JOB, SYNC, Kind

from .jobs import MANAGED_BY, MANAGER, SELECTOR
from .line import called_by_an_end
from .objects import Body
from .queue import Key, WorkQueue
from .settings import Settings
from .silence import Silence
from .view import View

Seen = Callable[..., set[Key]]


def registry(view: View, queue: WorkQueue, silence: Silence, places: int) -> kopf.OperatorRegistry:
    """Kopf's handlers of this operator."""
    handlers = kopf.OperatorRegistry()
    login(handlers)
    _watch(handlers, CONNECTION, _handler(CONNECTION, view.connection_seen, queue, view, silence, places))
    _watch(handlers, SYNC, _handler(SYNC, view.sync_seen, queue, view, silence, places))
    _watch(handlers, JOB, _handler(JOB, view.job_seen, queue, view, silence, places), labels={MANAGED_BY: MANAGER})
    return handlers


def _watch(handlers: kopf.OperatorRegistry, kind: Kind, handler: Any, **filters: Any) -> None:
    kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=handlers, **filters)(handler)


def _handler(kind: Kind, seen: Seen, queue: WorkQueue, view: View, silence: Silence, places: int) -> Any:
    async def handle(event: Any, body: Any, **_: Any) -> None:
        silence.heard(kind)
        copy: Body = {name: body.get(name) for name in ("metadata", "spec", "status")}
        running = len(view.running)
        queue.add(seen(copy, deleted=event["type"] == "DELETED"))
        if len(view.running) < running:
            queue.add(called_by_an_end(view, places))

    return handle


def login(handlers: kopf.OperatorRegistry) -> None:
    """The pod's service account; outside a cluster KUBECONFIG."""

    async def connect(**kwargs: Any) -> Any:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    kopf.on.login(id="login", registry=handlers, errors=kopf.ErrorsMode.PERMANENT)(connect)


def kopf_settings(settings: Settings) -> kopf.OperatorSettings:
    """Kopf, measured and tuned: as docs/decisions tells."""
    tuned = kopf.OperatorSettings()
    tuned.posting.enabled = False
    tuned.scanning.disabled = True
    tuned.watching.inactivity_timeout = settings.watch_silence
    tuned.watching.server_timeout = 300
    tuned.watching.client_timeout = 330
    tuned.watching.connect_timeout = 10
    tuned.watching.chunk_size = 500
    tuned.watching.label_selectors[JOB.group, JOB.version, JOB.plural] = SELECTOR  # pyright: ignore[reportArgumentType]
    tuned.networking.request_timeout = 30
    # A worker that has shown its object keeps the whole body until it ends: with tens of thousands listed at once, the
    # default of five seconds is most of the memory.
    tuned.queueing.idle_timeout = 0.5
    tuned.process.ultimate_exiting_timeout = 30
    return tuned


class WatchLost(Exception):  # noqa: N818
    """Kopf gave up, as it does when a resource definition goes. The process ends, and looks anew when it starts."""


async def watch(view: View, queue: WorkQueue, settings: Settings, silence: Silence) -> None:
    """Run Kopf until it is cancelled, or gets a signal, which ends it in order. Raises WatchLost."""
    namespaces: Any = {"namespaces": settings.watch_namespaces} if settings.watch_namespaces else {"clusterwide": True}
    tuned = kopf_settings(settings)
    try:
        await kopf.operator(
            registry=registry(view, queue, silence, settings.max_jobs), settings=tuned, standalone=True, **namespaces
        )
    except Exception as error:
        raise WatchLost(f"{type(error).__name__}: {error}") from error
