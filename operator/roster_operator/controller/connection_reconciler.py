"""One look at a RosterConnection: is a test due, what did it find, what have its syncs come to."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from roster_operator.api.connection import RosterConnectionStatus, find
from roster_operator.api.kinds import CONNECTION, JOB, SYNC, TEST_REQUESTED_AT
from roster_operator.api.model import GROUP
from roster_operator.api.task import Step as JobStep

from .automation import Automation, automation_of
from .client import ApiError
from .conditions import plain
from .connection_life import Step, TestSnapshot, decide, requested, trigger
from .connection_status import Observed, next_status
from .context import Context
from .events import Happening
from .jobs import Owner, build, job_name_of_test
from .known import REWOUND
from .noted import noted, sentences
from .objects import Body, Connection
from .purge_reconciler import reconcile_end
from .queue import Again, Key
from .reading import read_job
from .schedule import zone_of
from .scheduled import beyond_history, manifest
from .tasks import database_secret, task_of_test
from .view import SyncRecord
from .writes import write_status

log = logging.getLogger(__name__)

GENERATION = f"{GROUP}/generation"
AT_ONCE = 0.0
LOOK = 15.0  # seconds between two looks at a test under way
IN_LINE = 300.0  # seconds between two looks at a full house, of one whose turn is told by line.py
LONGEST = 3600.0


async def reconcile_connection(context: Context, key: Key) -> float | None:
    """Look at one connection; seconds until it should be looked at again, or None."""
    body = await context.api.get(CONNECTION, key.namespace, key.name)
    if body is None:
        context.view.tests.leave((key.namespace, key.name))
        return None
    connection = Connection.of(body)
    again = await reconcile_end(context, connection)
    if connection.meta.deleting:
        context.view.tests.leave((key.namespace, key.name))
        return again  # its other Jobs go with it
    now = context.api.now()
    job_body = await _job(context, connection)
    job = await read_job(context.api, job_body, JobStep.TEST, now, context.settings) if job_body else None
    notes = _annotations(job_body)
    snapshot = TestSnapshot(
        now, connection, job, int(notes[GENERATION]) if GENERATION in notes else None, context.slots.free(JobStep.TEST)
    )
    step = decide(snapshot)
    _stand_in_line(context, snapshot, step)
    effects = Observed()
    match step:
        case Step.START:
            effects = await _start(context, snapshot)
        case Step.CALL_OFF if job_body is not None:
            await context.api.delete(JOB, key.namespace, job_body["metadata"]["name"])
        case Step.CONCLUDE:
            effects = Observed(handled_request=notes.get(TEST_REQUESTED_AT))
        case _:
            pass
    automation = automation_of(connection, now, context.settings)
    if automation and automation.due and not any(record.busy for _, record in _syncs(context, key)):
        effects = await _make_sync(context, connection, automation, automation.due, effects)
    after = next_status(snapshot, step, effects, _syncs(context, key), context.settings, automation)
    try:
        await write_status(context.api, CONNECTION, body, connection.status, after)
    except Again:
        if step is Step.START and effects.job:
            await _call_off_unrecorded(context, key, effects.job)
        raise
    for happening in happenings(connection.status, after, step):
        await context.recorder.record(CONNECTION, connection.meta, happening)
    if connection.spec.notify is not None or after.notices is not None:
        context.tell(key)
    for name, uid in beyond_history(connection.meta.uid, _syncs(context, key)):
        await context.api.delete(SYNC, key.namespace, name, uid=uid)
    return _look_again(step, after, snapshot, effects, automation)


def _stand_in_line(context: Context, snapshot: TestSnapshot, step: Step) -> None:
    """A test that is due, and may not run yet, is called when a place is free."""
    meta, line = snapshot.connection.meta, context.view.tests
    if in_line(snapshot, step):
        line.join((meta.namespace, meta.name), meta.created)
    else:
        line.leave((meta.namespace, meta.name))


def in_line(snapshot: TestSnapshot, step: Step) -> bool:
    """It waits for a place, not for its Job."""
    return step is Step.WAIT and snapshot.connection.status.test_job is None


async def _make_sync(
    context: Context, connection: Connection, automation: Automation, due: datetime, effects: Observed
) -> Observed:
    """Make the sync of this scheduled time. One that exists was made by the look before a kill."""
    auto = connection.spec.automatic_sync
    if auto is None:
        return effects
    body = manifest(connection, due, zone_of(auto.time_zone), automation.mode)
    try:
        await context.api.create(SYNC, body)
    except ApiError as error:
        if not error.exists:
            if error.status not in {403, 422} or error.namespace_ends:
                raise
            return replace(effects, sync_refusal=plain(error.message, 512))
    else:
        log.info("connection %s/%s: made %s", connection.meta.namespace, connection.meta.name, body["metadata"]["name"])
    return replace(effects, made=due)


async def _job(context: Context, connection: Connection) -> Body | None:
    name = connection.status.test_job
    return await context.api.get(JOB, connection.meta.namespace, name) if name else None


def _annotations(job: Body | None) -> dict[str, str]:
    return dict((job or {}).get("metadata", {}).get("annotations") or {})


def _syncs(context: Context, key: Key) -> Iterator[tuple[str, SyncRecord]]:
    for name in context.view.syncs_of((key.namespace, key.name)):
        yield name[1], context.view.syncs[name]


async def _start(context: Context, snapshot: TestSnapshot) -> Observed:
    connection = snapshot.connection
    why = trigger(connection, snapshot.now)
    name = job_name_of_test(connection.meta, why or "")
    notes = {GENERATION: str(connection.meta.generation)}
    if asked := requested(connection):
        notes[TEST_REQUESTED_AT] = asked
    task = task_of_test(connection, context.cluster, context.settings)
    secret = database_secret(connection, context.settings)
    manifest = build(
        task, name, Owner(CONNECTION, connection.meta), secret, context.settings, notes, connection.spec.job_template
    )
    job = (connection.meta.namespace, name)
    context.slots.take(job)
    try:
        await context.api.create(JOB, manifest)
    except ApiError as error:
        if error.exists:
            return Observed(job=name)
        context.slots.give_back(job)
        if error.status not in {403, 422} or error.namespace_ends:
            raise
        return Observed(refusal=plain(error.message, 512))
    return Observed(job=name)


async def _call_off_unrecorded(context: Context, key: Key, job: str) -> None:
    """Delete a Job that no status names, and that none will: what it was created for has changed in the meantime. If
    the same test is still due, the next look finds the Job by its name."""
    body = await context.api.get(CONNECTION, key.namespace, key.name)
    if body is None:
        return  # it goes with its connection
    connection = Connection.of(body)
    why = trigger(connection, context.api.now())
    if job == connection.status.test_job or (why and job == job_name_of_test(connection.meta, why)):
        return
    await context.api.delete(JOB, key.namespace, job)
    context.slots.give_back((key.namespace, job))


def _look_again(
    step: Step, after: RosterConnectionStatus, snapshot: TestSnapshot, effects: Observed, automation: Automation | None
) -> float | None:
    if step is Step.CALL_OFF:
        return AT_ONCE
    wake = automation.wake if automation else None
    if in_line(snapshot, step) and not effects.sync_refusal:
        pause = IN_LINE * random.uniform(0.5, 1.0)  # noqa: S311  the line calls it
        return min(pause, max((wake - snapshot.now).total_seconds(), 1.0)) if wake else pause
    if step in {Step.START, Step.WAIT} or effects.refusal or effects.sync_refusal:
        return LOOK
    if not snapshot.connection.spec.suspend:
        if after.next_test_time is None:
            return AT_ONCE
        wake = min(wake or after.next_test_time, after.next_test_time)
    return min(max((wake - snapshot.now).total_seconds(), 1.0), LONGEST) if wake else None


def happenings(before: RosterConnectionStatus, after: RosterConnectionStatus, step: Step) -> Iterator[Happening]:
    """The Events of a test that was concluded: a changed outcome, and notes that are new; and of a database that was
    put back."""
    behind = find(after.conditions, REWOUND)
    if behind and not find(before.conditions, REWOUND):
        yield Happening(REWOUND, behind.message, warning=True)
    was, now = find(before.conditions, "Ready"), find(after.conditions, "Ready")
    if step is not Step.CONCLUDE or now is None:
        return
    if noted(after.checks) - noted(before.checks):
        yield Happening("TestNoted", " ".join(sentences(after)), warning=True)
    if was is not None and (was.status, was.reason) == (now.status, now.reason):
        return
    if now.status == "True":
        yield Happening("TestSucceeded", now.message)
    else:
        yield Happening("TestFailed", f"{now.reason}: {now.message}", warning=True)
