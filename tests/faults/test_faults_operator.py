"""Each fault of operator, API server and Jobs, with a sync in every phase of its life under it.

A row of the table breaks something while people go on working: one sync is approved, one rejected, one deleted, one
made, one connection made. Afterwards everything comes to rest in bounded time, and nothing happened that must never
happen: see `Place.wrongs`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.faults.operator_cases import CASES, Case
from tests.faults.operator_kubelet import Fate
from tests.faults.operator_world import Place, World, current_definitions, definitions, world
from tests.support.jobs import until

from roster_operator.api.task import Step

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(360)]
BESIDE = 5  # cases at the same time


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, ground: World) -> Iterator[dict[str, Future[None]]]:
    """The cases that disturb nobody run beside each other: they wait more than they work."""
    parameters = (getattr(item, "callspec", None) for item in request.session.items)
    chosen = [one.params["case"] for one in parameters if one and isinstance(one.params.get("case"), Case)]
    with ThreadPoolExecutor(BESIDE) as pool:
        yield {case.name: pool.submit(happen, case, ground) for case in chosen if not case.alone}


def begin(place: Place) -> None:
    """A sync in every phase that lasts."""
    place.ready("approved", "late", "refused", "removed", "fresh")
    place.waiting("approved", "late", "refused", "removed")


def go_on(place: Place) -> None:
    """What people do, whatever is broken."""
    cluster = place.cluster
    place.approve("approved")
    cluster.change("refused", rejected={"reason": "not this week"})
    cluster.delete("rostersyncs", "removed")
    cluster.sync("fresh", connection="fresh")
    cluster.connect("newcomer")


def happen(case: Case, ground: World) -> None:
    """One row of the table, from a new namespace to the last check."""
    with ground.place() as place, ground.operator(place.namespace, **case.settings) as kept:
        begin(place)
        with case.breaks(place, kept):
            go_on(place)
            time.sleep(case.lasts)
        if place.cluster.status("late")["phase"] != "Merged":
            place.approve("late")
        took = place.settles(case.patience)
        sys.stdout.write(f"{case.name}: at rest after {took:.1f} s, {kept.starts} starts, codes {kept.codes}\n")
        phases = {one["metadata"]["name"]: one["status"]["phase"] for one in place.cluster.items("rostersyncs")}
        assert phases == case.ends
        assert place.wrongs(kept) == []


@pytest.mark.parametrize("case", [case for case in CASES if not case.alone], ids=lambda case: case.id)
def test_fault(case: Case, answers: dict[str, Future[None]]) -> None:
    answers[case.name].result()


@pytest.mark.parametrize("case", [case for case in CASES if case.alone], ids=lambda case: case.id)
def test_fault_that_all_feel(case: Case, ground: World) -> None:
    happen(case, ground)


def left(place: Place) -> list[str]:
    """What still stands in the namespace."""
    kinds = ("rostersyncs", "rosterconnections", "jobs", "pods")
    return [
        f"{kind} {one['metadata']['name']} {one['metadata'].get('finalizers')} {one.get('status', {}).get('phase')}"
        for kind in kinds
        for one in place.cluster.items(kind)
    ]


def test_a_namespace_that_is_deleted_in_the_middle_of_everything_is_emptied(ground: World) -> None:
    with ground.place() as place, ground.operator(place.namespace) as kept:
        begin(place)
        ground.kubelet.fate(place.namespace, Step.STAGE, Fate.HANGS)
        ground.kubelet.fate(place.namespace, Step.MERGE, Fate.HANGS)
        go_on(place)
        place.wait(lambda: place.cluster.phase("approved") == "Merging", 20, "the merge to be under way")
        place.wait(lambda: place.cluster.phase("fresh") == "Staging", 20, "the stage to be under way")
        ground.server.kubectl("delete", "namespace", place.namespace, "--wait=false")
        # The namespace controller's part, as nothing says when it comes to it.
        kinds = "rostersyncs,rosterconnections,jobs,pods"
        ground.server.kubectl("-n", place.namespace, "delete", kinds, "--all", "--wait=false")
        until(lambda: not left(place), 40, lambda: str(left(place)))
        assert ground.witness.wrongs() == []
        assert "Traceback" not in kept.operator.log.read_text()


# As the chart sets it: these three are the defaults.
LEASE = {"ROSTER_LEASE_DURATION": "", "ROSTER_LEASE_RENEW_DEADLINE": "", "ROSTER_LEASE_RETRY": ""}


def test_a_standby_works_within_30_s_of_the_leaders_death(ground: World) -> None:
    with ground.place() as place, ground.operator(place.namespace, **LEASE) as leader:
        place.ready("approved")
        place.waiting("approved")
        with ground.operator(place.namespace, f"{place.namespace}-standby", **LEASE) as standby:
            until(lambda: standby.operator.fetch("/readyz")[0] == 200, 20, standby.operator.said)
            assert "leader 0.0" in standby.operator.fetch("/metrics")[1]
            died = time.monotonic()
            leader.stop()
            place.approve("approved")
            place.wait(lambda: place.cluster.phase("approved") == "Merging", 40, "the standby to take over")
            took = time.monotonic() - died
            sys.stdout.write(f"fail-over: the standby wrote after {took:.1f} s\n")
            assert took < 30
            place.settles(30)
            assert place.wrongs(standby) == []


def test_an_older_definition_loses_fields_and_no_sync(ground: World) -> None:
    """After a roll-back of the definitions alone: fields that they do not know are dropped by the API server."""
    older = current_definitions()
    for one in older:
        status = one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        for name in ("issues", "counts"):
            status.pop(name, None)
        status.get("times", {"properties": {}})["properties"].pop("pulled", None)
    try:
        definitions(ground.server, *older)
        with ground.place() as place, ground.operator(place.namespace) as kept:
            begin(place)
            go_on(place)
            place.approve("late")
            place.settles(40)
            written = sum(ground.proxy.written[place.namespace].values())
            time.sleep(3)
            assert sum(ground.proxy.written[place.namespace].values()) - written < 30, "it writes without end"
            assert place.wrongs(kept) == []
    finally:
        definitions(ground.server)


def test_definitions_that_are_deleted_and_made_again(ground: World) -> None:
    """Last: it takes every resource on this server."""
    with ground.place() as place, ground.operator(place.namespace) as kept:
        begin(place)
        ground.server.kubectl("delete", "crd", "rostersyncs.roster-operator.io", "rosterconnections.roster-operator.io",
                              "--wait=false")  # fmt: skip
        gone = ["get", "crd", "rostersyncs.roster-operator.io", "--ignore-not-found", "-o", "name"]
        ground.release_all_but(place.namespace)
        until(lambda: not ground.server.kubectl(*gone).stdout.strip(), 40, kept.operator.said)
        time.sleep(3)
        definitions(ground.server)
        place.ready("again")
        place.waiting("again")
        place.approve("again")
        place.settles(30)
        assert place.cluster.phase("again") == "Merged"
        assert place.wrongs(kept) == []
