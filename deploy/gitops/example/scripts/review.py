"""What a pull request decides about rosters, as Markdown for its comment.

python scripts/review.py --base ../base --head . > comment.md

Both folders are checkouts of this repository. Every overlay is built from both; where a RosterSync or a
RosterConnection is approved or rejected in one and not in the other, the plan that waits in the cluster is reviewed.
Nothing is printed where nothing is decided. Exit code 1: a decision would not do what it says, and the comment tells
why. It needs kubectl, its plugin `kubectl roster`, and the role roster-viewer. It shows counts, never a record.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

GROUP = "roster-operator.io"
FIELDS = {"RosterSync": ("approved", "approvedPlan", "rejected"), "RosterConnection": ("approvedPlan",)}
# Names come from the pull request: none of them may be read as an option.
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
WAITS = 3  # exit code of `kubectl roster review`: it waits for a person
TIMEOUT = 120  # seconds, for each program
Body = dict[str, Any]


class ReviewError(Exception):
    """A tool or a file that this review cannot do without."""


@dataclass(frozen=True)
class Decision:
    """What the pull request says about one object."""

    kind: str
    namespace: str
    name: str
    says: Body  # the fields of FIELDS that are set

    @property
    def title(self) -> str:
        """The object, for a heading."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Waiting:
    """The plan that waits in the cluster."""

    sync: str
    digest: str
    phase: str


def run(*command: str, good: frozenset[int] = frozenset({0})) -> str:
    """The output of a program. Raises ReviewError with its last line of complaint, where its exit code is not good."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReviewError(f"`{command[0]}` did not run: {type(error).__name__}") from error
    if done.returncode not in good:
        lines = [line.strip(" │") for line in done.stderr.splitlines() if any(map(str.isalnum, line))]
        complaint = lines[-1] if lines else "no reason given"
        raise ReviewError(f"`{' '.join(command)}`: {complaint[:300]}")
    return done.stdout


def objects(root: Path) -> dict[tuple[str, str, str], Body]:
    """Each roster resource that the overlays of a checkout build."""
    found: dict[tuple[str, str, str], Body] = {}
    for overlay in sorted(path.parent for path in root.glob("overlays/*/kustomization.yaml")):
        for body in yaml.safe_load_all(run("kubectl", "kustomize", str(overlay))):
            if body and str(body.get("apiVersion", "")).startswith(f"{GROUP}/") and body["kind"] in FIELDS:
                meta = body["metadata"]
                key = (body["kind"], str(meta.get("namespace", "")), str(meta["name"]))
                if not (NAME.fullmatch(key[1]) and NAME.fullmatch(key[2])):
                    raise ReviewError(f"{overlay.name}: a {body['kind']} without a proper namespace and name")
                found[key] = body
    return found


def decisions(base: Path, head: Path) -> list[Decision]:
    """Where the two checkouts decide differently."""
    before, after = objects(base), objects(head)
    out: list[Decision] = []
    for key, body in after.items():
        says = _says(key[0], body)
        if says and says != _says(key[0], before.get(key, {})):
            out.append(Decision(*key, says))
    return out


def _says(kind: str, body: Body) -> Body:
    spec = body.get("spec", {})
    return {name: spec[name] for name in FIELDS[kind] if spec.get(name)}


def waiting(decision: Decision) -> Waiting | None:
    """The plan that waits for this decision; None where none does, or the object is not there yet."""
    resource = f"{decision.kind.lower()}s.{GROUP}/{decision.name}"
    text = run("kubectl", "get", resource, "-n", decision.namespace, "-o", "json", "--ignore-not-found")
    status = json.loads(text).get("status", {}) if text.strip() else {}
    if decision.kind == "RosterConnection":
        plan = status.get("pendingPlan")
        return Waiting(plan["sync"], plan["digest"], "AwaitingApproval") if plan else None
    if status.get("phase") not in {"AwaitingApproval", "Blocked"}:
        return None
    return Waiting(decision.name, status["plan"]["digest"], status["phase"])


def judge(decision: Decision, plan: Waiting | None) -> tuple[bool, str]:
    """Whether the decision does what it says, and the sentence for the comment."""
    says = decision.says
    if "rejected" in says:
        return True, "Rejects it: nothing of it is merged."
    wanted = says.get("approvedPlan")
    if wanted and not DIGEST.fullmatch(str(wanted)):
        return False, "Its `approvedPlan` is no digest. A digest is `sha256:` and 64 hexadecimal digits."
    if plan is None:
        if wanted:
            return False, f"Approves `{wanted}`, but no plan waits here. Nothing would be merged."
        return True, (
            "Approves in advance: what is staged is merged unseen if it is valid and within its limits. "
            "The first sync of a connection still waits for a review."
        )
    if wanted and wanted != plan.digest:
        return False, f"Approves `{wanted}`, but the plan that waits is `{plan.digest}`. Nothing would be merged."
    if not wanted and plan.phase == "Blocked":
        return False, f"`approved` does not approve this plan. Only `approvedPlan: {plan.digest}` does."
    if not wanted:
        return (
            True,
            f"Approves the plan that waits. `approvedPlan: {plan.digest}` would approve it and no other.",
        )
    return True, "Approves exactly the plan that waits."


def comment(found: list[Decision]) -> tuple[bool, str]:
    """Whether all is well, and the comment."""
    good, parts = True, ["## Roster review"]
    for decision in found:
        plan = waiting(decision)
        holds, sentence = judge(decision, plan)
        good = good and holds
        parts += [f"### {decision.title}", sentence if holds else f"**Stop.** {sentence}"]
        if plan:
            parts.append(_review(plan.sync, decision.namespace))
    return good, "\n\n".join(parts) + "\n"


def _review(sync: str, namespace: str) -> str:
    command = ("kubectl", "roster", "review", sync, "-n", namespace, "--output", "markdown")
    text = run(*command, good=frozenset({0, WAITS}))
    return re.sub(r"^(#+ )", r"##\1", text.strip(), flags=re.MULTILINE)  # below the comment's own headings


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description="What a pull request decides about rosters, as Markdown.")
    parser.add_argument("--base", type=Path, required=True, help="checkout of the branch that is merged into")
    parser.add_argument("--head", type=Path, required=True, help="checkout of the pull request")
    given = parser.parse_args(arguments)
    try:
        found = decisions(given.base, given.head)
        if not found:
            return 0
        good, text = comment(found)
    except ReviewError as error:
        # Without a review, nobody should merge.
        good, text = False, f"## Roster review\n\n**Stop.** The review could not be made: {error}\n"
    sys.stdout.write(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
