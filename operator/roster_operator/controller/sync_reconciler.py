"""One look at a RosterSync: read live, decide, act, write the status.

Every act can be cut off by a kill, and every one can be done again: Jobs have derived names and one that exists is as
good as one just created; a status is written only over the version that was read.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from roster_operator.api.kinds import CONNECTION, JOB, SYNC
from roster_operator.api.sync import WAITING, JobRef, Phase, RosterSyncStatus
from roster_operator.api.task import Outcome
from roster_operator.api.task import Step as JobStep

from .client import Api, ApiError
from .conditions import plain
from .context import Context
from .jobs import OWNER_UID_LABEL, SELECTOR, STEP_LABEL, Owner, build, job_name
from .lifecycle import AT_CAPACITY, Decision, State, Step, decide
from .objects import Body, Connection, Sync
from .observe import Order, Snapshot, deleted_before_merge, facts_of, is_closing, order_of, retry_delay, state_of
from .queue import Key
from .reading import patience, read_job
from .results import GONE, JobKind, JobState
from .siblings import rival_of, spends, undo_stands
from .sync_events import give_up, happenings
from .sync_status import Effects, next_status
from .tasks import database_secret, sync_task
from .writes import set_finalizer, write_status

log = logging.getLogger(__name__)

AT_ONCE = 0.0
STUCK_LOOK = 15.0  # seconds between two looks at a pod that does not start
IDLE_LOOK = 300.0  # seconds between two looks at something that should tell us by itself
REFUSED_LOOK = 30.0


@dataclass(frozen=True)
class _Reading:
    """A snapshot, and the Job's body where one was read."""

    snapshot: Snapshot
    job_body: Body | None


async def reconcile_sync(context: Context, key: Key) -> float | None:
    """Look at one sync; seconds until it should be looked at again, or None."""
    body = await context.api.get(SYNC, key.namespace, key.name)
    if body is None:
        return None
    sync = Sync.of(body)
    reading = await _read(context, sync)
    snapshot = reading.snapshot
    decision = decide(snapshot.state, sync.status.phase, facts_of(snapshot, context.settings))
    return await _Act(context, reading, decision).run()


async def _read(context: Context, sync: Sync) -> _Reading:
    now = context.api.now()
    closing = is_closing(sync)
    state = state_of(sync, closing=closing)
    if state in {State.ENDED, State.MERGED}:
        return _Reading(Snapshot(now, sync, None, state, None, None), None)
    connection = await _connection(context.api, sync)
    order = order_of(sync, closing=closing)
    job_body, job, found = await _job(context, sync, order, now)
    if not closing and deleted_before_merge(sync, job, found=found):
        state, order = State.CLOSING, order_of(sync, closing=True)
        job_body, job, found = await _job(context, sync, order, now)
    others: tuple[str, ...] = ()
    if state is State.CLOSING:
        others = await _other_jobs(context.api, sync)
    snapshot = Snapshot(
        now, sync, connection, state, order, job, found, others,
        approvers_verified=context.settings.approvers_verified,
    )  # fmt: skip
    if sync.status.phase in WAITING and not closing:
        siblings = await _siblings(context, sync)
        snapshot = replace(
            snapshot,
            rival=rival_of(sync, siblings),
            standing=_standing(connection, siblings) if connection else None,
            undo_stands=connection is not None and undo_stands(connection.status, siblings),
        )
    # Last of all: whoever awaits nothing between this and the taking of the place has it.
    slot = order is None or order.recorded or context.slots.free(order.step)
    return _Reading(replace(snapshot, slot=slot), job_body)


def _standing(connection: Connection, siblings: list[Sync]) -> str | None:
    """The digest that the connection approves, unless it is spent."""
    digest = connection.spec.approved_plan
    if digest is None or digest in connection.status.spent_plans or spends(siblings, digest):
        return None
    return digest


async def _siblings(context: Context, sync: Sync) -> list[Sync]:
    """Which of them there are is asked of the view; what they are is read live."""
    others: list[Sync] = []
    for namespace, name in context.view.syncs_of((sync.meta.namespace, sync.spec.connection_ref.name)):
        body = await context.api.get(SYNC, namespace, name) if name != sync.meta.name else None
        if body is not None:
            others.append(Sync.of(body))
    return others


async def _connection(api: Api, sync: Sync) -> Connection | None:
    body = await api.get(CONNECTION, sync.meta.namespace, sync.spec.connection_ref.name)
    if body is None or body["metadata"].get("deletionTimestamp"):
        return None
    return Connection.of(body)


async def _job(
    context: Context, sync: Sync, order: Order | None, now: datetime
) -> tuple[Body | None, JobState | None, bool]:
    """The Job's body, what it has come to, and whether one that is not recorded yet was found."""
    if order is None:
        return None, None, False
    name = order.name or job_name(sync.meta, order.step, order.attempt)
    body = await context.api.get(JOB, sync.meta.namespace, name)
    if not order.recorded:
        return body, None, body is not None
    if body is None:
        return None, GONE, False
    return body, _believable(await read_job(context.api, body, order.step, now, context.settings), sync), False


def _believable(job: JobState, sync: Sync) -> JobState:
    """A plan that "changed" into the approved one did not change: that answer is none."""
    summary, approval = job.summary, sync.status.approval
    if summary is None or summary.outcome is not Outcome.PLAN_CHANGED:
        return job
    if summary.plan and approval and summary.plan.digest == approval.digest:
        return JobState(JobKind.LOST, reason="WorkerLost", message="its answer contradicts itself", ended=job.ended)
    return job


async def _other_jobs(api: Api, sync: Sync) -> tuple[str, ...]:
    labels = f"{SELECTOR},{OWNER_UID_LABEL}={sync.meta.uid},{STEP_LABEL}!={JobStep.DISCARD}"
    names = [job["metadata"]["name"] async for job in api.items(JOB, sync.meta.namespace, labels=labels)]
    return tuple(sorted(names))


class _Act:
    """Taking one step."""

    def __init__(self, context: Context, reading: _Reading, decision: Decision) -> None:
        self._context = context
        self._api = context.api
        self._snapshot = reading.snapshot
        self._sync = reading.snapshot.sync
        self._job_body = reading.job_body
        self._decision = decision

    async def run(self) -> float | None:
        match self._decision.step:
            case Step.NOTHING:
                return None
            case Step.HOLD:
                await set_finalizer(self._api, SYNC, self._sync.body, present=True)
                return AT_ONCE
            case Step.STOP:
                for name in self._snapshot.other_jobs:
                    await self._api.delete(JOB, self._sync.meta.namespace, name)
                return AT_ONCE
            case Step.RELEASE:
                await set_finalizer(self._api, SYNC, self._sync.body, present=False)
                return None
            case Step.DELETE:
                await self._api.delete(SYNC, self._sync.meta.namespace, self._sync.meta.name, uid=self._sync.meta.uid)
                return None
            case Step.GIVE_UP:
                await self._context.recorder.record(SYNC, self._sync.meta, give_up())
                await set_finalizer(self._api, SYNC, self._sync.body, present=False)
                return None
            case Step.START | Step.RETRY:
                return await self._start()
            case _:
                await self._write(self._effects())
                return self._look_again()

    def _effects(self) -> Effects:
        connection = self._snapshot.connection
        match self._decision.step:
            case Step.PIN if connection:
                return Effects(
                    tenant=connection.spec.tenant_of(self._sync.meta.namespace, connection.meta.name),
                    database=database_secret(connection, self._context.settings),
                )
            case Step.RECORD:
                return Effects(job=self._reference())
            case _:
                return Effects()

    async def _start(self) -> float | None:
        order = self._snapshot.order
        if order is None or self._sync.status.database is None:
            raise AssertionError("a Job is created only for a sync whose database is pinned")
        if self._decision.step is Step.RETRY:
            if self._job_body is not None:
                await self._api.delete(
                    JOB, self._sync.meta.namespace, order.name, uid=self._job_body["metadata"]["uid"]
                )
            order = replace(order, attempt=order.attempt + 1, name="", recorded=False)
        name = job_name(self._sync.meta, order.step, order.attempt)
        task = sync_task(
            self._sync,
            self._snapshot.connection,
            order.step,
            order.attempt,
            self._context.cluster,
            self._context.settings,
        )
        manifest = build(
            task,
            name,
            Owner(SYNC, self._sync.meta),
            self._sync.status.database.name,
            self._context.settings,
            template=self._snapshot.connection.spec.job_template if self._snapshot.connection else None,
        )
        job = (self._sync.meta.namespace, name)
        self._context.slots.take(job)
        try:
            await self._api.create(JOB, manifest)
        except ApiError as error:
            if not error.exists:
                self._context.slots.give_back(job)
                return await self._refused(error)
        await self._write(Effects(job=self._reference(order.attempt)))
        return self._look_again()

    async def _refused(self, error: ApiError) -> float | None:
        """The API server would not have the Job: a quota, an admission policy, or a namespace that ends."""
        if self._snapshot.state is State.CLOSING:
            since = self._sync.meta.deleted or self._sync.status.times.finished or self._snapshot.now
            over = self._snapshot.now - since > timedelta(seconds=self._context.settings.discard_window)
            if error.namespace_ends or (error.status in {403, 422} and over):
                if not error.namespace_ends:
                    await self._context.recorder.record(SYNC, self._sync.meta, give_up())
                await set_finalizer(self._api, SYNC, self._sync.body, present=False)
                return None
        if error.status not in {403, 422} or error.namespace_ends:
            raise error
        if self._snapshot.state is State.PENDING:
            stays = replace(self._decision, phase=Phase.PENDING)
            await self._write(Effects(refusal=plain(error.message, 512)), stays)
        else:
            log.warning("Job for %s/%s refused: %s", self._sync.meta.namespace, self._sync.meta.name, error)
        return REFUSED_LOOK

    def _reference(self, attempt: int | None = None) -> JobRef | None:
        order, last = self._snapshot.order, self._sync.status.job
        if order is None:
            return None
        number = attempt if attempt is not None else order.attempt
        approval = self._sync.status.approval
        again = self._decision.step is Step.RETRY and last is not None
        return JobRef(
            step=order.step.value,
            name=job_name(self._sync.meta, order.step, number),
            attempt=number,
            losses=last.losses + 1 if again and last else 0,
            digest=approval.digest if order.step is JobStep.MERGE and approval else None,
            since=last.since if again and last else self._snapshot.now,
        )

    async def _write(self, effects: Effects, decision: Decision | None = None) -> None:
        decision = decision or self._decision
        before = self._sync.status
        after = next_status(self._snapshot, decision, effects)
        await write_status(self._api, SYNC, self._sync.body, before, after)
        await self._tell(before, after, decision)

    async def _tell(self, before: RosterSyncStatus, after: RosterSyncStatus, decision: Decision) -> None:
        if before.phase is not after.phase:
            meta = self._sync.meta
            log.info("sync %s/%s: %s -> %s", meta.namespace, meta.name, before.phase, after.phase)
            if after.phase is Phase.FAILED and after.failure:
                self._context.metrics.count_failure(after.failure.reason)
        for happening in happenings(before, after, decision, undo=self._sync.spec.is_undo):
            await self._context.recorder.record(SYNC, self._sync.meta, happening)

    def _look_again(self) -> float | None:
        """When to look again without being told."""
        step, snapshot, settings = self._decision.step, self._snapshot, self._context.settings
        if step in {Step.PIN, Step.PUBLISH, Step.APPROVE, Step.FINISH, Step.TELL}:
            return AT_ONCE
        if self._decision.row.reason == AT_CAPACITY:
            return IDLE_LOOK * random.uniform(0.5, 1.0)  # noqa: S311  the line calls it: line.py
        if not snapshot.slot and step is Step.WAIT:
            return STUCK_LOOK
        # A sync that is being deleted keeps its phase: what it waits for is its Job, not a decision.
        closing = snapshot.state is State.CLOSING
        if step is Step.WAIT and not closing and self._decision.phase in WAITING | {Phase.PENDING}:
            until = snapshot.hold.until if snapshot.hold else None
            due = min((moment for moment in (until, self._sync.expires) if moment), default=None)
            return max(1.0, (due - snapshot.now).total_seconds()) if due else None
        if step is Step.WAIT and snapshot.job and snapshot.order:
            return self._wait_for_job(snapshot.job)
        if step in {Step.START, Step.RETRY, Step.RECORD} and snapshot.order:
            # A pod that does not start has no Job event to tell it.
            return min(STUCK_LOOK, patience(snapshot.order.step, settings).whole.total_seconds())
        return None

    def _wait_for_job(self, job: JobState) -> float:
        last = self._sync.status.job
        if job.ended and last:  # cooling
            due = job.ended + retry_delay(last.losses, self._context.settings)
            return max(1.0, (due - self._snapshot.now).total_seconds())
        return STUCK_LOOK if job.kind is JobKind.STUCK else self._until_overdue()

    def _until_overdue(self) -> float:
        order = self._snapshot.order
        if order is None:
            return IDLE_LOOK
        ready = ((self._job_body or {}).get("status") or {}).get("ready")
        whole = patience(order.step, self._context.settings).whole.total_seconds()
        return min(whole, IDLE_LOOK) if ready else STUCK_LOOK
