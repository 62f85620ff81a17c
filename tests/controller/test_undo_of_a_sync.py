"""An undo, to the operator: what holds it, what its Job gets, what is said of it, and what it means for others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.controller.values import NOW, SETTINGS, A, B, connection, connection_body, metadata, published, ready, stamp
from tests.controller.values import sync as made

from roster_operator.api.connection import RosterConnectionStatus, find
from roster_operator.api.kinds import SCHEDULED_AT, SYNC
from roster_operator.api.sync import IssueCount, Mode, Phase
from roster_operator.api.task import Outcome, Step, WorkerSummary
from roster_operator.controller.approval import Verdict, judge
from roster_operator.controller.automation import automation_of
from roster_operator.controller.connection_life import Step as ConnectionStep
from roster_operator.controller.connection_life import TestSnapshot as Looked
from roster_operator.controller.connection_status import Observed
from roster_operator.controller.connection_status import next_status as connection_status
from roster_operator.controller.jobs import Owner, build
from roster_operator.controller.lifecycle import Fact, State, decide
from roster_operator.controller.lifecycle import Step as LifeStep
from roster_operator.controller.objects import Connection, Sync
from roster_operator.controller.observe import Snapshot, facts_of
from roster_operator.controller.results import JobKind, JobState
from roster_operator.controller.siblings import Rival, undo_stands
from roster_operator.controller.sync_events import happenings
from roster_operator.controller.sync_status import Effects, next_status
from roster_operator.controller.tasks import sync_task
from roster_operator.controller.view import View

Body = dict[str, Any]
UNDO: Body = {"mode": "Undo", "undoes": "springfield-20261124-0300"}
PINNED: Body = {"tenant": "t", "database": {"name": "d"}}
WAITS: Body = PINNED | {"phase": "AwaitingApproval", "plan": published().to_dict(), "times": {"pulled": stamp()}}


def other(phase: Phase, *, pulled: float = 0, finished: float | None = None, name: str = "other", **spec: Any) -> Sync:
    """A sync of the same connection, with times in hours before now."""
    times = {"pulled": stamp(hours=pulled)} | ({"finished": stamp(hours=finished)} if finished is not None else {})
    plan = {"digest": B} if phase in {Phase.MERGED, Phase.AWAITING_APPROVAL} else None
    status = {"phase": phase.value, "times": times, "tenant": "t"} | ({"plan": plan} if plan else {})
    spec = {"connectionRef": {"name": "springfield"}} | spec
    return Sync.of({"metadata": metadata(name), "spec": spec, "status": status})


def facts(one: Sync, conn: Connection | None, state: State) -> frozenset[Fact]:
    return facts_of(Snapshot(NOW, one, conn, state, None, None), SETTINGS)


# What holds it.


def test_it_needs_no_connection_that_answers_and_no_end_of_a_suspension() -> None:
    broken = connection(status=ready(status="False"), suspend=True)
    one = made(held=True, status=PINNED, **UNDO)
    assert decide(State.PENDING, Phase.PENDING, facts(one, broken, State.PENDING)).step is LifeStep.START
    pull = made(held=True, status=PINNED)
    assert decide(State.PENDING, Phase.PENDING, facts(pull, broken, State.PENDING)).step is LifeStep.WAIT
    approved = made(held=True, status=WAITS, approvedPlan=A, **UNDO)
    found = decide(State.AWAITING_APPROVAL, approved.status.phase, facts(approved, broken, State.AWAITING_APPROVAL))
    assert found.step is LifeStep.APPROVE


def test_a_pause_holds_it_unless_somebody_says_why_not() -> None:
    window = {"from": "2026-11-20", "to": "2026-11-30", "reason": "Tests"}
    conn = connection(automaticSync={"schedule": "0 3 * * *", "pause": [window]}, suspend=True)
    one, ignoring = made(**UNDO), made(ignorePause={"reason": "nobody can log in"}, **UNDO)
    assert Fact.SKIPPED in facts(one, conn, State.PENDING)
    assert not {Fact.SKIPPED, Fact.PAUSED, Fact.SUSPENDED} & facts(ignoring, conn, State.PENDING)


# What its Job gets.


@pytest.mark.parametrize(("conflicts", "overwrite"), [(None, False), ("Leave", False), ("Overwrite", True)])
def test_its_job_mounts_the_database_and_nothing_of_the_source(conflicts: str | None, overwrite: bool) -> None:
    one = made(status=PINNED, **UNDO, **({"undoConflicts": conflicts} if conflicts else {}))
    task = sync_task(one, connection(), Step.STAGE, 1, "cluster", SETTINGS)
    assert task.spec is None
    assert task.sync is not None
    assert (task.sync.mode, task.sync.undoes, task.sync.overwrite) == (Mode.UNDO, UNDO["undoes"], overwrite)
    volumes = build(task, "n", owner_of(one), "db", SETTINGS)["spec"]["template"]["spec"]["volumes"]
    secrets = [(v["name"], [item["path"] for item in v["secret"]["items"]]) for v in volumes if "secret" in v]
    assert secrets == [("database", ["stage-url"])]


def owner_of(one: Sync) -> Owner:
    return Owner(SYNC, one.meta)


# What is said of it.


def published_by(issues: list[Body], **spec: Any) -> tuple[str, str]:
    """The condition Valid after the Job's answer."""
    summary = WorkerSummary.from_dict(
        {
            "step": "stage",
            "outcome": "Staged",
            "plan": {"digest": A, "complete": True, "entities": {"users": {"received": 2000, "update": 12}}},
            "issues": issues,
        }
    )
    one = made(held=True, status=PINNED | {"phase": "Staging"}, **UNDO, **spec)
    job = JobState(JobKind.DONE, summary=summary)
    snapshot = Snapshot(NOW, one, connection(), State.STAGING, None, job)
    decision = decide(State.STAGING, Phase.STAGING, facts_of(snapshot, SETTINGS))
    assert (decision.step, summary.outcome) == (LifeStep.PUBLISH, Outcome.STAGED)
    status = next_status(snapshot, decision, Effects())
    valid, staged = find(status.conditions, "Valid"), find(status.conditions, "Staged")
    assert valid is not None
    assert staged is not None
    assert staged.message.startswith("The undo is staged")
    return valid.reason, valid.message


def issue(code: str, count: int, severity: str = "error") -> Body:
    return IssueCount(code=code, severity=severity, entity="users", count=count).to_dict()


def test_conflicts_and_what_is_gone_are_told_with_figures() -> None:
    reason, text = published_by([])
    assert (reason, "2,000 records were changed by springfield-20261124-0300" in text) == ("Valid", True)
    reason, text = published_by([issue("UndoConflict", 1200), issue("UndoRecordGone", 3)])
    assert reason == "WithConflicts"
    assert "1,200 were changed again since and stay as they are" in text
    assert "3 are gone" in text
    _, text = published_by([issue("UndoConflict", 7, "warning")], undoConflicts="Overwrite")
    assert "7 were changed again since and get the older values all the same" in text
    assert published_by([issue("UndoRecordGone", 3)])[0] == "WithIssues"


def test_a_merged_undo_says_what_the_next_pull_will_do() -> None:
    approval = {"digest": A, "at": stamp(), "via": "approvedPlan"}
    one = made(held=True, status=WAITS | {"phase": "Merging", "approval": approval}, approvedPlan=A, **UNDO)
    answer = WorkerSummary(step=Step.MERGE, outcome=Outcome.MERGED, data_version=7)
    snapshot = Snapshot(NOW, one, connection(), State.MERGING, None, JobState(JobKind.DONE, summary=answer))
    decision = decide(State.MERGING, Phase.MERGING, facts_of(snapshot, SETTINGS))
    after = next_status(snapshot, decision, Effects())
    complete = find(after.conditions, "Complete")
    assert complete is not None
    assert "springfield-20261124-0300 did is taken back" in complete.message
    assert "waits for a person" in complete.message
    (event,) = happenings(one.status, after, decision, undo=True)
    assert (event.reason, event.message) == ("Merged", complete.message)


def test_the_event_of_its_staging_speaks_of_no_source() -> None:
    before = made(status=PINNED, **UNDO).status
    decision = decide(State.PENDING, Phase.PENDING, frozenset({Fact.HELD, Fact.PINNED}))
    after = before.model_copy(update={"phase": Phase.STAGING})
    assert [each.message for each in happenings(before, after, decision, undo=True)] == [
        "The undo is staged from the history."
    ]


@pytest.mark.parametrize(
    ("spec", "said"), [({}, "has undone a merge since this was pulled"), (UNDO, "undoes the same sync")]
)
def test_who_was_overtaken_is_told_by_what(spec: Body, said: str) -> None:
    one = made(held=True, status=WAITS, **spec)
    rival = Rival("undo-7", equal=False, undo=True)
    snapshot = Snapshot(NOW, one, connection(), State.AWAITING_APPROVAL, None, None, rival=rival)
    decision = decide(snapshot.state, one.status.phase, facts_of(snapshot, SETTINGS))
    status = next_status(snapshot, decision, Effects())
    why = find(status.conditions, "Superseded")
    assert why is not None
    assert (status.phase, why.reason) == (Phase.SUPERSEDED, "NewerUndo")
    assert "undo-7" in why.message
    assert said in why.message


# What it means for others.

NONE = RosterConnectionStatus()
UNDONE = RosterConnectionStatus(last_undone_time=NOW - timedelta(hours=5))
STANDING: list[tuple[str, RosterConnectionStatus, list[Sync], bool]] = [
    ("no undo at all", NONE, [other(Phase.MERGED, pulled=9, finished=8)], False),
    ("one waits", NONE, [other(Phase.AWAITING_APPROVAL, **UNDO)], True),
    ("one is staged", NONE, [other(Phase.STAGING, **UNDO)], True),
    ("one was rejected", NONE, [other(Phase.REJECTED, finished=1, **UNDO)], False),
    ("one was merged", NONE, [other(Phase.MERGED, pulled=6, finished=5, **UNDO)], True),
    ("one was merged, and its object is gone", UNDONE, [], True),
    ("a pull from after it was merged", UNDONE, [other(Phase.MERGED, pulled=4, finished=3)], False),
    ("a pull from before it was merged after it", UNDONE, [other(Phase.MERGED, pulled=6, finished=3)], True),
    (
        "that pull's object is gone, too",
        UNDONE.model_copy(update={"last_pulled_time": NOW - timedelta(hours=4)}),
        [],
        False,
    ),
]


@pytest.mark.parametrize(
    ("status", "others", "stands"), [row[1:] for row in STANDING], ids=[row[0] for row in STANDING]
)
def test_an_undo_stands_until_a_pull_from_after_it_is_merged(
    status: RosterConnectionStatus, others: list[Sync], stands: bool
) -> None:
    assert undo_stands(status, others) is stands


def test_no_policy_approves_while_an_undo_stands_but_a_person_does() -> None:
    spec = made().spec
    assert judge(spec, 1, published(), policy=True).verdict is Verdict.APPROVED
    assert judge(spec, 1, published(), policy=True, undo_stands=True).verdict is Verdict.UNDO_STANDS
    assert judge(made(approvedPlan=A).spec, 1, published(), policy=True, undo_stands=True).via == "approvedPlan"
    assert judge(spec, 1, published(), standing=A, undo_stands=True).via == "connectionPlan"


def test_a_scheduled_sync_after_an_undo_waits_and_says_why() -> None:
    owner = [{"kind": "RosterConnection", "name": "springfield", "uid": "uid-springfield", "controller": True}]
    meta = {"annotations": {SCHEDULED_AT: stamp()}, "ownerReferences": owner}
    one = made(held=True, status=WAITS, meta=meta)
    conn = connection(automaticSync={"schedule": "0 3 * * *", "approval": "WithinLimits"})
    snapshot = Snapshot(NOW, one, conn, State.AWAITING_APPROVAL, None, None)
    assert Fact.APPROVED in facts_of(snapshot, SETTINGS)
    snapshot = Snapshot(NOW, one, conn, State.AWAITING_APPROVAL, None, None, undo_stands=True)
    decision = decide(snapshot.state, one.status.phase, facts_of(snapshot, SETTINGS))
    approved = find(next_status(snapshot, decision, Effects()).conditions, "Approved")
    assert approved is not None
    assert (decision.step, approved.status, approved.reason) == (LifeStep.WAIT, "False", "UndoStands")
    assert f"approvedPlan: {A}" in approved.message


def seen(*syncs: Sync) -> list[tuple[str, Any]]:
    view = View()
    for each in syncs:
        view.sync_seen(each.body)
    return [(name, record) for (_, name), record in view.syncs.items()]


def test_the_connection_remembers_undos_and_counts_them_as_no_pulls() -> None:
    before = Connection.of(connection_body(status=ready() | {"lastTestTime": stamp(hours=9)}))
    pull = other(Phase.MERGED, pulled=7, finished=6, name="pull")
    undo = other(Phase.MERGED, pulled=5, finished=4, name="undo", **UNDO)
    looked = Looked(NOW, before, None, None)
    status = connection_status(looked, ConnectionStep.NOTHING, Observed(), seen(pull, undo), SETTINGS)
    assert status.last_merged_time == status.last_full_merged_time == NOW - timedelta(hours=6)
    assert status.last_undone_time == NOW - timedelta(hours=4)
    assert status.last_pulled_time == NOW - timedelta(hours=7)
    assert status.undone
    kept = Looked(NOW, Connection.of(before.body | {"status": status.to_dict()}), None, None)
    later = other(Phase.MERGED, pulled=3, finished=2, name="later")
    assert connection_status(kept, ConnectionStep.NOTHING, Observed(), [], SETTINGS).undone
    assert not connection_status(kept, ConnectionStep.NOTHING, Observed(), seen(later), SETTINGS).undone


def test_the_schedule_pulls_in_full_after_an_undo_and_says_that_a_person_decides() -> None:
    auto = {"schedule": "0 3 * * *", "timeZone": "America/Chicago", "fullEvery": "168h"}
    times = {
        "lastMergedTime": stamp(hours=30),
        "lastFullMergedTime": stamp(hours=30),
        "lastPulledTime": stamp(hours=31),
    }
    scheduled = {"type": "Scheduled", "status": "True", "reason": "Scheduled", "lastTransitionTime": stamp(hours=40)}
    status = ready() | times | {"automatic": {"schedule": "0 3 * * * America/Chicago", "since": stamp(hours=20)}}
    status["conditions"] = [*status["conditions"], scheduled]

    def due(**more: str) -> tuple[datetime | None, Mode, str]:
        found = automation_of(Connection.of(connection_body(status=status | more, automaticSync=auto)), NOW, SETTINGS)
        assert found is not None
        return found.due, found.mode, found.condition.message

    moment, mode, text = due()
    assert (moment is not None, mode, "undo" in text) == (True, Mode.DELTA, False)
    moment, mode, text = due(lastUndoneTime=stamp(hours=10))
    assert (moment is not None, mode, "waits for a person" in text) == (True, Mode.FULL, True)
