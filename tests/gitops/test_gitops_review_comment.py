"""The example's script that says what a pull request approves: with a kubectl that answers from files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.controller.values import A, B
from tests.gitops.tools import GITOPS

SCRIPT = GITOPS / "example" / "scripts" / "review.py"
REVIEW = "## Roster sync\n\n| entity | create |\n|---|---|\n| users | 120 |"
KUBECTL = f"""#!{sys.executable}
import json, os, pathlib, sys
world = pathlib.Path(os.environ["WORLD"])
words = sys.argv[1:]
with (world / "calls").open("a") as log:
    log.write(json.dumps(words) + "\\n")
if words[0] == "kustomize":
    print((pathlib.Path(words[1]) / "built.yaml").read_text())
elif words[0] == "get":
    found = world / (words[1].replace("/", "-") + "." + words[3] + ".json")
    print(found.read_text() if found.exists() else "")
elif words[:2] == ["roster", "review"] and not (world / "no-plugin").exists():
    print({REVIEW!r})
    sys.exit(3)
else:
    sys.exit("error: unknown command \\"roster\\" for \\"kubectl\\"")
"""
Body = dict[str, Any]


class World:
    """Two checkouts, and a cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        program = folder / "bin" / "kubectl"
        program.write_text(KUBECTL)
        program.chmod(0o755)

    def overlay(self, side: str, *bodies: Body, name: str = "springfield") -> None:
        place = self.folder / side / "overlays" / name
        place.mkdir(parents=True)
        (place / "kustomization.yaml").write_text("resources: []\n")
        (place / "built.yaml").write_text(yaml.safe_dump_all(bodies))

    def in_cluster(self, body: Body, **status: Any) -> None:
        meta = body["metadata"]
        resource = f"{body['kind'].lower()}s.roster-operator.io-{meta['name']}.{meta['namespace']}.json"
        (self.folder / resource).write_text(json.dumps(body | {"status": status}))

    def review(self) -> tuple[int, str]:
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "WORLD": str(self.folder)}
        command = [sys.executable, SCRIPT, "--base", self.folder / "base", "--head", self.folder / "head"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == ""
        return done.returncode, done.stdout

    def calls(self, first: str) -> list[list[str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [words for words in map(json.loads, lines) if words[0] == first]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def sync(name: str = "first", **spec: Any) -> Body:
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterSync",
        "metadata": {"name": name, "namespace": "k12"},
        "spec": {"connectionRef": {"name": "district"}} | spec,
    }


def connection(**spec: Any) -> Body:
    return sync("district") | {"kind": "RosterConnection", "spec": spec}


WAITS = {"phase": "AwaitingApproval", "plan": {"digest": A}}
BLOCKED = {"phase": "Blocked", "plan": {"digest": A}}

# What the pull request sets on a sync, what the cluster says of it, the exit code, a part of the comment, whether the
# plan's review is in it.
TABLE: list[tuple[str, Body, Body | None, int, str, bool]] = [
    ("the plan that waits", {"approvedPlan": A}, WAITS, 0, "Approves exactly the plan that waits.", True),
    ("the plan that is blocked", {"approvedPlan": A}, BLOCKED, 0, "Approves exactly the plan that waits.", True),
    ("another plan", {"approvedPlan": B}, WAITS, 1, f"**Stop.** Approves `{B}`, but the plan that waits is", True),
    ("whatever waits", {"approved": True}, WAITS, 0, f"`approvedPlan: {A}` would approve it and no other", True),
    ("what only a digest approves", {"approved": True}, BLOCKED, 1, f"Only `approvedPlan: {A}` does.", True),
    ("in advance", {"approved": True}, None, 0, "Approves in advance", False),
    ("while it is staged", {"approved": True}, {"phase": "Staging"}, 0, "Approves in advance", False),
    ("a plan that is not there", {"approvedPlan": A}, None, 1, "no plan waits here", False),
    ("a merged plan", {"approvedPlan": A}, {"phase": "Merged", "plan": {"digest": A}}, 1, "no plan waits", False),
    ("a no", {"rejected": {"reason": "wrong year"}}, WAITS, 0, "Rejects it", True),
    ("no digest", {"approvedPlan": "`@everyone`"}, WAITS, 1, "is no digest", True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "status", "code", "said", "reviewed"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_decision(world: World, spec: Body, status: Body | None, code: int, said: str, reviewed: bool) -> None:
    world.overlay("base", sync())
    world.overlay("head", sync(**spec))
    if status:
        world.in_cluster(sync(), **status)
    found, text = world.review()
    assert found == code
    assert said in text
    assert text.startswith("## Roster review\n\n### RosterSync k12/first\n")
    assert (f"\n##{REVIEW}\n" in text) == reviewed
    assert "@everyone" not in text


def test_nothing_decided_is_no_comment(world: World) -> None:
    world.overlay("base", sync(approvedPlan=A), connection(testInterval="24h"))
    world.overlay("head", sync(approvedPlan=A), connection(testInterval="12h"), sync("second"))
    assert world.review() == (0, "")


def test_a_new_district_that_approves(world: World) -> None:
    (world.folder / "base").mkdir()
    world.overlay("head", sync(approved=True))
    code, text = world.review()
    assert code == 0
    assert "Approves in advance" in text


def test_a_connections_pending_plan(world: World) -> None:
    world.overlay("base", connection())
    world.overlay("head", connection(approvedPlan=A))
    world.in_cluster(connection(), pendingPlan={"sync": "nightly-7", "digest": A})
    code, text = world.review()
    assert (code, f"##{REVIEW}" in text) == (0, True)
    assert world.calls("roster") == [["roster", "review", "nightly-7", "-n", "k12", "--output", "markdown"]]


def test_one_bad_decision_of_several_stops_all(world: World) -> None:
    for side, spec in (("base", {}), ("head", {"approvedPlan": A})):
        world.overlay(side, sync(**spec))
        world.overlay(side, sync("second", **spec), name="shelbyville")
    world.in_cluster(sync(), **WAITS)
    code, text = world.review()
    assert code == 1
    assert "Approves exactly" in text
    assert "no plan waits here" in text


def test_without_the_plugin_nobody_should_merge(world: World) -> None:
    world.overlay("base", sync())
    world.overlay("head", sync(approvedPlan=A))
    world.in_cluster(sync(), **WAITS)
    (world.folder / "no-plugin").touch()
    code, text = world.review()
    assert code == 1
    assert "The review could not be made" in text
    assert 'unknown command "roster"' in text


@pytest.mark.parametrize("name", ["--all", "../x", "a b", ""])
def test_a_name_is_never_an_option(world: World, name: str) -> None:
    world.overlay("base", sync())
    world.overlay("head", sync(name, approvedPlan=A))
    code, text = world.review()
    assert code == 1
    assert "without a proper namespace and name" in text
    assert world.calls("get") == []


def test_other_resources_are_none_of_its_business(world: World) -> None:
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "spec": {"approved": True}}
    world.overlay("base", other)
    world.overlay("head", other | {"data": {}}, sync() | {"apiVersion": "example.org/v1", "spec": {"approved": True}})
    assert world.review() == (0, "")


def test_the_workflow_runs_the_script_of_the_branch_that_is_merged_into() -> None:
    text = (SCRIPT.parents[1] / ".github" / "workflows" / "review.yaml").read_text()
    workflow = yaml.safe_load(text)
    steps = workflow["jobs"]["review"]["steps"]
    checkouts = {step["with"]["path"]: step["with"]["ref"] for step in steps if "checkout" in step.get("uses", "")}
    assert checkouts == {
        "base": "${{ github.event.pull_request.base.sha }}",
        "head": "${{ github.event.pull_request.head.sha }}",
    }
    scripts = "\n".join(step.get("run", "") for step in steps)
    assert "python base/scripts/review.py --base base --head head > comment.md" in scripts
    # What others wrote never becomes part of a shell's text.
    assert "${{" not in scripts
    assert "pull_request_target" not in text
