"""What a connection's schedule says at a moment: due or not, full or delta, paused or not, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.values import NOW, SETTINGS, A, connection_body, hit, metadata, published, ready, stamp

from roster_operator.api.kinds import SCHEDULED_AT
from roster_operator.api.sync import Mode, RosterSyncSpec
from roster_operator.controller.approval import Verdict, judge
from roster_operator.controller.automation import Automation, automation_of, hold_of, jitter
from roster_operator.controller.connection_life import Step, TestSnapshot
from roster_operator.controller.connection_status import Observed, next_status
from roster_operator.controller.lifecycle import Fact, State
from roster_operator.controller.objects import Connection, Sync
from roster_operator.controller.observe import Snapshot, facts_of
from roster_operator.controller.schedule import zone_of
from roster_operator.controller.scheduled import HISTORY, beyond_history, manifest, sync_name
from roster_operator.controller.view import View

Body = dict[str, Any]
AUTO: Body = {"schedule": "0 3 * * *", "timeZone": "America/Chicago"}
MERGED = {"lastMergedTime": stamp(days=3), "lastFullMergedTime": stamp(days=3)}
LAST_WEEK = {"from": "2026-11-20", "to": "2026-11-21", "reason": "x"}
LATE = jitter("uid-springfield", SETTINGS)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def connection(status: Body | None = None, *, suspend: bool = False, **auto: Any) -> Connection:
    known = ready() | MERGED if status is None else status
    return Connection.of(connection_body(status=known, suspend=suspend, automaticSync=AUTO | auto))


def looked(one: Connection, now: datetime, *, makes: bool = True) -> tuple[Automation, Connection]:
    """What the schedule says, and the connection with the status written after it."""
    found = automation_of(one, now, SETTINGS)
    assert found is not None
    effects = Observed(made=found.due) if makes else Observed()
    status = next_status(TestSnapshot(now, one, None, None), Step.NOTHING, effects, [], SETTINGS, found)
    return found, Connection.of(one.body | {"status": status.to_dict()})


def runs(one: Connection, looks: list[datetime]) -> list[datetime]:
    """The scheduled times for which a sync is made by these looks."""
    made: list[datetime] = []
    for now in looks:
        found, one = looked(one, now)
        if found.due:
            made.append(found.due)
    return made


def every(hours: float, begin: str, days: float) -> list[datetime]:
    return [at(begin) + timedelta(hours=hours * number) for number in range(int(days * 24 / hours))]


def test_each_night_once() -> None:
    made = runs(connection(), every(1, "2026-11-24T12:00", 3))
    assert made == [at("2026-11-25T09:00"), at("2026-11-26T09:00"), at("2026-11-27T09:00")]


def test_what_was_scheduled_before_the_schedule_was_there_was_not_missed() -> None:
    found, _ = looked(connection(), at("2026-11-24T12:00"))
    assert found.due is None
    assert found.next == at("2026-11-25T09:00") + LATE
    assert timedelta() <= LATE < timedelta(seconds=300)


def test_three_days_down_catch_up_once() -> None:
    _, one = looked(connection(), at("2026-11-24T12:00"))
    assert runs(one, every(1, "2026-11-27T12:00", 0.5)) == [at("2026-11-27T09:00")]


def test_one_that_could_not_be_made_is_made_later_and_once() -> None:
    _, one = looked(connection(), at("2026-11-24T12:00"))
    for hour in (10, 11, 12):
        found, one = looked(one, at(f"2026-11-25T{hour}:00"), makes=False)
        assert found.due == at("2026-11-25T09:00")
        # While it is not made it is the next one, and late: an alert fires by that.
        assert one.status.next_sync == at("2026-11-25T09:00") + LATE
    found, made = looked(one, at("2026-11-25T13:00"))
    assert made.status.next_sync == at("2026-11-26T09:00") + LATE
    found, later = looked(one, at("2026-11-26T13:00"), makes=False)
    assert (found.due, later.status.next_sync) == (at("2026-11-26T09:00"), at("2026-11-25T09:00") + LATE)
    assert runs(one, every(1, "2026-11-25T13:00", 0.5)) == [at("2026-11-25T09:00")]


def test_another_schedule_begins_anew() -> None:
    _, one = looked(connection(), at("2026-11-24T12:00"))
    body = one.body | {"spec": one.body["spec"] | {"automaticSync": AUTO | {"schedule": "0 1 * * *"}}}
    assert runs(Connection.of(body), [at("2026-11-25T08:00")]) == []


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (connection(ready()), "FirstMergeNeeded"),
        (connection(suspend=True), "Suspended"),
        (connection(until="2026-11-23"), "UntilPassed"),
        (connection(schedule="0 3 31 2 *"), "ScheduleInvalid"),
        (connection(timeZone="Mars/Olympus"), "TimeZoneUnknown"),
        (connection(pause=[{"from": "2026-11-20", "to": "2026-11-30", "reason": "break"}]), "Paused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_schedule_that_is_not_in_force_says_why_and_rests(one: Connection, reason: str) -> None:
    found, after = looked(one, NOW)
    assert (found.condition.status, found.condition.reason) == (False, reason)
    assert found.due is None
    assert after.status.next_sync is None
    _, again = looked(after, NOW + timedelta(hours=1))
    assert again.body["status"] == after.body["status"], "nothing is written while nothing changes"


def test_until_is_the_last_day_by_the_schedules_own_clock() -> None:
    one = connection(until="2026-11-25", schedule="0 20 * * *")  # 20:00 in Chicago is the next day in UTC
    assert runs(one, every(1, "2026-11-24T12:00", 5)) == [at("2026-11-25T02:00"), at("2026-11-26T02:00")]


def test_a_pause_leaves_nights_out_and_nothing_of_it_is_caught_up() -> None:
    one = connection(pause=[{"from": "2026-11-25", "to": "2026-11-26", "reason": "break"}])
    found, _ = looked(one, at("2026-11-24T12:00"))
    assert found.next == at("2026-11-27T09:00") + LATE
    assert runs(one, every(1, "2026-11-24T12:00", 4)) == [at("2026-11-27T09:00"), at("2026-11-28T09:00")]


def test_also_where_the_operator_was_down_all_the_pause() -> None:
    _, one = looked(connection(pause=[{"from": "2026-11-25", "to": "2026-11-26", "reason": "x"}]), NOW)
    assert runs(one, [at("2026-11-27T06:00")]) == []


def test_a_rehearsal_goes_on_staging() -> None:
    one = connection(pause=[{"from": "2026-11-25", "to": "2026-11-26", "mode": "Rehearse", "reason": "x"}])
    assert len(runs(one, every(1, "2026-11-24T12:00", 4))) == 4
    found, _ = looked(one, at("2026-11-25T12:00"))
    assert found.condition.reason == "Rehearsing"
    assert found.wake == at("2026-11-26T09:00") + LATE


def test_what_was_suspended_is_not_caught_up() -> None:
    _, one = looked(connection(), at("2026-11-24T12:00"))
    off = Connection.of(one.body | {"spec": one.body["spec"] | {"suspend": True}})
    _, off = looked(off, at("2026-11-24T18:00"))
    on = Connection.of(off.body | {"spec": one.body["spec"]})
    assert runs(on, every(1, "2026-11-25T12:00", 1)) == [at("2026-11-26T09:00")]


@pytest.mark.parametrize(
    ("auto", "full", "mode"),
    [
        ({}, {"days": 1}, Mode.FULL),
        ({"fullEvery": "168h"}, {"days": 1}, Mode.DELTA),
        ({"fullEvery": "168h"}, {"days": 8}, Mode.FULL),
        ({"fullEvery": "168h"}, None, Mode.FULL),
        ({"fullEvery": "168h", "pause": [LAST_WEEK]}, {"days": 5}, Mode.FULL),
        ({"fullEvery": "168h", "pause": [LAST_WEEK]}, {"days": 1}, Mode.DELTA),
    ],
)  # fmt: skip
def test_full_or_delta(auto: Body, full: dict[str, float] | None, mode: Mode) -> None:
    status = ready() | {"lastMergedTime": stamp(hours=1)} | ({"lastFullMergedTime": stamp(**full)} if full else {})
    _, one = looked(connection(status, **auto), at("2026-11-24T06:00"))
    found, _ = looked(one, at("2026-11-24T12:00"))
    assert (found.due, found.mode) == (at("2026-11-24T09:00"), mode)


def test_ten_thousand_spread() -> None:
    late = sorted(jitter(f"uid-{number}", SETTINGS).total_seconds() for number in range(10_000))
    assert late[0] >= 0
    assert late[-1] < SETTINGS.schedule_jitter
    assert max(sum(1 for one in late if second <= one < second + 10) for second in range(0, 300, 10)) < 450


@given(
    st.lists(st.integers(1, 2000), min_size=1, max_size=60), st.sampled_from(["0 3 * * *", "*/30 * * * *", "@weekly"])
)
@settings(deadline=None)
def test_however_the_looks_fall_no_moment_comes_twice_and_the_last_is_never_lost(
    gaps: list[int], schedule: str
) -> None:
    one = connection(schedule=schedule)
    now = at("2026-10-30T12:00")
    _, one = looked(one, now)
    made: list[datetime] = []
    for gap in gaps:
        now += timedelta(minutes=gap)
        found, one = looked(one, now)
        if found.due:
            made.append(found.due)
        assert looked(one, now)[0].due is None
        assert found.next is None or found.next > now
    assert made == sorted(set(made))
    again, _ = looked(one, now + timedelta(days=8))
    assert again.due is not None


# What it makes, and how many stay


def test_the_manifest_is_the_connections_own() -> None:
    body = manifest(connection(), at("2026-11-25T09:00"), zone_of("America/Chicago"), Mode.DELTA)
    assert body["metadata"]["name"] == "springfield-20261125-0300"
    assert body["spec"] == {"connectionRef": {"name": "springfield"}, "mode": "Delta"}
    meta = metadata("x") | body["metadata"]
    assert Sync.of({"metadata": meta, "spec": body["spec"]}).scheduled_by == "uid-springfield"


def test_names_fit_and_tell_an_hour_that_comes_twice_apart() -> None:
    zone = zone_of("America/Chicago")
    once, twice = (sync_name("a", at(f"2026-11-01T0{hour}:30"), zone) for hour in (6, 7))
    assert (once, twice) == ("a-20261101-0130", "a-20261101-0130-2")
    long = [sync_name("x" * 252 + end, at("2026-11-01T06:30"), zone) for end in "ab"]
    assert all(len(name) <= 253 for name in long)
    assert long[0] != long[1]


def scheduled(
    name: str, *, phase: str = "Merged", ago: float = 1, meta: Body | None = None, owner: str = "uid-springfield"
) -> Body:
    owners = [{"kind": "RosterConnection", "controller": True, "uid": owner, "name": "springfield"}]
    notes = {"annotations": {SCHEDULED_AT: stamp()}, "ownerReferences": owners}
    plan = {"digest": A}
    status = {
        "phase": phase,
        "plan": plan,
        "tenant": "t",
        "times": {"finished": stamp(hours=ago), "pulled": stamp(hours=ago)},
    }
    return {
        "metadata": metadata(name, **(notes | (meta or {}))),
        "spec": {"connectionRef": {"name": "springfield"}},
        "status": status,
    }


def test_of_the_ended_ones_of_the_schedule_the_latest_stay() -> None:
    view = View()
    for number in range(6):
        view.sync_seen(scheduled(f"s{number}", ago=number, phase="Failed" if number == 1 else "Merged"))
    view.sync_seen(scheduled("held", ago=50, meta={"finalizers": ["roster-operator.io/staged"]}))
    view.sync_seen(scheduled("tracked", ago=50, meta={"labels": {"app.kubernetes.io/instance": "x"}}))
    view.sync_seen(scheduled("waits", ago=50, phase="AwaitingApproval"))
    view.sync_seen(scheduled("others", ago=50, owner="uid-other"))
    view.sync_seen(scheduled("by-hand", ago=50, meta={"annotations": {}}))
    syncs = [(name[1], view.syncs[name]) for name in view.syncs_of(("k12", "springfield"))]
    assert HISTORY == 3
    assert [name for name, _ in beyond_history("uid-springfield", syncs)] == ["s3", "s4", "s5"]


# Approval by policy, and pauses, as a sync meets them


def facts(sync: Body, now: datetime = NOW, **auto: Any) -> frozenset[Fact]:
    given = connection(**({"approval": "WithinLimits"} | auto))
    return facts_of(Snapshot(now, Sync.of(sync), given, State.AWAITING_APPROVAL, None, None), SETTINGS)


def waiting(**changes: Any) -> Body:
    body = scheduled("s", phase="AwaitingApproval")
    body["status"]["plan"] = published().to_dict() | changes
    return body


BREAK = {"from": "2026-11-24", "to": "2026-11-25", "reason": "break"}


def test_a_plan_of_the_schedule_within_limits_is_approved_by_policy() -> None:
    assert Fact.APPROVED in facts(waiting())
    assert Fact.APPROVED not in facts(waiting(), approval="Manual")
    assert Fact.APPROVED not in facts(scheduled("s", phase="AwaitingApproval", owner="uid-other"))
    assert Fact.APPROVED not in facts(waiting() | {"metadata": metadata("s")}), (
        "a person's sync is a person's to approve"
    )


@pytest.mark.parametrize(
    ("plan", "verdict"),
    [
        ({}, Verdict.APPROVED),
        ({"limits": [hit()]}, Verdict.BEYOND_LIMITS),
        ({"complete": False}, Verdict.NOT_COMPLETE),
        ({"first": True}, Verdict.FIRST_NEEDS_REVIEW),
        ({"recomputed": True}, Verdict.PLAN_CHANGED),
    ],
)  # fmt: skip
def test_what_the_policy_approves(plan: Body, verdict: Verdict) -> None:
    spec = RosterSyncSpec.from_dict({"connectionRef": {"name": "springfield"}})
    found = judge(spec, 1, published(**plan), policy=True)
    assert found.verdict is verdict
    assert found.via == ("policy" if verdict is Verdict.APPROVED else "")


def test_a_rehearsal_is_never_approved_by_policy_also_after_the_pause() -> None:
    pause = [BREAK | {"mode": "Rehearse"}]
    assert Fact.APPROVED not in facts(waiting(), pause=pause)
    assert Fact.APPROVED not in facts(waiting(), NOW + timedelta(days=5), pause=pause)


@pytest.mark.parametrize(("mode", "skipped"), [("Skip", True), ("Rehearse", False)])
def test_a_pause_binds_every_sync_unless_it_says_why_not(mode: str, skipped: bool) -> None:
    body = waiting()
    body["spec"]["approvedPlan"] = A
    found = facts(body, pause=[BREAK | {"mode": mode}])
    assert {Fact.APPROVED, Fact.PAUSED} <= found
    assert (Fact.SKIPPED in found) is skipped
    body["spec"]["ignorePause"] = {"reason": "the district asked"}
    assert not {Fact.PAUSED, Fact.SKIPPED} & facts(body, pause=[BREAK | {"mode": mode}])


def test_a_pause_ends_with_its_last_day_by_the_schedules_clock_and_skip_is_the_stronger() -> None:
    pauses = [BREAK | {"mode": "Rehearse", "to": "2026-12-24"}, BREAK]
    hold = hold_of(connection(pause=pauses).spec, NOW)
    assert hold is not None
    assert (hold.staging, hold.until) == (True, at("2026-11-26T06:00"))
    after = hold_of(connection(pause=pauses).spec, at("2026-11-26T06:00"))
    assert after is not None
    assert not after.staging
    assert hold_of(connection(pause=[BREAK]).spec, at("2026-11-26T06:00")) is None
    assert hold_of(connection(pause=[BREAK], timeZone="Mars/Olympus").spec, NOW) is not None, "it holds all the same"


def test_no_reason_lifts_a_suspension() -> None:
    body = waiting()
    body["spec"]["ignorePause"] = {"reason": "the district asked"}
    found = facts_of(
        Snapshot(NOW, Sync.of(body), connection(suspend=True), State.AWAITING_APPROVAL, None, None), SETTINGS
    )
    assert {Fact.SUSPENDED, Fact.SKIPPED} <= found
