"""A database that was put back, with the real operator process on a real API server: how it is told, and what heals it.

What a worker finds is played here; that it finds it is tested in tests/faults/test_faults_rewound.py.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.controller.conftest import Operator
from tests.support.jobs import DIGESTS, Cluster, good_test, merged, plan, until

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("shared"), pytest.mark.timeout(180)]
BEHIND = {"known": 8, "found": 5}


def ledger(version: int) -> dict[str, Any]:
    return {"database": "d0d0d0d0", "dataVersion": version, "run": f"run-{version}"}


def status(cluster: Cluster) -> dict[str, Any]:
    return cluster.get("rosterconnections", "springfield").get("status") or {}


def told(cluster: Cluster) -> str:
    """The connection's condition: its message, or nothing where there is none."""
    return cluster.condition("DatabaseRewound", "springfield", "rosterconnections").get("message", "")


def metric(operator: Operator, cluster: Cluster, value: float) -> bool:
    labels = f'{{name="springfield",namespace="{cluster.namespace}"}}'
    return f"roster_connection_database_rewound{labels} {value}" in operator.fetch("/metrics")[1]


def known_to(job: dict[str, Any]) -> dict[str, Any]:
    """What the worker of this Job is told of the database."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (task,) = (json.loads(one["value"]) for one in container["env"] if one["name"] == "ROSTER_TASK")
    return task["known"]


def asked_for(cluster: Cluster, asked: str, **found: Any) -> None:
    """A test that somebody asks for, and what it finds."""
    patch = {"metadata": {"annotations": {"roster-operator.io/test-requested-at": asked}}}
    cluster.patch("rosterconnections", "springfield", patch)
    job = cluster.open_job("test", 30)
    assert known_to(job)["dataVersion"] == 8
    cluster.end(job, good_test() | found)
    until(lambda: status(cluster).get("lastHandledTestRequest") == asked, 30, "the echo")


@pytest.fixture
def district(cluster: Cluster) -> Cluster:
    """A connection whose database is known to hold version 8."""
    cluster.connect()
    cluster.end(cluster.open_job("test", 30), good_test() | {"ledger": ledger(8)})
    until(lambda: status(cluster).get("ledger") == ledger(8), 30, "what the database holds")
    assert told(cluster) == ""
    return cluster


def test_a_test_tells_it_and_one_that_finds_everything_in_its_place_ends_it(
    district: Cluster, shared: Operator
) -> None:
    until(lambda: metric(shared, district, 0.0), 10, "a metric of 0")
    asked_for(district, "one", ledger=ledger(5), rewound=BEHIND)
    assert "version 8" in told(district)
    assert "approvedPlan" in told(district)
    assert "databaseRewoundTime" in status(district)
    assert status(district)["ledger"] == ledger(8), "what was known is not forgotten"
    assert district.condition("Ready", "springfield", "rosterconnections")["status"] == "True"
    until(lambda: "DatabaseRewound" in district.event_reasons(), 15, "the event")
    until(lambda: metric(shared, district, 1.0), 10, "the metric")

    asked_for(district, "two", ledger=ledger(5), rewound=BEHIND)
    assert "version 8" in told(district), "it stays until somebody decides"

    asked_for(district, "three", ledger=ledger(8))
    assert told(district) == ""
    assert "databaseRewoundTime" not in status(district)
    until(lambda: metric(shared, district, 0.0), 10, "the metric")


def test_a_pull_tells_it_and_only_its_digest_lets_it_through_and_ends_it(district: Cluster, shared: Operator) -> None:
    time.sleep(1.1)  # times in a status have whole seconds: the pull is from after the test
    district.sync(approved=True)
    job = district.open_job("stage", 30)
    assert known_to(job)["dataVersion"] == 8
    found = plan("a", first=False) | {"rewound": BEHIND}
    district.end(job, {"step": "stage", "outcome": "Staged", "plan": found})
    blocked = district.wait_phase("Blocked", seconds=30)
    assert blocked["plan"]["rewound"] == BEHIND
    refused = district.condition("Approved")
    assert (refused["status"], refused["reason"]) == ("False", "DatabaseRewound")
    assert f"approvedPlan: {DIGESTS['a']}" in refused["message"]
    assert district.condition("Stalled")["reason"] == "DatabaseRewound"
    until(lambda: told(district), 15, "the connection's condition")
    until(lambda: metric(shared, district, 1.0), 10, "the metric")

    # A yes that names no plan is no yes, also where it is given again.
    district.change(approved=False)
    district.change(approved=True)
    until(lambda: district.status().get("observedGeneration") == 3, 15, "it was seen")
    assert district.phase() == "Blocked"
    assert district.jobs("merge") == []

    district.change(approvedPlan=DIGESTS["a"])
    job = district.open_job("merge", 30)
    assert known_to(job)["dataVersion"] == 8
    district.end(job, merged() | {"dataVersion": 6, "ledger": ledger(6)})
    district.wait_phase("Merged", seconds=30)
    # What is known is replaced, also by less: a person has decided.
    merged_last = ledger(6) | {"run": district.get("rostersyncs", "first")["metadata"]["uid"]}
    until(lambda: status(district).get("ledger") == merged_last, 15, lambda: str(status(district)))
    until(lambda: not told(district), 15, "no condition")
    assert "databaseRewoundTime" not in status(district)
    until(lambda: metric(shared, district, 0.0), 10, "the metric")
