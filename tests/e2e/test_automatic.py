"""A district is synced by itself: approved by policy within limits, held beyond them, and never in a pause."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deploy.demo.shell import kubectl
from tests.e2e.districts import API, District, Sync
from tests.e2e.watching import Body, condition, until

pytestmark = pytest.mark.cluster

# A minute's schedule, the connection's own short delay, and a pull, on a machine that does much else.
A_NIGHT = 300


def set_connection(district: District, **spec: Any) -> None:
    given = json.dumps({"spec": spec})
    kubectl("-n", district.namespace, "patch", "rosterconnection", "district", "--type=merge", "-p", given)


def of_the_schedule(district: District) -> list[Body]:
    """The syncs that the schedule made, the newest last."""
    found = district.ground.api.items(f"/{API}/namespaces/{district.namespace}/rostersyncs")
    made = [body for body in found if body["metadata"].get("ownerReferences")]
    return sorted(made, key=lambda body: body["metadata"]["name"])


def a_new_one(district: District, known: set[str]) -> Sync:
    """The next sync that the schedule makes."""

    def look() -> str | None:
        names = (body["metadata"]["name"] for body in of_the_schedule(district))
        return next((name for name in names if name not in known), None)

    name = until("a sync of the schedule", look, lambda: district.tell(district.connection()), seconds=A_NIGHT)
    known.add(name)
    return Sync(district, name)


def test_nightly_syncs_are_approved_within_limits_and_held_beyond(district: District) -> None:
    district.open().connect(automaticSync={"schedule": "* * * * *", "approval": "WithinLimits"})
    district.until_connection(
        "waits for a first merge", lambda body: condition(body, "Scheduled")["reason"] == "FirstMergeNeeded"
    )
    assert of_the_schedule(district) == []
    district.merged()
    seen = district.until_connection("in force", lambda body: condition(body, "Scheduled")["status"] == "True")
    assert seen["status"]["nextSync"] > datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    district.becomes("one-percent")
    known: set[str] = set()
    merged = a_new_one(district, known).until("Merged")
    assert merged["status"]["approval"]["via"] == "policy"
    assert merged["status"]["approval"]["digest"] == merged["status"]["plan"]["digest"]
    assert merged["metadata"]["ownerReferences"][0]["uid"] == district.connection()["metadata"]["uid"]
    assert district.data_version() >= 2

    district.becomes("lost-a-fifth")
    users = district.count("users")
    held = until(
        "one is held",
        lambda: next(
            (one for one in of_the_schedule(district) if one.get("status", {}).get("phase") == "Blocked"), None
        ),
        lambda: district.tell(*of_the_schedule(district)),
        seconds=A_NIGHT,
    )
    set_connection(district, suspend=True)
    assert condition(held, "Stalled")["reason"] == "BeyondLimits"
    assert district.count("users") == users, "somebody was removed beyond the limits"

    pending = district.until_connection("a plan waits", lambda body: "pendingPlan" in body["status"])
    digest = pending["status"]["pendingPlan"]["digest"]
    sync = Sync(district, pending["status"]["pendingPlan"]["sync"])
    set_connection(district, suspend=False, automaticSync=None, approvedPlan=digest)
    approved = sync.until("Merged")
    assert approved["status"]["approval"]["via"] == "connectionPlan"
    assert approved["status"]["approval"]["digest"] == digest
    assert district.count("users") < users
    district.until_connection("the digest is spent", lambda body: body["status"].get("spentPlans") == [digest])
    ended = [one for one in of_the_schedule(district) if not one["metadata"].get("finalizers")]
    assert len(ended) <= 4, "three that have ended stay, and one may have ended just now"


def test_a_summer_pause_rehearses_and_merges_nothing(district: District) -> None:
    district.open()
    district.merged()
    today = datetime.now(UTC).date()
    pause = {
        "from": f"{today - timedelta(days=1)}",
        "to": f"{today + timedelta(days=1)}",
        "mode": "Rehearse",
        "reason": "Summer",
    }
    set_connection(district, automaticSync={"schedule": "* * * * *", "approval": "WithinLimits", "pause": [pause]})
    district.becomes("one-percent")
    rehearsal = a_new_one(district, set())
    rehearsal.until("AwaitingApproval")
    rehearsal.patch(approvedPlan=rehearsal.digest)
    waits = rehearsal.until_holds(
        "approved, and paused", lambda body: condition(body, "Approved")["reason"] == "Paused"
    )
    assert "Summer" in condition(waits, "Approved")["message"]
    assert not rehearsal.jobs("merge")
    assert district.data_version() == 1

    urgent = district.sync("urgent", ignorePause={"reason": "New teachers start on Monday"})
    urgent.until("AwaitingApproval", "Superseded")
    set_connection(district, automaticSync=None)
    rehearsal.until("Merged")
    assert district.data_version() == 2


def test_a_newer_pull_takes_the_place_of_one_that_waits(district: District) -> None:
    district.open()
    district.merged()
    district.becomes("one-percent")
    older = district.sync("older")
    older.until("AwaitingApproval")
    assert older.staged_tables() > 0
    district.becomes("lost-a-fifth")
    newer = district.sync("newer")
    newer.until("Blocked")
    ended = older.until("Superseded")
    assert condition(ended, "Superseded")["reason"] == "NewerPull"
    until("staged tables gone", lambda: older.staged_tables() == 0, lambda: district.tell(older.body))
    assert older.run()["state"] == "Discarded"
    assert newer.body["status"]["phase"] == "Blocked"
    assert district.data_version() == 1


def test_nobody_decides_and_what_was_staged_is_discarded(district: District) -> None:
    district.open().connect()
    sync = district.sync("first", stagedFor="10s")
    sync.until("AwaitingApproval")
    assert sync.uid
    expired = sync.until("Expired")
    assert "stagedFor (10s)" in condition(expired, "Expired")["message"]
    until("staged tables gone", lambda: sync.staged_tables() == 0, lambda: district.tell(sync.body))
    assert district.data_version() == 0
    assert district.count("users") == 0
