"""What kstatus, Flux and Argo CD make of every phase: the operator's real statuses, each tool's own rules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from tests.gitops import phases
from tests.gitops.tools import GITOPS, argo, flux, flux_checks, kstatus

from roster_operator.api.sync import FINAL, WAITING, Phase

Body = dict[str, Any]

# While a sync works, kstatus calls it current, as it does a Job: the two others look closer.
SYNCS = {
    Phase.PENDING: ("Current", "InProgress", "Progressing"),
    Phase.STAGING: ("Current", "InProgress", "Progressing"),
    Phase.AWAITING_APPROVAL: ("Current", "Current", "Suspended"),
    Phase.BLOCKED: ("Failed", "Failed", "Degraded"),
    Phase.MERGING: ("Current", "InProgress", "Progressing"),
    Phase.MERGED: ("Current", "Current", "Healthy"),
    Phase.REJECTED: ("Current", "Current", "Healthy"),
    Phase.SUPERSEDED: ("Current", "Current", "Healthy"),
    Phase.EXPIRED: ("Failed", "Failed", "Degraded"),
    Phase.FAILED: ("Failed", "Failed", "Degraded"),
}


@pytest.mark.parametrize("phase", list(Phase))
def test_a_sync_in_every_phase(phase: Phase) -> None:
    body = phases.sync_in(phase)
    assert (kstatus(body), flux(body), argo(body)[0]) == SYNCS[phase]


@pytest.mark.parametrize("phase", list(Phase))
def test_all_three_agree_on_what_is_wrong(phase: Phase) -> None:
    body = phases.sync_in(phase)
    assert len({kstatus(body) == "Failed", flux(body) == "Failed", argo(body)[0] == "Degraded"}) == 1


@pytest.mark.parametrize("phase", list(Phase))
def test_argo_cd_says_why(phase: Phase) -> None:
    body = phases.sync_in(phase)
    message = argo(body)[1]
    assert message.startswith(f"{phase.value}: ")
    assert any(message == f"{phase.value}: {item['message']}" for item in body["status"]["conditions"])


def test_what_waits_tells_the_digest_to_approve() -> None:
    for phase in WAITING:
        assert "sha256:" in argo(phases.sync_in(phase))[1]


@pytest.mark.parametrize("phase", list(Phase))
def test_a_change_that_the_operator_has_not_seen_is_under_way(phase: Phase) -> None:
    body = phases.sync_in(phase)
    body["metadata"]["generation"] += 1
    assert kstatus(body) == "InProgress"
    assert flux(body) == "InProgress"
    # A final phase never changes, whatever is edited.
    assert argo(body)[0] == (SYNCS[phase][2] if phase in FINAL else "Progressing")


def test_a_phase_of_a_newer_version_is_never_healthy() -> None:
    body = phases.sync_in(Phase.STAGING)
    body["status"]["phase"] = "Rehearsed"
    assert argo(body)[0] == "Unknown"
    assert flux(body) == "InProgress"


@pytest.mark.parametrize("kind", ["RosterSync", "RosterConnection"])
@pytest.mark.parametrize("status", [None, {}])
def test_before_the_operator_has_seen_it(kind: str, status: Body | None) -> None:
    body: Body = {"kind": kind, "metadata": {"name": "x", "generation": 1}, "spec": {}}
    if status is not None:
        body["status"] = status
    assert argo(body)[0] == "Progressing"
    if status is not None:  # without one, Flux's expressions have nothing to look at, and it tries again
        assert flux(body) == "InProgress"


CONNECTIONS = [
    ("tested for the first time", phases.connection_before_its_test(), ("InProgress", "InProgress", "Progressing")),
    ("good", phases.connection_tested(good=True), ("Current", "Current", "Healthy")),
    ("refused", phases.connection_tested(good=False), ("Failed", "Failed", "Degraded")),
]


@pytest.mark.parametrize(("body", "expected"), [row[1:] for row in CONNECTIONS], ids=[row[0] for row in CONNECTIONS])
def test_a_connection(body: Body, expected: tuple[str, str, str]) -> None:
    assert (kstatus(body), flux(body), argo(body)[0]) == expected


def test_a_connection_whose_plan_waits_is_suspended_and_says_what_to_approve() -> None:
    body = copy.deepcopy(phases.connection_tested(good=True))
    body["status"]["pendingPlan"] = {"sync": "nightly-1", "digest": "sha256:" + "a" * 64, "summary": "users: create 3"}
    health, message = argo(body)
    assert health == "Suspended"
    assert "nightly-1" in message
    assert "sha256:" + "a" * 64 in message
    assert flux(body) == "Current"


def test_a_refused_connection_says_why() -> None:
    assert argo(phases.connection_tested(good=False))[1] == "TokenRejected: The client secret is refused. Renew it."


def test_the_example_has_the_expressions_that_we_hand_out() -> None:
    (example,) = (
        one
        for one in yaml.safe_load_all((GITOPS / "example" / "clusters" / "flux.yaml").read_text())
        if one["kind"] == "Kustomization"
    )
    assert example["spec"]["healthCheckExprs"] == flux_checks()
