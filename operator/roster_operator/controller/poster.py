"""Telling webhooks: makes the Jobs that send, and looks at what they have come to.

The operator neither reads the signing key nor connects to the address: both are a tenant's. A Job does, as for a
source. It is made before status says so, under a name that the next look would give it again (decision 0005).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from roster_operator.api.kinds import CONNECTION, JOB
from roster_operator.api.notices import Notified, Notify, Webhook
from roster_operator.api.task import Step

from . import posting
from .client import ApiError
from .context import Context
from .events import Happening
from .jobs import Owner, build, job_name_of_notice
from .notices import Occurrence
from .objects import Connection
from .posting import LOOK, Begin
from .reading import read_job
from .results import GONE, JobKind
from .tasks import notify_task

log = logging.getLogger(__name__)

Stands = Callable[[Connection, Occurrence], Awaitable[bool]]


async def post(
    context: Context,
    connection: Connection,
    notify: Notify,
    found: Sequence[Occurrence],
    notified: Notified,
    now: datetime,
    stands: Stands,
) -> tuple[Notified, float | None]:
    """One look: what is to be remembered, and seconds until the next."""
    if notify.webhook is None:
        return notified.model_copy(update={"posted": []}), None
    notified = await _look(context, connection, notified, now)
    for begin in posting.due(notify, found, notified, now):
        if not await stands(connection, begin.occurrence):
            continue
        if not context.slots.free(Step.NOTIFY):
            return notified, LOOK
        notified = await _begin(context, connection, notify.webhook, begin, found, notified, now)
        break
    return notified, posting.wake(notify, found, notified, now)


async def _look(context: Context, connection: Connection, notified: Notified, now: datetime) -> Notified:
    entry = posting.under_way(notified)
    if entry is None or entry.job is None:
        return notified
    namespace = connection.meta.namespace
    body = await context.api.get(JOB, namespace, entry.job)
    job = await read_job(context.api, body, Step.NOTIFY, now, context.settings) if body else GONE
    after, why = posting.ended(entry, job, now)
    if after is entry:
        return notified
    if body is not None and job.kind is not JobKind.DONE:
        await context.api.delete(JOB, namespace, entry.job)  # a pod that starts late would send it besides
    if why:
        await _not_sent(context, connection, why)
    elif after.next is None:
        log.info("connection %s/%s: webhook told", namespace, connection.meta.name)
    return posting.replaced(notified, after)


async def _begin(
    context: Context,
    connection: Connection,
    webhook: Webhook,
    begin: Begin,
    found: Sequence[Occurrence],
    notified: Notified,
    now: datetime,
) -> Notified:
    meta = connection.meta
    task = notify_task(connection, webhook, begin.occurrence, begin.attempt, context.cluster, context.settings)
    name = job_name_of_notice(meta, begin.occurrence.key, begin.attempt)
    manifest = build(task, name, Owner(CONNECTION, meta), "", context.settings, template=connection.spec.job_template)
    context.slots.take((meta.namespace, name))
    try:
        await context.api.create(JOB, manifest)
    except ApiError as error:
        if not error.exists:
            context.slots.give_back((meta.namespace, name))
            if error.status not in {403, 422} or error.namespace_ends:
                raise
            after, last = posting.refused(notified, begin, found, now)
            if last:
                await _not_sent(context, connection, f"the API server refused its Job: {error.message}")
            return after
    return posting.begun(notified, begin, name, found)


async def _not_sent(context: Context, connection: Connection, why: str) -> None:
    log.warning("connection %s/%s: webhook not told", connection.meta.namespace, connection.meta.name)
    happening = Happening("NoticeNotSent", f"To the webhook. {why}", warning=True)
    await context.recorder.record(CONNECTION, connection.meta, happening)
