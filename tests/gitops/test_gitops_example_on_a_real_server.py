"""The example repository: kustomize builds it, and a real API server takes it from the example's own pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.gitops.tools import GITOPS
from tests.support import admission
from tests.support.admission import People
from tests.support.apiserver import ApiServer
from tests.support.jobs import PATIENCE, until

pytestmark = pytest.mark.apiserver

EXAMPLE = GITOPS / "example"
DISTRICTS = sorted(path.name for path in (EXAMPLE / "overlays").iterdir())
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PLURAL = {"RosterConnection": "rosterconnections", "RosterSync": "rostersyncs"}
Body = dict[str, Any]


def built(server: ApiServer, district: str) -> list[Body]:
    text = server.kubectl("kustomize", str(EXAMPLE / "overlays" / district)).stdout
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def people(apiserver: ApiServer) -> Iterator[People]:
    """The chart's policies hold in the example's namespaces."""
    namespaces = [f'"k12-{district}"' for district in DISTRICTS]
    objects = admission.rendered("roster-example", f"watchNamespaces=[{','.join(namespaces)}]")
    policies = [one for one in objects if one["kind"] in admission.POLICIES]
    apiserver.apply(*policies, *(one for one in objects if one["kind"] == "ClusterRole"))
    apiserver.kubectl("apply", "-f", str(EXAMPLE / "clusters" / "namespaces.yaml"))
    for district in DISTRICTS:
        apiserver.kubectl("apply", "-n", f"k12-{district}", "-f", str(EXAMPLE / "clusters" / "rights.yaml"))
    everybody = People(apiserver)
    admin = everybody.who(f"k12-{DISTRICTS[0]}")
    probe = next(one for one in built(apiserver, DISTRICTS[0]) if one["kind"] == "RosterSync")
    admin.create("rostersyncs", probe | {"metadata": {"name": "probe"}})
    until(
        lambda: admin.patch("rostersyncs", "probe", {"status": {}}, "status", dry=True).code == 403,
        PATIENCE,
        "policies",
    )
    try:
        yield everybody
    finally:
        everybody.close()
        for one in policies:
            apiserver.kubectl("delete", one["kind"], one["metadata"]["name"], "--wait=false")


@pytest.mark.parametrize("district", DISTRICTS)
def test_the_pipeline_applies_it_and_approves_from_git(apiserver: ApiServer, people: People, district: str) -> None:
    namespace = f"k12-{district}"
    pipeline = people.who(namespace, f"system:serviceaccount:{namespace}:roster-pipeline")
    objects = built(apiserver, district)
    assert {one["kind"] for one in objects} == set(PLURAL)
    until(lambda: pipeline.read("rostersyncs", "x").code == 404, PATIENCE, "the rights")
    for body in objects:
        assert body["metadata"]["namespace"] == namespace
        done = pipeline.apply(PLURAL[body["kind"]], body)
        assert done.code == 201, done.body
    sync = next(one for one in objects if one["kind"] == "RosterSync")
    sync["spec"]["approvedPlan"] = DIGEST
    approved = pipeline.apply("rostersyncs", sync)
    assert approved.body["spec"]["approvedPlan"] == DIGEST
    assert approved.body["metadata"]["annotations"]["roster-operator.io/approved-by"] == pipeline.name


@pytest.mark.parametrize("district", DISTRICTS)
def test_nothing_in_it_is_unknown_to_the_definitions(apiserver: ApiServer, people: People, district: str) -> None:
    text = yaml.safe_dump_all(built(apiserver, district))
    apiserver.kubectl(
        "apply", "--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", given=text
    )


def test_the_pipeline_of_one_district_does_nothing_in_another(people: People) -> None:
    first, second = DISTRICTS
    pipeline = people.who(f"k12-{second}", f"system:serviceaccount:k12-{first}:roster-pipeline")
    assert pipeline.read("rostersyncs", "first").code == 403


def test_the_reviewer_reads_and_nothing_else(people: People) -> None:
    namespace = f"k12-{DISTRICTS[0]}"
    reviewer = people.who(namespace, f"system:serviceaccount:{namespace}:roster-reviewer")
    assert reviewer.read("rostersyncs", "probe").code == 200
    assert reviewer.patch("rostersyncs", "probe", {"spec": {"approved": True}}).code == 403
    assert reviewer.read("secrets", "sis").code == 403


@pytest.mark.parametrize(("digest", "code", "said"), [(DIGEST, 0, "exactly the plan that waits"), (OTHER, 1, "Stop.")])
def test_the_pull_requests_comment_from_a_real_cluster(
    apiserver: ApiServer, people: People, tmp_path: Path, digest: str, code: int, said: str
) -> None:
    """kustomize, kubectl and its plugin `kubectl roster` as they are, and the plan that the operator published."""
    district = DISTRICTS[0]
    namespace = f"k12-{district}"
    operator = people.who(namespace, "system:serviceaccount:roster-example:roster-operator")
    people.bind(namespace, operator.name, "roster-example-roster-operator-watched")
    sync = next(one for one in built(apiserver, district) if one["kind"] == "RosterSync")
    people.who(namespace).apply("rostersyncs", sync)
    users = {"received": 120, "create": 120}
    plan = {"digest": DIGEST, "complete": True, "entities": {"users": users}, "totals": users}
    status = {"status": {"phase": "AwaitingApproval", "plan": plan}}
    until(
        lambda: operator.patch("rostersyncs", "first", status, "status").code == 200, PATIENCE, "the operator's rights"
    )
    for side in ("base", "head"):
        shutil.copytree(EXAMPLE, tmp_path / side)
    changed = tmp_path / "head" / "overlays" / district / "first-sync.yaml"
    changed.write_text(changed.read_text() + f"  approvedPlan: {digest}\n")
    path = f"{apiserver.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, EXAMPLE / "scripts" / "review.py", "--base", tmp_path / "base", "--head", tmp_path / "head"],
        env=os.environ | {"PATH": path, "KUBECONFIG": str(apiserver.kubeconfig)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
    assert f"### RosterSync {namespace}/first" in done.stdout
    assert "120" in done.stdout
    assert DIGEST in done.stdout


def test_every_overlay_is_applied_by_flux_or_argo_cd() -> None:
    flux = list(yaml.safe_load_all((EXAMPLE / "clusters" / "flux.yaml").read_text()))
    (kustomization,) = (one for one in flux if one["kind"] == "Kustomization")
    assert (EXAMPLE / kustomization["spec"]["path"] / "kustomization.yaml").is_file()
    applications = yaml.safe_load((EXAMPLE / "clusters" / "argocd.yaml").read_text())
    (generator,) = applications["spec"]["generators"]
    assert generator["git"]["directories"] == [{"path": "overlays/*"}]
