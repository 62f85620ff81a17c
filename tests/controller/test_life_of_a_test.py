"""When a connection is tested, and what its status then says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.controller.values import NOW, SETTINGS, A, connection, connection_body, metadata, ready, stamp

from roster_operator.api.connection import TestCheck, find
from roster_operator.api.sync import Failure, Phase
from roster_operator.api.task import Outcome, TestReport, WorkerSummary
from roster_operator.api.task import Step as JobStep
from roster_operator.controller.connection_life import (
    TABLE,
    Step,
    TestSnapshot,
    decide,
    next_test,
    trigger,
)
from roster_operator.controller.connection_reconciler import happenings
from roster_operator.controller.connection_status import Observed, next_status
from roster_operator.controller.objects import Connection, parse_duration
from roster_operator.controller.results import JobKind, JobState
from roster_operator.controller.view import SyncRecord

RUNNING = JobState(JobKind.RUNNING)
GOOD = TestReport(
    ready=True, reachable=True, authenticated=True, tenant_claimed=True, version="1.1", counts={"users": 3}
)
BAD = TestReport(
    ready=False,
    reachable=True,
    authenticated=False,
    failure=Failure(reason="TokenRejected", message="Check the Secret."),
)


def done(report: TestReport) -> JobState:
    return JobState(JobKind.DONE, WorkerSummary(step=JobStep.TEST, outcome=Outcome.TESTED, test=report))


def given(status: dict[str, Any] | None = None, **meta: Any) -> Connection:
    return Connection.of(
        connection_body(status=ready() if status is None else status) | {"metadata": metadata("springfield", **meta)}
    )


def snapshot(
    connection: Connection, job: JobState | None = None, generation: int | None = 1, *, slot: bool = True
) -> TestSnapshot:
    return TestSnapshot(NOW, connection, job, generation, slot)


TESTING = ready() | {"testJob": "j"}
ASKED = {"annotations": {"roster-operator.io/test-requested-at": "now"}}

SITUATIONS = [
    ("new", snapshot(given({})), Step.START),
    ("tested, and not due", snapshot(given()), Step.NOTHING),
    ("the interval is over", snapshot(given(ready() | {"nextTestTime": stamp(seconds=1)})), Step.START),
    ("the spec changed", snapshot(given(generation=2)), Step.START),
    ("somebody asks", snapshot(given(**ASKED)), Step.START),
    ("somebody was answered", snapshot(given(ready() | {"lastHandledTestRequest": "now"}, **ASKED)), Step.NOTHING),
    ("no place is free", snapshot(given({}), slot=False), Step.WAIT),
    ("it is suspended", snapshot(connection(status={}, suspend=True)), Step.NOTHING),
    ("it was suspended in mid-test", snapshot(connection(status=TESTING, suspend=True), done(GOOD)), Step.CONCLUDE),
    ("it runs", snapshot(given(TESTING), RUNNING), Step.WAIT),
    ("it cannot start", snapshot(given(TESTING), JobState(JobKind.STUCK)), Step.WAIT),
    ("it did not start in time", snapshot(given(TESTING), JobState(JobKind.NEVER_STARTED)), Step.CONCLUDE),
    ("it ended", snapshot(given(TESTING), done(GOOD)), Step.CONCLUDE),
    ("it left no answer", snapshot(given(TESTING), JobState(JobKind.LOST)), Step.CONCLUDE),
    ("its Job is gone", snapshot(given(TESTING), None, None), Step.CALL_OFF),
    ("it runs for an older spec", snapshot(given(TESTING, generation=2), RUNNING), Step.CALL_OFF),
    ("it ended for an older spec", snapshot(given(TESTING, generation=2), done(GOOD)), Step.CALL_OFF),
    ("it is deleted", snapshot(given({}, deletionTimestamp=stamp())), Step.NOTHING),
]


@pytest.mark.parametrize(("now", "step"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS])
def test_situation(now: TestSnapshot, step: Step) -> None:
    assert decide(now) is step


def test_no_row_is_hidden_and_the_last_always_holds() -> None:
    for number, row in enumerate(TABLE):
        assert not [other for other in TABLE[:number] if other.when <= row.when]
    assert TABLE[-1].when == frozenset()


def test_a_trigger_is_the_same_until_its_test_has_ended() -> None:
    due = ready() | {"nextTestTime": stamp(seconds=1)}
    assert trigger(given(due), NOW) == trigger(given(due), NOW + timedelta(minutes=3))
    assert trigger(given(due), NOW) != trigger(given(due, **ASKED), NOW)
    assert trigger(given(due), NOW) != trigger(given(due, generation=2), NOW)


def test_after_a_failure_the_pauses_grow_and_stay_below_five_minutes() -> None:
    pauses: list[float] = []
    now = NOW
    for _ in range(12):
        condition = ready(status="False")["conditions"][0] | {"lastTransitionTime": stamp()}
        failing = given({"conditions": [condition]})
        due = next_test(failing, passed=False, now=now, settings=SETTINGS)
        pauses.append((due - now).total_seconds())
        now = due
    assert pauses == sorted(pauses)
    assert 10 < pauses[0] < 16
    assert 200 < pauses[-1] <= 300
    assert (now - NOW) < timedelta(minutes=45)


def test_the_interval_is_kept_with_jitter_and_never_exceeded() -> None:
    dues = [next_test(given(uid=f"u{number}"), passed=True, now=NOW, settings=SETTINGS) for number in range(200)]
    assert max(dues) <= NOW + timedelta(hours=24)
    assert min(dues) >= NOW + timedelta(hours=21)
    assert len(set(dues)) > 150


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86400), ("1h30m", 5400), ("90s", 90), ("1h1m1s", 3661)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


def after(report: TestReport, before: dict[str, Any] = TESTING) -> Any:
    return next_status(
        snapshot(given(before), done(report)), Step.CONCLUDE, Observed(handled_request="now"), [], SETTINGS
    )


def test_a_good_test_makes_it_ready() -> None:
    status = after(GOOD)
    found = {item.type: (item.status, item.reason) for item in status.conditions}
    assert found == {
        "Ready": ("True", "Tested"),
        "Reachable": ("True", "Reached"),
        "Authenticated": ("True", "TokenIssued"),
        "TenantClaimed": ("True", "Claimed"),
    }
    assert (status.version, status.counts, status.test_job) == ("1.1", {"users": 3}, None)
    assert (status.last_test_time, status.last_handled_test_request) == (NOW, "now")


@pytest.mark.parametrize("reason", ["TokenIssued", "RequestAccepted", "LoggedIn", "NotNeeded"])
def test_what_let_us_in_is_told(reason: str) -> None:
    found = find(after(GOOD.model_copy(update={"let_in_by": reason})).conditions, "Authenticated")
    assert found is not None
    assert (found.status, found.reason) == ("True", reason)


NOTED = GOOD.model_copy(
    update={
        "certificate_expires": NOW + timedelta(days=9),
        "clock_skew_seconds": -900,
        "checks": [
            TestCheck(name="Connect", ok=True, reason="CertificateExpiresSoon"),
            TestCheck(name="Clock", ok=True, reason="ClockSkewed"),
            TestCheck(name="Read", ok=True, entity="users", count=3),
            TestCheck(name="Read", ok=True, reason="ScopeMissing", entity="demographics"),
        ],
    }
)


def test_what_a_good_test_noted_stands_in_status_and_in_one_event_until_it_is_another() -> None:
    status = after(NOTED)
    found = find(status.conditions, "Ready")
    assert found is not None
    assert found.status == "True"
    assert f"valid until {NOW + timedelta(days=9):%Y-%m-%d} (CertificateExpiresSoon)" in found.message
    assert "15 minutes behind (ClockSkewed)" in found.message
    assert "demographics are not offered to this client (ScopeMissing)" in found.message
    assert (status.checks, status.clock_skew_seconds) == (NOTED.checks, -900)

    told = list(happenings(given(TESTING).status, status, Step.CONCLUDE))
    assert [(each.reason, each.warning) for each in told] == [("TestNoted", True)]
    again = after(NOTED, status.to_dict() | {"testJob": "j"})
    assert list(happenings(status, again, Step.CONCLUDE)) == []


def test_a_failed_test_says_which_check_and_what_to_do() -> None:
    status = after(BAD)
    found = {item.type: (item.status, item.reason) for item in status.conditions}
    assert found["Ready"] == ("False", "TokenRejected")
    assert found["Reachable"] == ("True", "Reached")
    assert found["Authenticated"] == ("False", "TokenRejected")
    assert found["TenantClaimed"] == ("Unknown", "NotReached")
    ready_now = find(status.conditions, "Ready")
    assert ready_now
    assert ready_now.message == "Check the Secret."


def test_a_new_spec_is_unknown_until_it_was_tested_and_the_old_generation_stays_on_record() -> None:
    status = next_status(snapshot(given(generation=2)), Step.START, Observed(job="j"), [], SETTINGS)
    (condition,) = status.conditions
    assert (condition.type, condition.status, condition.reason, condition.observed_generation) == (
        "Ready",
        "Unknown",
        "Testing",
        1,
    )
    assert status.observed_generation == 2


def test_a_test_on_its_interval_changes_nothing_until_it_ends() -> None:
    before = given(ready() | {"nextTestTime": stamp(seconds=1)})
    status = next_status(snapshot(before), Step.START, Observed(job="j"), [], SETTINGS)
    assert status.conditions == before.status.conditions


def record(phase: Phase, created: datetime = NOW, **fields: Any) -> SyncRecord:
    values: dict[str, Any] = {
        "waiting_since": None,
        "staged": None,
        "finished": None,
        "digest": None,
        "summary": "",
        "outlives": None,
    }
    return SyncRecord("uid", "springfield", phase, "", created, settled=False, **(values | fields))


def test_the_oldest_waiting_plan_is_the_pending_one() -> None:
    syncs = [
        ("new", record(Phase.AWAITING_APPROVAL, NOW, waiting_since=NOW, digest="sha256:" + "b" * 64)),
        ("old", record(Phase.BLOCKED, NOW - timedelta(days=1), waiting_since=NOW, digest=A, summary="create 3")),
        ("done", record(Phase.MERGED, NOW - timedelta(days=2), finished=NOW - timedelta(days=2), digest=A)),
    ]
    status = next_status(snapshot(given()), Step.NOTHING, Observed(), syncs, SETTINGS)
    assert status.pending_plan
    assert (status.pending_plan.sync, status.pending_plan.digest, status.pending_plan.summary) == ("old", A, "create 3")
    assert status.last_sync == "new"
    assert status.last_merged_time == NOW - timedelta(days=2)


def test_what_was_merged_is_remembered_when_the_sync_is_gone() -> None:
    before = given(ready() | {"lastMergedTime": stamp(days=3), "lastSync": "gone"})
    status = next_status(snapshot(before), Step.NOTHING, Observed(), [], SETTINGS)
    assert (status.last_merged_time, status.last_sync) == (NOW - timedelta(days=3), "gone")


def test_a_good_stage_counts_as_a_test() -> None:
    before = given(ready() | {"lastTestTime": stamp(hours=20), "nextTestTime": stamp(hours=-1)})
    staged = [("s", record(Phase.AWAITING_APPROVAL, staged=NOW - timedelta(minutes=1)))]
    status = next_status(snapshot(before), Step.NOTHING, Observed(), staged, SETTINGS)
    assert status.last_test_time == NOW - timedelta(minutes=1)
    assert status.next_test_time
    assert status.next_test_time > NOW + timedelta(hours=20)
