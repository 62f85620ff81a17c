"""Automatic syncing with the real operator on a real API server: made, approved by policy, held, kept few."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer
from tests.support.jobs import DIGESTS, Cluster, merged, staged, until

pytestmark = pytest.mark.apiserver
Body = dict[str, Any]
YEARLY = {"schedule": "@yearly"}  # the test says when a year is over


@pytest.fixture(scope="module")
def clockwork(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator without jitter."""
    folder = tmp_path_factory.mktemp("clockwork")
    one = Operator(apiserver, "", folder, ROSTER_MAX_JOBS="1000", ROSTER_SCHEDULE_JITTER="0").start().wait_ready()
    yield one
    assert one.stop() == 0, one.said()
    assert "Traceback" not in one.log.read_text(), one.said()


@pytest.fixture
def district(cluster: Cluster, clockwork: Operator) -> Cluster:
    """A connection with a first merge."""
    cluster.connect()
    cluster.make_ready()
    cluster.sync()
    cluster.end(cluster.open_job("stage"), staged())
    cluster.wait_phase("AwaitingApproval")
    cluster.change(approved=True)
    cluster.end(cluster.open_job("merge"), merged())
    cluster.wait_phase("Merged")
    until(lambda: "lastFullMergedTime" in status(cluster), 10, "the merge is noted")
    return cluster


def status(cluster: Cluster) -> Body:
    return cluster.get("rosterconnections", "springfield")["status"]


def automatic(cluster: Cluster, **changes: Any) -> None:
    cluster.patch("rosterconnections", "springfield", {"spec": {"automaticSync": YEARLY | changes}})
    cluster.wait_condition("Scheduled", "Scheduled", "springfield", "rosterconnections")
    cluster.make_ready()  # another spec is tested


def years_pass(cluster: Cluster, years: int = 3) -> None:
    """The schedule was in force so long ago that a moment of it is due."""
    since = (datetime.now(UTC) - timedelta(days=366 * years)).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"status": {"automatic": {"since": since, "lastScheduled": None}}}
    cluster.patch("rosterconnections", "springfield", patch, "status")


def made(cluster: Cluster) -> list[Body]:
    return [body for body in cluster.items("rostersyncs") if body["metadata"].get("ownerReferences")]


def the_one(cluster: Cluster) -> Body:
    return until(lambda: next(iter(made(cluster)), None), 15, "a sync of the schedule")


def test_it_waits_for_a_first_merge(cluster: Cluster, clockwork: Operator) -> None:
    cluster.connect(automaticSync=YEARLY)
    cluster.make_ready()
    cluster.wait_condition("Scheduled", "FirstMergeNeeded", "springfield", "rosterconnections")
    assert "nextSync" not in status(cluster)


def test_one_is_made_and_approved_by_policy(district: Cluster) -> None:
    automatic(district, approval="WithinLimits", fullEvery="168h")
    year = datetime.now(UTC).year
    assert status(district)["nextSync"] == f"{year + 1}-01-01T00:00:00Z"
    years_pass(district)
    body = the_one(district)
    name = body["metadata"]["name"]
    assert name == f"springfield-{year}0101-0000", "three years were missed, and the last is caught up"
    assert body["spec"]["mode"] == "Delta"
    owner = body["metadata"]["ownerReferences"][0]
    assert owner["uid"] == district.get("rosterconnections", "springfield")["metadata"]["uid"]
    district.end(district.open_job("stage"), staged("b", first=False))
    district.end(district.open_job("merge"), merged())
    approval = district.wait_phase("Merged", name)["approval"]
    assert (approval["via"], approval["digest"]) == ("policy", DIGESTS["b"])
    assert len(made(district)) == 1
    assert status(district)["automatic"]["lastScheduled"] == f"{year}-01-01T00:00:00Z"


def test_one_beyond_limits_waits_for_a_person(district: Cluster) -> None:
    automatic(district, approval="WithinLimits")
    years_pass(district)
    name = the_one(district)["metadata"]["name"]
    district.end(district.open_job("stage"), staged("b", first=False, beyond=True))
    district.wait_phase("Blocked", name)
    assert district.jobs("merge")[1:] == []
    district.change(name, approvedPlan=DIGESTS["b"])
    district.open_job("merge")


def test_none_is_made_while_one_is_under_way(district: Cluster) -> None:
    automatic(district)
    district.sync("by-hand")
    job = district.open_job("stage")
    years_pass(district)
    district.wait_phase("Staging", "by-hand")
    district.patch("rosterconnections", "springfield", {"metadata": {"annotations": {"x": "look again"}}})
    with pytest.raises(AssertionError):
        until(lambda: made(district), 2, "one at a time")
    district.end(job, staged("b", first=False))
    the_one(district)


def test_in_a_pause_nothing_is_pulled_unless_it_says_why_not(district: Cluster) -> None:
    today = datetime.now(UTC).date()
    pause = {"from": f"{today - timedelta(days=1)}", "to": f"{today + timedelta(days=1)}", "reason": "summer"}
    district.patch("rosterconnections", "springfield", {"spec": {"automaticSync": YEARLY | {"pause": [pause]}}})
    district.wait_condition("Scheduled", "Paused", "springfield", "rosterconnections")
    district.make_ready()
    district.sync("held")
    assert "summer" in district.wait_condition("Staged", "Paused", "held")["message"]
    district.sync("urgent", ignorePause={"reason": "the superintendent asked"})
    district.end(district.open_job("stage"), staged("b", first=False))
    district.change("urgent", approved=True)
    district.end(district.open_job("merge"), merged())
    district.wait_phase("Merged", "urgent")
    assert district.phase("held") == "Pending"
    district.patch("rosterconnections", "springfield", {"spec": {"automaticSync": {"pause": []}}})
    district.make_ready()
    district.open_job("stage")


def test_a_suspended_connection_begins_nothing(district: Cluster) -> None:
    district.sync("waits")
    district.end(district.open_job("stage"), staged("b", first=False))
    district.wait_phase("AwaitingApproval", "waits")
    district.patch("rosterconnections", "springfield", {"spec": {"suspend": True}})
    district.wait_condition("Ready", "Suspended", "springfield", "rosterconnections")
    district.change("waits", approved=True)
    district.wait_condition("Approved", "Suspended", "waits")
    district.sync("new")
    district.wait_condition("Staged", "Suspended", "new")
    jobs = len(district.items("jobs"))
    district.patch("rosterconnections", "springfield", {"spec": {"suspend": False}})
    district.open_job("merge")
    district.make_ready()
    district.open_job("stage")
    assert jobs == 4, "a test, two stages and a merge: nothing was begun while it was suspended"


BACKWARDS = {"from": "2026-02-02", "to": "2026-02-01", "reason": "x"}
REFUSED: list[tuple[str, Body, str]] = [
    ("a schedule of four fields", {"schedule": "0 3 * *"}, "should match"),
    ("a schedule of seconds", {"schedule": "0 0 3 * * *"}, "should match"),
    ("a pause that ends before it begins", {"pause": [BACKWARDS]}, "end before it begins"),
    ("a day that is none", {"until": "2026-02-31"}, "until"),
    ("a pause without a reason", {"pause": [{"from": "2026-02-01", "to": "2026-02-02"}]}, "reason"),
    ("a full pull every minute", {"fullEvery": "1m"}, "at least 1h"),
]  # fmt: skip


@pytest.mark.parametrize(("auto", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(cluster: Cluster, auto: Body, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        cluster.connect(automaticSync=YEARLY | auto)
