"""A first sync from Git: staged, reviewed in a pull request, approved by its merge, and never undone or done twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from deploy.demo import parts
from deploy.demo.shell import KUBECONFIG, KUBECTL, ROOT, kubectl
from tests.e2e.districts import USERS, District, Sync
from tests.e2e.expected import personal
from tests.e2e.flux import Checkout, Kustomization, bare
from tests.e2e.watching import Body, condition, until

pytestmark = pytest.mark.cluster
EXAMPLE = ROOT / "deploy" / "gitops" / "example"
OVERLAY = Path("overlays", "district")


def test_a_pull_request_approves_the_first_sync_and_git_undoes_and_repeats_nothing(district: District) -> None:
    district.open()
    parts.sis_credentials(district.namespace, "sis", district.namespace)
    rights(district)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = bare(folder / "rosters.git")
        person = started(district, Checkout(repository, folder / "person"))
        flux = Kustomization(
            repository, folder / "flux", path=str(OVERLAY), namespace=district.namespace, account="roster-pipeline"
        )
        first = flux.reconcile()
        sync = Sync(district, "first")
        digest = sync.until("AwaitingApproval")["status"]["plan"]["digest"]
        stands = sync.body["metadata"]["generation"]

        # The pull request: a branch that names the digest, and the review as its comment.
        person.git("checkout", "-q", "-b", "approve")
        manifest = person.folder / OVERLAY / "first-sync.yaml"
        manifest.write_text(f"{manifest.read_text().rstrip()}\n  approvedPlan: {digest}\n")
        person.commit("Approve the first sync", to="approve")
        comment = reviewed(district, repository, folder)
        assert f"### RosterSync {district.namespace}/first\n\nApproves exactly the plan that waits." in comment
        assert digest in comment
        assert f"{USERS}" in comment
        assert not {word for word in personal(district.sample) if word in comment}, "counts, never a record"
        assert flux.reconcile() == first
        assert sync.body["metadata"]["generation"] == stands
        assert sync.body["status"]["phase"] == "AwaitingApproval", "a branch approves nothing"

        person.git("checkout", "-q", "main")
        person.git("merge", "-q", "--no-ff", "-m", "Merge the pull request", "approve")
        person.git("push", "-q", "origin", "main")
        assert flux.reconcile() != first
        merged = sync.until("Merged")["status"]
        assert (merged["approval"]["via"], merged["approval"]["digest"]) == ("approvedPlan", digest)
        account = f"system:serviceaccount:{district.namespace}:roster-pipeline"
        assert (merged["approval"]["by"], merged["approval"]["verified"]) == (account, True)
        once(district)

        hand_edits_are_reverted(district, flux, sync)

        # It leaves Git and is pruned; it comes back with its approval, and merges nothing.
        district.until_ready("True", "Tested")  # the edits were tested, too
        pages = district.pages_served()
        kustomization = person.folder / OVERLAY / "kustomization.yaml"
        kustomization.write_text(kustomization.read_text().replace("  - first-sync.yaml\n", ""))
        person.commit("The first sync is history")
        flux.reconcile()
        assert not sync.body
        once(district)
        person.git("revert", "--no-edit", "HEAD")
        person.git("push", "-q", "origin", "main")
        flux.reconcile()
        again = sync.until("Merged")
        assert condition(again, "Complete")["reason"] == "AlreadyMerged"
        assert again["spec"]["approvedPlan"] == digest
        assert not sync.jobs("merge")
        assert district.pages_served() == pages, "the SIS was pulled again"
        once(district)


def rights(district: District) -> None:
    """What an administrator applies once: the example's own."""
    kubectl("-n", district.namespace, "apply", "-f", str(EXAMPLE / "clusters" / "rights.yaml"))
    account = f"--as=system:serviceaccount:{district.namespace}:roster-pipeline"
    asked = ("-n", district.namespace, account, "auth", "can-i", "approve", "rostersyncs.roster-operator.io")

    def may() -> bool:
        try:
            return kubectl(*asked).strip() == "yes"
        except parts.DemoError:
            return False

    until("the pipeline's rights", may, district.tell)


def started(district: District, checkout: Checkout) -> Checkout:
    """The example repository, with one overlay: this district, and its first sync."""
    shutil.copytree(EXAMPLE, checkout.folder, dirs_exist_ok=True)
    place = checkout.folder / OVERLAY
    shutil.move(checkout.folder / "overlays" / "springfield", place)
    shutil.rmtree(checkout.folder / "overlays" / "shelbyville")
    kustomization = place / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("k12-springfield", district.namespace))
    host = f"https://sis.{district.namespace}.svc"
    spec = {
        "tenant": district.tenant,
        "api": {"endpoint": host, "auth": {"tokenURL": f"{host}/oauth/token"}, "caBundle": district.certificate},
        "scope": {"terms": "All"},
        "testInterval": "24h",
    }
    patch = yaml.safe_load((place / "connection.yaml").read_text()) | {"spec": spec}
    (place / "connection.yaml").write_text(yaml.safe_dump(patch))
    checkout.git("checkout", "-q", "-B", "main")
    checkout.commit("A district")
    return checkout


def reviewed(district: District, repository: Path, folder: Path) -> str:
    """The comment that the workflow's script writes, with the rights of the example's reviewer."""
    base, head = Checkout(repository, folder / "base"), Checkout(repository, folder / "head")
    head.git("checkout", "-q", "approve")
    config = yaml.safe_load(KUBECONFIG.read_text())
    token = kubectl("-n", district.namespace, "create", "token", "roster-reviewer", "--duration=1h").strip()
    (user,) = (one["context"]["user"] for one in config["contexts"] if one["name"] == config["current-context"])
    config["users"] = [{"name": user, "user": {"token": token}}]
    kubeconfig = folder / "reviewer.kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    path = f"{KUBECTL.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = base.folder / "scripts" / "review.py"
    done = subprocess.run(
        [sys.executable, script, "--base", base.folder, "--head", head.folder],
        env=os.environ | {"PATH": path, "KUBECONFIG": str(kubeconfig)},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hand_edits_are_reverted(district: District, flux: Kustomization, sync: Sync) -> None:
    """What is in Git wins, what is not in Git goes, and what was merged stays merged."""
    edit = {"spec": {"testInterval": "48h", "suspend": True}}
    kubectl(
        "-n", district.namespace, "patch", "rosterconnection", "district", "--type=merge", "-p", json.dumps(edit)
    )  # fmt: skip
    kubectl(
        "-n", district.namespace, "patch", "rostersync", "first", "--type=merge", "-p", '{"spec":{"approvedPlan":null}}'
    )  # fmt: skip
    assert spec_of(district)["testInterval"] == "48h"
    flux.reconcile()
    healed = spec_of(district)
    assert healed["testInterval"] == "24h"
    assert not healed.get("suspend"), "set by hand, and in Git there is nothing of it"
    assert sync.body["spec"].get("approvedPlan")
    assert sync.body["status"]["phase"] == "Merged"


def spec_of(district: District) -> Body:
    return district.connection()["spec"]


def once(district: District) -> None:
    assert district.data_version() == 1
    assert district.count("users") == USERS
    runs = "select state from roster.sync_run where tenant = %s"
    found = {state for (state,) in district.ground.database.rows(runs, district.tenant)}
    assert found == {"Merged"}
