"""The end of a RosterConnection: held while its rows are to go with it, purged, what went is told, and let go."""

from __future__ import annotations

import logging

from roster_operator.api.connection import PurgeStatus
from roster_operator.api.kinds import CONNECTION, JOB, PURGE_FINALIZER
from roster_operator.api.task import Step as JobStep

from .client import ApiError
from .conditions import plain
from .context import Context
from .events import Happening
from .jobs import STEP_LABEL, Owner, build, job_name
from .objects import Body, Connection
from .purge_life import PurgeSnapshot, Step, decide
from .reading import read_job
from .results import GONE, is_finished
from .tasks import database_secret, purge_task
from .writes import set_finalizer, write_status

log = logging.getLogger(__name__)

LOOK = 5.0  # seconds between two looks at a purge under way
_DISTURBING = ("stage", "merge")


async def reconcile_end(context: Context, connection: Connection) -> float | None:
    """Take the step that the connection's policy and life ask for; seconds until the next look, or None."""
    snapshot, running = await _read(context, connection)
    step = decide(snapshot, context.settings)
    match step:
        case Step.HOLD | Step.RELEASE:
            await _hold(context, connection, present=step is Step.HOLD)
        case Step.STOP:
            for job in running:
                if job["metadata"]["labels"][STEP_LABEL] == JobStep.STAGE:
                    await context.api.delete(JOB, connection.meta.namespace, job["metadata"]["name"])
        case Step.REPORT:
            await _let_go(context, connection, _report(snapshot))
        case Step.GIVE_UP:
            await _let_go(context, connection, _gave_up(snapshot))
        case Step.START | Step.RETRY:
            await _start(context, connection)
        case _:
            pass
    return LOOK if step in {Step.WAIT, Step.STOP, Step.START, Step.RETRY} else None


async def _read(context: Context, connection: Connection) -> tuple[PurgeSnapshot, list[Body]]:
    now, meta, begun = context.api.now(), connection.meta, connection.status.purge
    job, running = None, list[Body]()
    if meta.deleting and connection.purge_held:
        if begun is not None:
            body = await context.api.get(JOB, meta.namespace, begun.job)
            job = await read_job(context.api, body, JobStep.PURGE, now, context.settings) if body else GONE
        running = await _running(context, connection)
    busy = frozenset(str(one["metadata"]["labels"][STEP_LABEL]) for one in running)
    return PurgeSnapshot(now, connection, job, busy, context.slots.free(JobStep.PURGE)), running


async def _running(context: Context, connection: Connection) -> list[Body]:
    """Jobs that pull or merge for this connection and have not ended, read live."""
    meta = connection.meta
    syncs = {name for _, name in context.view.syncs_of((meta.namespace, meta.name))}
    labels = f"{STEP_LABEL} in ({','.join(_DISTURBING)})"
    return [
        job
        async for job in context.api.items(JOB, meta.namespace, labels=labels)
        if not is_finished(job)
        and any(owner["name"] in syncs for owner in job["metadata"].get("ownerReferences") or ())
    ]


async def _start(context: Context, connection: Connection) -> None:
    meta, status = connection.meta, connection.status
    attempt = status.purge.attempt + 1 if status.purge else 1
    name = job_name(meta, JobStep.PURGE, attempt)
    secret = database_secret(connection, context.settings)
    task = purge_task(connection, attempt, context.cluster)
    manifest = build(
        task, name, Owner(CONNECTION, meta), secret, context.settings, template=connection.spec.job_template
    )
    job = (meta.namespace, name)
    context.slots.take(job)
    try:
        await context.api.create(JOB, manifest)
    except ApiError as error:
        if not error.exists:
            context.slots.give_back(job)
        if error.namespace_ends:
            # Nothing can be created in it any more, and it must not hang on this.
            await _let_go(context, connection, _left("Its namespace is being deleted, so no Job could run."))
            return
        if not error.exists:
            raise
    after = status.model_copy(update={"purge": PurgeStatus(job=name, attempt=attempt)})
    await write_status(context.api, CONNECTION, connection.body, status, after)


async def _hold(context: Context, connection: Connection, *, present: bool) -> None:
    await set_finalizer(context.api, CONNECTION, connection.body, present=present, name=PURGE_FINALIZER)


async def _let_go(context: Context, connection: Connection, happening: Happening) -> None:
    await context.recorder.record(CONNECTION, connection.meta, happening)
    log.info("connection %s/%s: %s", connection.meta.namespace, connection.meta.name, happening.reason)
    await _hold(context, connection, present=False)


def _report(snapshot: PurgeSnapshot) -> Happening:
    summary = snapshot.job.summary if snapshot.job else None
    report = summary.purge if summary else None
    if report is None:
        return Happening("Purged", "The district's rows are deleted.")
    what = ", ".join(f"{table} {count:,}" for table, count in report.rows.items()) or "there were none"
    return Happening("Purged", f"The district's rows are deleted: {what}. Receipt {report.receipt} in roster.erasure.")


def _gave_up(snapshot: PurgeSnapshot) -> Happening:
    job = snapshot.job
    failure = job.summary.failure if job and job.summary else None
    if failure is not None:
        return _left(f"{failure.reason}: {failure.message}")
    return _left(f"The last Job: {plain(job.message, 256)}." if job and job.message else "No Job could run in time.")


def _left(why: str) -> Happening:
    text = (
        f"The district's rows are not deleted. {why} `roster tenant drop` with the database owner's URL deletes them."
    )
    return Happening("PurgeGaveUp", text, warning=True)
