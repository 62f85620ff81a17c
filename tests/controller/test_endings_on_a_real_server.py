"""How a sync ends that nobody decided on, and when its object goes: the real operator on a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer
from tests.support.jobs import DIGESTS, Cluster, discarded, staged, until

pytestmark = pytest.mark.apiserver
A, B = DIGESTS["a"], DIGESTS["b"]
TRACKED = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "roster"}}}


@pytest.fixture(scope="module")
def lister(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that lists every second, which is when it looks for what has outlived its time."""
    folder = tmp_path_factory.mktemp("lister")
    one = Operator(apiserver, "", folder, ROSTER_MAX_JOBS="1000", ROSTER_RELIST_INTERVAL="1").start().wait_ready()
    yield one
    assert one.stop() == 0, one.said()
    assert "Traceback" not in one.log.read_text(), one.said()


@pytest.fixture
def district(cluster: Cluster, lister: Operator) -> Cluster:
    """A namespace with a connection that was tested well."""
    cluster.connect()
    cluster.make_ready()
    return cluster


def stage(district: Cluster, name: str, letter: str) -> None:
    """A sync of this name is made and staged, with this plan."""
    district.sync(name)
    district.end(district.open_job("stage"), staged(letter, first=False))
    until(lambda: district.status(name).get("plan"), 15, "a plan")


def test_a_newer_pull_supersedes_one_that_waits(district: Cluster) -> None:
    stage(district, "first", "a")
    district.wait_phase("AwaitingApproval", "first")
    stage(district, "second", "b")
    district.wait_phase("Superseded", "first")
    said = district.condition("Superseded", "first")
    assert said["reason"] == "NewerPull"
    assert "RosterSync second " in said["message"]
    assert district.phase("second") == "AwaitingApproval"
    district.end(district.open_job("discard"), discarded())
    until(lambda: not district.get("rostersyncs", "first")["metadata"].get("finalizers"), 10, "no finalizer")
    assert district.condition("Superseded", "first") == said
    assert "Superseded" in district.event_reasons()
    until(
        lambda: (
            (district.get("rosterconnections", "springfield")["status"].get("pendingPlan") or {}).get("sync")
            == "second"
        ),
        10,
        "the new pending plan",
    )


def test_an_equal_plan_leaves_the_older_one_its_place(district: Cluster) -> None:
    stage(district, "first", "a")
    stage(district, "second", "a")
    district.wait_phase("Superseded", "second")
    assert district.condition("Superseded", "second")["reason"] == "EqualPlan"
    assert district.phase("first") == "AwaitingApproval"


def test_nobody_decides_and_then_its_object_goes(district: Cluster) -> None:
    district.sync(stagedFor="2s", ttlAfterFinished="1s")
    district.end(district.open_job("stage"), staged())
    district.wait_phase("AwaitingApproval")
    district.wait_phase("Expired")
    assert "stagedFor (2s)" in district.condition("Expired")["message"]
    assert district.condition("Complete") == {}
    district.patch("rostersyncs", "first", TRACKED)
    district.end(district.open_job("discard"), discarded())
    until(lambda: not district.get("rostersyncs", "first")["metadata"].get("finalizers"), 10, "no finalizer")
    assert "Expired" in district.event_reasons()
    with pytest.raises(AssertionError):
        until(lambda: not district.get("rostersyncs", "first"), 3, "Flux tracks it")
    district.patch("rostersyncs", "first", {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": None}}})
    until(lambda: not district.get("rostersyncs", "first"), 10, "it is gone")


def test_the_two_times_may_be_changed_and_must_make_sense(district: Cluster) -> None:
    district.sync()
    assert district.get("rostersyncs", "first")["spec"]["stagedFor"] == "168h"
    assert district.get("rostersyncs", "first")["spec"]["ttlAfterFinished"] == "720h"
    district.change(stagedFor="1h", ttlAfterFinished="2h")
    for field in ("stagedFor", "ttlAfterFinished"):
        with pytest.raises(AssertionError, match="must be at least 1s"):
            district.change(**{field: "0s"})
