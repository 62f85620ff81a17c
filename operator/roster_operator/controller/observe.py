"""From what was read to the facts that the table asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from roster_operator.api.automatic import ApprovalPolicy
from roster_operator.api.sync import FINAL, Phase, PlanSummary, PublishedPlan
from roster_operator.api.task import Outcome
from roster_operator.api.task import Step as JobStep

from .approval import Judgement, Verdict, judge
from .automation import Hold, hold_of, in_pause
from .lifecycle import Fact, State
from .objects import Connection, Sync
from .results import GONE, JobKind, JobState
from .settings import Settings
from .siblings import Rival

MERGE_UNKNOWN = "MergeUnknown"

_ANSWERS = {
    Outcome.STAGED: Fact.STAGED,
    Outcome.ALREADY_MERGED: Fact.ALREADY_MERGED,
    Outcome.MERGED: Fact.MERGED,
    Outcome.PLAN_CHANGED: Fact.PLAN_CHANGED,
    Outcome.DISCARDED: Fact.DISCARDED,
    Outcome.FAILED: Fact.FAILED,
}
_KINDS = {
    JobKind.RUNNING: Fact.RUNNING,
    JobKind.STUCK: Fact.STUCK,
    JobKind.NEVER_STARTED: Fact.NEVER_STARTED,
    JobKind.LOST: Fact.LOST,
}
_VERDICTS = {
    Verdict.APPROVED: Fact.APPROVED,
    Verdict.DIGEST_MISMATCH: Fact.DIGEST_MISMATCH,
    Verdict.DATABASE_REWOUND: Fact.DATABASE_REWOUND,
    Verdict.FIRST_NEEDS_REVIEW: Fact.FIRST_NEEDS_REVIEW,
    Verdict.PLAN_CHANGED: Fact.APPROVED_OLD_PLAN,
}
_STEPS = {
    Phase.PENDING: JobStep.STAGE,
    Phase.STAGING: JobStep.STAGE,
    Phase.MERGING: JobStep.MERGE,
}


@dataclass(frozen=True)
class Order:
    """The Job that the sync's state asks for.

    `recorded`: status says that this attempt was created. Otherwise `attempt` is the one about to be created.
    """

    step: JobStep
    attempt: int
    name: str  # empty: not recorded, and named by whoever creates it
    recorded: bool


@dataclass(frozen=True)
class Snapshot:
    """All that was read about one sync at one moment."""

    now: datetime
    sync: Sync
    connection: Connection | None
    state: State
    order: Order | None  # None: this state asks for no Job
    job: JobState | None  # what the recorded Job has come to
    found: bool = False  # the Job about to be created exists already
    other_jobs: tuple[str, ...] = ()  # closing: Jobs of other steps that still exist
    slot: bool = True
    rival: Rival | None = None  # waiting: what makes it pointless
    undo_stands: bool = False  # waiting: an undo is under way, or was merged since the last pull
    standing: str | None = None  # waiting: the digest that the connection approves and that is not spent
    approvers_verified: bool = False  # the API server itself vouches for the annotation approved-by

    @property
    def plan(self) -> PublishedPlan | None:
        """The plan in status, or the one that the Job's answer brings."""
        summary = self.job.summary if self.job else None
        if summary and summary.plan and summary.outcome in {Outcome.STAGED, Outcome.PLAN_CHANGED}:
            return publish(summary.plan, self.sync, recomputed=summary.outcome is Outcome.PLAN_CHANGED)
        return self.published

    @property
    def published(self) -> PublishedPlan | None:
        """The plan in status, and whether `approved` still stands from before it."""
        plan = self.sync.status.plan
        # Unset `approved` was seen: what is set from now on was set by someone who could see the plan.
        return plan.model_copy(update={"in_advance": plan.in_advance and self.sync.spec.approved}) if plan else None

    @property
    def judgement(self) -> Judgement | None:
        """What the spec says about the plan."""
        if self.plan is None:
            return None
        return judge(
            self.sync.spec,
            self.sync.meta.generation,
            self.plan,
            policy=self.policy,
            standing=self.standing,
            undo_stands=self.undo_stands,
        )

    @property
    def policy(self) -> bool:
        """The connection's schedule made this sync, and its plan may be approved without a person.

        A plan that was pulled in a pause was a rehearsal, also after the pause.
        """
        if self.connection is None or self.sync.scheduled_by != self.connection.meta.uid:
            return False
        auto = self.connection.spec.automatic_sync
        if auto is None or auto.approval is not ApprovalPolicy.WITHIN_LIMITS:
            return False
        return not in_pause(self.connection.spec, self.sync.status.times.pulled or self.now)

    @property
    def hold(self) -> Hold | None:
        """Why nothing of this sync is begun now. A reason to ignore the pause does not lift a suspension."""
        undo = self.sync.spec.is_undo
        hold = hold_of(self.connection.spec, self.now, undo=undo) if self.connection else None
        return None if hold and hold.reason == "Paused" and self.sync.spec.ignore_pause else hold


def publish(summary: PlanSummary, sync: Sync, *, recomputed: bool) -> PublishedPlan:
    """The plan as it stands in status, with what is true of the spec at this moment."""
    return PublishedPlan(
        **{name: getattr(summary, name) for name in PlanSummary.model_fields},
        short_digest=summary.digest[:15],
        totals=summary.summed(),
        generation=sync.meta.generation,
        in_advance=sync.spec.approved and not recomputed,
        recomputed=recomputed,
    )


def order_of(sync: Sync, *, closing: bool) -> Order | None:
    """The Job that the sync asks for now."""
    step = JobStep.DISCARD if closing else _STEPS.get(sync.status.phase)
    if step is None:
        return None
    last = sync.status.job
    if last is None:
        return Order(step, 1, "", recorded=False)
    approved = sync.status.approval.digest if sync.status.approval else None
    same = last.step == step.value and (step is not JobStep.MERGE or last.digest == approved)
    if same:
        return Order(step, last.attempt, last.name, recorded=True)
    return Order(step, last.attempt + 1, "", recorded=False)


def is_closing(sync: Sync) -> bool:
    """Staged rows are to be discarded, whatever the merge Job (if any) says."""
    if not sync.held or sync.status.phase is Phase.MERGED:
        return False
    if sync.status.phase in FINAL:
        return True
    if not sync.meta.deleting:
        return False
    discarding = sync.status.job is not None and sync.status.job.step == JobStep.DISCARD.value
    return sync.status.phase is not Phase.MERGING or discarding


def deleted_before_merge(sync: Sync, job: JobState | None, *, found: bool) -> bool:
    """Deleted in Merging, and no merge is under way or done: then it is not begun, and not begun again."""
    if not (sync.held and sync.meta.deleting and sync.status.phase is Phase.MERGING):
        return False
    if job is None:
        return not found
    if job.kind in {JobKind.RUNNING, JobKind.STUCK}:
        return False
    merged = job.summary is not None and job.summary.outcome in {Outcome.MERGED, Outcome.ALREADY_MERGED}
    return not merged


def state_of(sync: Sync, *, closing: bool) -> State:
    """Where the sync stands."""
    if closing:
        return State.CLOSING
    if sync.status.phase is Phase.MERGED:
        return State.MERGED
    if sync.status.phase in FINAL or (sync.meta.deleting and not sync.held):
        return State.ENDED
    return State(sync.status.phase.value)


def facts_of(snapshot: Snapshot, settings: Settings) -> frozenset[Fact]:
    """Everything that is true of `snapshot`, in the table's words."""
    sync = snapshot.sync
    facts: set[Fact] = set()
    pinned = sync.status.tenant is not None and sync.status.database is not None
    truths = {
        Fact.REJECTED: sync.spec.rejected is not None,
        Fact.HELD: sync.held,
        Fact.PINNED: pinned,
        Fact.UNPINNED: not pinned,
        Fact.CONNECTION_MISSING: snapshot.connection is None,
        Fact.CONNECTION_NOT_READY: snapshot.connection is not None
        and not snapshot.connection.tested
        and not sync.spec.is_undo,  # it needs no source
        Fact.AT_CAPACITY: not snapshot.slot,
        Fact.OTHER_JOBS_STAND: bool(snapshot.other_jobs),
        Fact.JOB_FOUND: snapshot.found,
        Fact.SUPERSEDED: snapshot.rival is not None and not snapshot.rival.equal and not snapshot.rival.undo,
        Fact.UNDO_CAME: snapshot.rival is not None and not snapshot.rival.equal and snapshot.rival.undo,
        Fact.EQUAL_PLAN: snapshot.rival is not None and snapshot.rival.equal,
        Fact.EXPIRED: _passed(sync.expires, snapshot.now),
        Fact.OUTLIVED: _passed(sync.outlives, snapshot.now),
    }
    facts |= {fact for fact, true in truths.items() if true}
    if hold := snapshot.hold:
        facts |= {Fact.SUSPENDED} if hold.reason == "Suspended" else {Fact.PAUSED}
        facts |= {Fact.SKIPPED} if hold.staging else set()
    if snapshot.job is not None:
        facts |= _job_facts(snapshot, snapshot.job, settings)
    if (plan := snapshot.plan) is not None and (judgement := snapshot.judgement) is not None:
        if plan.limits:
            facts.add(Fact.BEYOND_LIMITS)
        if judgement.verdict in _VERDICTS:
            facts.add(_VERDICTS[judgement.verdict])
    return frozenset(facts)


def _passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _job_facts(snapshot: Snapshot, job: JobState, settings: Settings) -> set[Fact]:
    facts = {_ANSWERS[job.summary.outcome]} if job.kind is JobKind.DONE and job.summary else {_KINDS[job.kind]}
    if job.summary and job.summary.failure and job.summary.failure.retryable:
        facts.add(Fact.RETRYABLE)
    failure = snapshot.sync.status.failure
    if failure and failure.reason == MERGE_UNKNOWN:
        facts.add(Fact.UNTOLD)
    ref = snapshot.sync.status.job
    if ref is None:
        return facts
    if snapshot.state is State.CLOSING:
        begun = ref.since or snapshot.now
        tried = timedelta(seconds=settings.discard_window)
        if ref.losses + 1 >= settings.discard_attempts or snapshot.now - begun > tried:
            facts.add(Fact.OUT_OF_ATTEMPTS)
    elif snapshot.state is State.MERGING:
        if ref.losses + 1 >= settings.merge_attempts:
            facts.add(Fact.OUT_OF_ATTEMPTS)
        if ref.losses or job.failed_pods > 1:
            facts.add(Fact.UNSETTLED)
    elif ref.losses + 1 >= settings.max_attempts:
        facts.add(Fact.OUT_OF_ATTEMPTS)
    if job is not GONE and job.ended and snapshot.now - job.ended < retry_delay(ref.losses, settings):
        facts.add(Fact.COOLING)
    return facts


def retry_delay(losses: int, settings: Settings) -> timedelta:
    """How long after its end a merge or a discard is tried again."""
    return timedelta(seconds=min(settings.retry_delay * 2.0 ** min(losses, 16), settings.retry_delay_max))
