"""From the start of the process to its end: only wiring."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from roster_operator.api.kinds import CONNECTION, SYNC
from roster_operator.mail import MailError, MailSettings
from roster_operator.mail import load as load_mail

from .client import Api, ApiError, ApiUnavailable
from .connection_reconciler import reconcile_connection
from .context import Context
from .events import Recorder
from .lease import Lease, LeaseLost
from .line import call_forever
from .metrics import Metrics
from .notifier import Notifier
from .probes import Health, serve
from .queue import Key, WorkQueue
from .relist import relist, relist_forever
from .settings import Settings
from .silence import Silence
from .slots import Slots
from .sync_reconciler import reconcile_sync
from .view import View
from .watch import WatchLost, watch

log = logging.getLogger(__name__)

T = TypeVar("T")

DONE, FAILED, NO_DEFINITIONS, LEASE_LOST = 0, 1, 2, 3
NOTICES = "Notices"  # the queue's name in metrics
NOTICE_WORKERS = 4
API_PATIENCE = 120.0  # seconds in which the API server must have answered once


class CannotStart(Exception):  # noqa: N818
    """Something this operator cannot do without is missing. The message is a sentence for a person."""


async def run(settings: Settings) -> int:
    """Run until a signal or a loss; the process's exit code."""
    view = View()
    metrics = Metrics(view)
    health = Health(lease_patience=settings.lease_duration * 2)
    stop = asyncio.Event()
    _stop_on_signals(stop)
    async with contextlib.AsyncExitStack() as stack:
        server = await serve(health, metrics, settings.listen, settings.port)
        stack.push_async_callback(server.cleanup)
        await stack.enter_async_context(_background(health.beat()))
        try:
            api = await Api.connect(metrics)
            stack.push_async_callback(api.close)
            cluster = await _until(stop, _check_cluster(api))
            if cluster is None:
                return DONE
            health.found_definitions = True
            return await _lead(api, cluster, settings, view, metrics, health, stop)
        except CannotStart as error:
            log.error("%s", error)  # noqa: TRY400  a sentence, not a traceback
            return NO_DEFINITIONS
        except ApiUnavailable as error:
            log.error("No cluster: %s.", error)  # noqa: TRY400
            return FAILED
        except WatchLost as error:
            log.error("The watch ended: %s; this process ends, and looks anew when it starts", error)  # noqa: TRY400
            return FAILED
        except LeaseLost as error:
            log.error("%s; this process ends, and another takes over", error)  # noqa: TRY400
            return LEASE_LOST


async def _lead(
    api: Api, cluster: str, settings: Settings, view: View, metrics: Metrics, health: Health, stop: asyncio.Event
) -> int:
    lease = health.lease = Lease(api, settings)
    if await _until(stop, _true_after(lease.acquire())) is None:
        return DONE
    metrics.leader.set(1)
    health.leading = True

    def tell(key: Key) -> None:
        notices.add([Key(NOTICES, key.namespace, key.name)])

    context = Context(
        api, settings, metrics, Recorder(api, settings.identity), Slots(view, settings.max_jobs), view, cluster, tell
    )
    notices = WorkQueue(Notifier(context, _mail(), settings.console_url).look, metrics)

    async def reconcile(key: Key) -> float | None:
        handler = {CONNECTION.kind: reconcile_connection, SYNC.kind: reconcile_sync}[key.kind]
        return await handler(context, key)

    queue = health.queue = WorkQueue(reconcile, metrics)
    try:
        await _first_list(api, view, queue, settings)
        health.listed = True
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(settings.workers):
                await stack.enter_async_context(_background(queue.run()))
            for _ in range(NOTICE_WORKERS):
                await stack.enter_async_context(_background(notices.run()))
            await stack.enter_async_context(_background(relist_forever(api, view, queue, settings, metrics.silence)))
            await stack.enter_async_context(_background(call_forever(view, queue, settings.max_jobs)))
            return await _watch_while_leading(lease, view, queue, settings, stop, metrics.silence)
    finally:
        metrics.leader.set(0)
        health.leading = False
        await lease.release()


def _mail() -> MailSettings | MailError | None:
    """Notices that cannot be sent hold nothing else up."""
    try:
        return load_mail(os.environ)
    except MailError as error:
        log.error("no notices by mail: %s", error)  # noqa: TRY400
        return error


async def _watch_while_leading(
    lease: Lease, view: View, queue: WorkQueue, settings: Settings, stop: asyncio.Event, silence: Silence
) -> int:
    keeping = asyncio.create_task(lease.keep(), name="lease")
    watching = asyncio.create_task(watch(view, queue, settings, silence), name="kopf")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    tasks = (keeping, watching, stopping)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()  # raises LeaseLost
        if watching.done():
            watching.result()
        return DONE
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _stop_on_signals(stop: asyncio.Event) -> None:
    # For a standby: once Kopf runs, it takes the signals for itself.
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _check_cluster(api: Api) -> str:
    """Our resource definitions are there; the uid of the cluster. Raises CannotStart."""
    deadline = asyncio.get_running_loop().time() + API_PATIENCE
    while True:
        try:
            await _definitions(api)
            namespace = await api.request("GET", "/api/v1/namespaces/kube-system")
            return str(namespace["metadata"]["uid"])
        except (ApiUnavailable, ApiError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"The API server gave no usable answer for {API_PATIENCE:.0f} s: {error}") from error
            log.warning("waiting for the API server: %s", error)
            await asyncio.sleep(3.0)


async def _definitions(api: Api) -> None:
    try:
        found = await api.request("GET", CONNECTION.root)
    except ApiError as error:
        if not error.gone:
            raise
        found = {}
    names = {resource["name"] for resource in found.get("resources") or ()}
    missing = sorted({CONNECTION.plural, SYNC.plural} - names)
    if missing:
        raise CannotStart(
            f"The cluster has no definition of {' and '.join(missing)} ({CONNECTION.api_version}). "
            "Install the chart, or apply crds/, then start this operator again."
        )


async def _first_list(api: Api, view: View, queue: WorkQueue, settings: Settings) -> None:
    while True:
        try:
            await relist(api, view, queue, settings)
        except (ApiError, ApiUnavailable) as error:
            log.warning("the first full list failed, again in 3 s: %s", error)
            await asyncio.sleep(3.0)
        else:
            return


async def _true_after(work: Coroutine[Any, Any, None]) -> bool:
    await work
    return True


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The work's result, or None where the process is told to stop first."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, stopping):
            one.cancel()
        await asyncio.gather(task, stopping, return_exceptions=True)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
