"""The status of a RosterConnection: what its last test found, and what its syncs have come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from roster_operator.api.connection import Condition, PendingPlan, RosterConnectionStatus, find
from roster_operator.api.sync import Failure, Mode, Phase
from roster_operator.api.task import TestReport

from . import known
from .automation import SCHEDULED, Automation
from .conditions import Wanted, plain, settle
from .connection_life import Step, TestSnapshot, next_test
from .noted import sentences
from .objects import parse_duration
from .results import JobKind
from .settings import Settings
from .view import SyncRecord

SPENT_KEPT = 16


@dataclass(frozen=True)
class Observed:
    """What acting on a step brought."""

    job: str | None = None  # the test Job that now exists
    handled_request: str | None = None  # the request that the concluded test answers
    refusal: str = ""  # why the API server would not create the Job
    made: datetime | None = None  # the scheduled time for which a RosterSync now exists
    sync_refusal: str = ""  # why the API server would not create that


def next_status(
    snapshot: TestSnapshot,
    step: Step,
    effects: Observed,
    syncs: Iterable[tuple[str, SyncRecord]],
    settings: Settings,
    automation: Automation | None = None,
) -> RosterConnectionStatus:
    """The whole status as it should be after `step`."""
    connection = snapshot.connection
    status = connection.status.model_copy(deep=True)
    meta = connection.meta
    status.observed_generation = meta.generation
    status.tenant = connection.spec.tenant_of(meta.namespace, meta.name)
    match step:
        case Step.START if effects.job:
            status.test_job = effects.job
        case Step.CALL_OFF:
            status.test_job = None
        case Step.CONCLUDE:
            _conclude(snapshot, effects, status, settings)
        case _:
            pass
    if step is not Step.CONCLUDE:
        status.conditions = _until_tested(snapshot, effects)
    _tell_of_syncs(snapshot, status, list(syncs))
    _tell_of_database(snapshot, status)
    _tell_of_schedule(snapshot, status, effects, automation)
    return status


def _tell_of_database(snapshot: TestSnapshot, status: RosterConnectionStatus) -> None:
    """A condition that stands for as long as the database is behind what was merged. The connection may be used."""
    status.conditions = [item for item in status.conditions if item.type != known.REWOUND]
    if status.database_rewound_time is None or status.ledger is None:
        return
    connection = snapshot.connection
    text = (
        f"The database held version {status.ledger.data_version} of this district's data, and holds less: a backup was "
        "restored, or a fail-over lost commits. The next sync reads everything and waits for approvedPlan. If this is "
        "the wrong database, restore the right one and test the connection. See the runbook RosterDatabaseRewound."
    )
    wanted = [Wanted(known.REWOUND, True, known.REWOUND, text)]
    status.conditions += settle(connection.status.conditions, wanted, snapshot.now, connection.meta.generation)


def _tell_of_schedule(
    snapshot: TestSnapshot, status: RosterConnectionStatus, effects: Observed, automation: Automation | None
) -> None:
    connection = snapshot.connection
    status.conditions = [item for item in status.conditions if item.type != SCHEDULED]
    status.next_sync = automation.next if automation else None
    if automation and automation.late_since and not effects.made:
        status.next_sync = automation.late_since  # still to be made: a time in the past tells that it is late
    status.automatic = automation.status if automation else None
    if automation is None:
        return
    if effects.made and status.automatic:
        status.automatic = status.automatic.model_copy(update={"last_scheduled": effects.made})
    wanted = automation.condition
    if effects.sync_refusal:
        text = f"The API server refused the RosterSync: {effects.sync_refusal}. It is tried again."
        wanted = Wanted(SCHEDULED, True, "SyncRefused", text)
    status.conditions += settle(connection.status.conditions, [wanted], snapshot.now, connection.meta.generation)


def _conclude(snapshot: TestSnapshot, effects: Observed, status: RosterConnectionStatus, settings: Settings) -> None:
    connection, now = snapshot.connection, snapshot.now
    report = _report(snapshot)
    status.test_job = None
    status.last_test_time = now
    status.last_handled_test_request = effects.handled_request or status.last_handled_test_request
    status.checks = report.checks
    status.credentials_expire = report.credentials_expire
    if report.reachable:
        status.version = report.version or status.version
        status.server_max_page_size = report.server_max_page_size
        status.certificate_expires = report.certificate_expires
        status.clock_skew_seconds = report.clock_skew_seconds
        if report.counts:
            status.counts = dict(list(report.counts.items())[:16])
    known.from_test(status, snapshot.job.summary if snapshot.job else None, now)
    wanted = _tested(report, sentences(status) if report.ready else [])
    status.conditions = settle(connection.status.conditions, wanted, now, connection.meta.generation)
    status.next_test_time = next_test(connection, passed=report.ready, now=now, settings=settings)


def _report(snapshot: TestSnapshot) -> TestReport:
    """What the test found; where it left no report, that."""
    job = snapshot.job
    summary = job.summary if job else None
    if summary and summary.test:
        return summary.test
    if summary and summary.failure:
        return TestReport(ready=False, reachable=False, failure=summary.failure)
    if job and job.kind is JobKind.NEVER_STARTED:
        text = f"The test's pod did not start: {job.message}"
    else:
        text = f"The test left no answer: {job.message if job else 'its Job is gone'}. It is tried again."
    reason = job.reason if job and job.reason else "WorkerLost"
    return TestReport(ready=False, reachable=False, failure=Failure(reason=reason, message=plain(text), retryable=True))


def _tested(report: TestReport, notes: list[str]) -> Iterable[Wanted]:
    reason = report.failure.reason if report.failure else "TestFailed"
    message = report.failure.message if report.failure else ""
    if report.ready:
        counts = ", ".join(f"{entity} {count:,}" for entity, count in list(report.counts.items())[:8])
        text = f"The source answers as it should{': ' + counts if counts else ''}."
        yield Wanted("Ready", True, "Tested", " ".join([text, *notes]))
    else:
        yield Wanted("Ready", False, reason, message)
        yield Wanted("Stalled", True, reason, message)  # kstatus then says Failed, as the health checks do
    known = (
        ("Reachable", report.reachable, "Reached"),
        ("Authenticated", report.authenticated, report.let_in_by),
        ("TenantClaimed", report.tenant_claimed, "Claimed"),
    )
    for kind, holds, good in known:
        if holds is None:
            yield Wanted(kind, None, "NotReached", "The test ended before this.")
        elif holds:
            yield Wanted(kind, True, good)
        else:
            yield Wanted(kind, False, reason, message)


def _until_tested(snapshot: TestSnapshot, effects: Observed) -> list[Condition]:
    """What the last test found stands while its spec does; a new spec is unknown until it was tested."""
    connection = snapshot.connection
    ready = connection.ready
    if ready and ready.observed_generation == connection.meta.generation:
        return connection.status.conditions
    job = snapshot.job
    reason, text = "Testing", "The connection is tested."
    if effects.refusal:
        reason, text = "JobRefused", f"The API server refused the test's Job: {effects.refusal}"
    elif job and job.kind is JobKind.STUCK:
        reason, text = job.reason, f"The test's pod does not start: {job.message}"
    elif connection.spec.suspend:
        reason, text = "Suspended", "The connection is suspended (spec.suspend). It is tested after that."
    elif not snapshot.slot:
        reason, text = (
            "JobsAtCapacity",
            "As many Jobs run as the operator's configuration permits. The test comes after.",
        )
    wanted = [Wanted("Ready", None, reason, text)]
    # The generation tested is not the one at hand, which is how the next look knows that a test is due.
    before = ready.observed_generation if ready else None
    return settle(connection.status.conditions, wanted, snapshot.now, before)


def _tell_of_syncs(snapshot: TestSnapshot, status: RosterConnectionStatus, syncs: list[tuple[str, SyncRecord]]) -> None:
    waiting = sorted(
        ((item.created, name, item) for name, item in syncs if item.waiting_since and item.digest),
        key=lambda one: one[:2],
    )
    status.pending_plan = None
    if waiting:
        _, name, item = waiting[0]
        digest = item.digest or ""
        status.pending_plan = PendingPlan(
            sync=name, digest=digest, short_digest=digest[:15], summary=plain(item.summary, 256)
        )
    known.from_syncs(status, (item for _, item in syncs))
    if syncs:
        status.last_sync = max(syncs, key=lambda one: (one[1].created, one[0]))[0]
    done = [item for _, item in syncs if item.phase is Phase.MERGED and item.digest and item.finished]
    undone = [item.finished for item in done if item.mode == Mode.UNDO.value]
    status.last_undone_time = _latest(status.last_undone_time, *undone)
    status.last_pulled_time = _latest(
        status.last_pulled_time, *(item.pulled for item in done if item.mode != Mode.UNDO.value)
    )
    status.last_merged_time = _latest(
        status.last_merged_time, *(item.finished for item in done if item.mode != Mode.UNDO.value)
    )
    status.last_full_merged_time = _latest(
        status.last_full_merged_time, *(item.finished for item in done if item.mode == Mode.FULL.value)
    )
    _spend(snapshot, status, syncs)
    staged = [item.staged for _, item in syncs if item.staged and item.mode != Mode.UNDO.value]
    ready = find(status.conditions, "Ready")
    if staged and ready and ready.status == "True" and status.last_test_time and max(staged) > status.last_test_time:
        # A good stage counts as a test.
        interval = parse_duration(snapshot.connection.spec.test_interval)
        status.last_test_time = max(staged)
        status.next_test_time = max(
            status.next_test_time or max(staged), (max(staged) + interval * 0.9).replace(microsecond=0)
        )


def _latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _spend(snapshot: TestSnapshot, status: RosterConnectionStatus, syncs: list[tuple[str, SyncRecord]]) -> None:
    """Remember what approvedPlan has merged: the syncs that tell it are deleted one day."""
    standing = snapshot.connection.spec.approved_plan
    merged = sorted(
        (item.finished or item.created, item.digest)
        for _, item in syncs
        if item.phase is Phase.MERGED and item.digest and (item.via == "connectionPlan" or item.digest == standing)
    )
    known = dict.fromkeys(digest for _, digest in merged)
    status.spent_plans = [*(digest for digest in status.spent_plans if digest not in known), *known][-SPENT_KEPT:]
