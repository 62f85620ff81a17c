"""What Flux does with a Git repository, by `git` and `kubectl`: fetch, build, apply by server-side apply, prune.

As its kustomize-controller does it: objects are labelled as its own; applied with force, so that what is in Git wins;
what kubectl's managers have set beside it is taken over first, and so goes with the next apply; what has left Git
since the last time is deleted. It acts as the service account of the Kustomization.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from deploy.demo.shell import KUBECTL, kubectl, run

MANAGER = "kustomize-controller"
LABELS = "kustomize.toolkit.fluxcd.io"
PLURALS = {"RosterConnection": "rosterconnections.roster-operator.io", "RosterSync": "rostersyncs.roster-operator.io"}
Body = dict[str, Any]
Name = tuple[str, str]  # kind, name
# Neither the user's nor the machine's configuration has a say.
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Platform", "GIT_AUTHOR_EMAIL": "platform@example.org",
    "GIT_COMMITTER_NAME": "Platform", "GIT_COMMITTER_EMAIL": "platform@example.org",
}  # fmt: skip


class Checkout:
    """A clone of a repository, in which somebody works."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.folder = folder
        git(folder.parent, "clone", "-q", str(repository), str(folder))

    def git(self, *arguments: str) -> str:
        return git(self.folder, *arguments)

    def commit(self, message: str, *, to: str = "main") -> None:
        """Everything as it stands here, pushed to a branch."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{to}")


def git(folder: Path, *arguments: str) -> str:
    """What git prints. Raises AssertionError with its complaint."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=os.environ | GIT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def bare(folder: Path) -> Path:
    """A new bare repository, whose branch is main."""
    git(folder.parent, "init", "-q", "--bare", "--initial-branch=main", str(folder))
    return folder


class Kustomization:
    """One Kustomization of Flux, reconciled when it is told to."""

    def __init__(self, repository: Path, work: Path, *, path: str, namespace: str, account: str) -> None:
        self._source = Checkout(repository, work)
        self._path = path
        self._namespace = namespace
        self._identity = f"--as=system:serviceaccount:{namespace}:{account}"
        self._inventory: set[Name] = set()

    def reconcile(self) -> str:
        """Bring the cluster to what main is; the revision."""
        self._source.git("fetch", "-q", "origin", "main")
        self._source.git("reset", "-q", "--hard", "FETCH_HEAD")
        text = run([str(KUBECTL), "kustomize", str(self._source.folder / self._path)])
        objects: list[Body] = [body for body in yaml.safe_load_all(text) if body]
        labels = {f"{LABELS}/name": "roster", f"{LABELS}/namespace": self._namespace}
        for body in objects:
            body["metadata"].setdefault("labels", {}).update(labels)
            self._take_over(body["kind"], body["metadata"]["name"])
        self._as_account(
            "apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-",
            given=yaml.safe_dump_all(objects),
        )  # fmt: skip
        wanted = {(body["kind"], body["metadata"]["name"]) for body in objects}
        for kind, name in sorted(self._inventory - wanted):
            self._as_account("delete", PLURALS[kind], name, "--ignore-not-found", "--timeout=120s")
        self._inventory = wanted
        return self._source.git("rev-parse", "HEAD").strip()

    def _as_account(self, *arguments: str, given: str | None = None) -> str:
        return kubectl("-n", self._namespace, self._identity, *arguments, given=given)

    def _take_over(self, kind: str, name: str) -> None:
        """Fields that people have set by kubectl become the manager's own: where Git has none of them, they go."""
        resource = f"{PLURALS[kind]}/{name}"
        text = self._as_account("get", resource, "--show-managed-fields", "-o", "json", "--ignore-not-found")
        if not text.strip():
            return
        meta = json.loads(text)["metadata"]
        own: Body = {}
        others: list[Body] = []
        for entry in meta["managedFields"]:
            if "subresource" not in entry and (entry["manager"].startswith("kubectl") or entry["manager"] == MANAGER):
                own = entry | {"fieldsV1": _joined(own.get("fieldsV1", {}), entry["fieldsV1"])}
            else:
                others.append(entry)
        mine = own | {"manager": MANAGER, "operation": "Apply"}
        if len(others) + 1 == len(meta["managedFields"]) and mine == own:
            return
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": [mine, *others]},
        ]
        self._as_account("patch", resource, "--type=json", f"--field-manager={MANAGER}", "-p", json.dumps(patch))


def _joined(one: Body, other: Body) -> Body:
    """Two sets of fields in one."""
    return one | {key: _joined(one.get(key, {}), value) for key, value in other.items()}
