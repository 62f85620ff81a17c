"""Sees every version of every object, and says afterwards whether anything happened that must never happen."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.faults.operator_admin import Admin
from tests.faults.operator_districts import Districts
from tests.support.jobs import GROUP

from roster_operator.api.sync import FINAL, WAITING

Body = dict[str, Any]
LABEL = "roster-operator.io"
_FINAL = {phase.value for phase in FINAL}
_WAITING = {phase.value for phase in WAITING}


@dataclass
class Words:
    """What people said about one sync."""

    digests: set[str] = field(default_factory=set)
    in_advance: bool = False


class Witness:
    """All phases that each sync went through, and all Jobs that were ever created."""

    def __init__(self, admin: Admin, districts: Districts) -> None:
        self._admin = admin
        self._districts = districts
        self.phases: dict[str, list[tuple[str, str]]] = defaultdict(list)  # uid: (phase, digest), as they followed
        self.names: dict[str, str] = {}
        self.jobs: dict[tuple[str, str, str], set[str]] = defaultdict(set)  # (owner, step, attempt): uids
        self.digests: dict[str, set[str]] = defaultdict(set)  # plans that status ever showed
        self.words: dict[str, Words] = defaultdict(Words)
        self.versions: dict[str, int] = defaultdict(int)

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(self._see_syncs(), self._see_jobs())

    async def _see_syncs(self) -> None:
        async for kind, sync in self._admin.watch(f"{GROUP}/rostersyncs"):
            if kind == "DELETED":
                continue
            uid, status = sync["metadata"]["uid"], sync.get("status") or {}
            plan = status.get("plan") or {}
            self.names[uid] = f"{sync['metadata']['namespace']}/{sync['metadata']['name']}"
            self.versions[uid] += 1
            seen = status.get("phase", "Pending"), plan.get("digest", "")
            if not self.phases[uid] or self.phases[uid][-1] != seen:
                self.phases[uid].append(seen)
            if seen[1]:
                self.digests[uid].add(seen[1])
            self._hear(uid, sync["spec"], plan)

    def _hear(self, uid: str, spec: Body, plan: Body) -> None:
        words = self.words[uid]
        if spec.get("approvedPlan"):
            words.digests.add(spec["approvedPlan"])
        if spec.get("approved"):
            if plan and not plan.get("limits") and not plan.get("recomputed"):
                words.digests.add(plan["digest"])
            words.in_advance = words.in_advance or not plan

    async def _see_jobs(self) -> None:
        async for kind, job in self._admin.watch("/apis/batch/v1/jobs"):
            labels = job["metadata"].get("labels") or {}
            if kind == "ADDED" and labels.get(f"{LABEL}/step") != "test":
                owner, step, attempt = (labels.get(f"{LABEL}/{name}", "") for name in ("owner-uid", "step", "attempt"))
                self.jobs[owner, step, attempt].add(job["metadata"]["uid"])

    def wrongs(self) -> list[str]:
        """Everything that must never be, and was; in sentences."""
        return [*self._turned_back(), *self._doubled(), *self._unapproved()]

    def _turned_back(self) -> list[str]:
        wrong: list[str] = []
        for uid, seen in self.phases.items():
            for (was, digest), (phase, new_digest) in pairwise(seen):
                if was in _FINAL and phase != was:
                    wrong.append(f"{self.names[uid]} went from {was} to {phase}")
                if was == "Merging" and phase in _WAITING and digest == new_digest:
                    wrong.append(f"{self.names[uid]} went from Merging to {phase} with the same digest")
        return wrong

    def _doubled(self) -> list[str]:
        return [
            f"{len(uids)} Jobs of {step} {attempt} for {self.names.get(owner, owner)}"
            for (owner, step, attempt), uids in self.jobs.items()
            if len(uids) > 1
        ]

    def _unapproved(self) -> list[str]:
        wrong: list[str] = []
        for uid, run in self._districts.runs.items():
            if not run.merged:
                continue
            words, name = self.words[uid], self.names.get(uid, uid)
            if self._districts.merges[uid] != 1:
                wrong.append(f"{name} was merged {self._districts.merges[uid]} times")
            if run.merged_digest not in words.digests and not words.in_advance:
                wrong.append(f"{name} merged {run.merged_digest}, and nobody approved that")
            if run.merged_digest not in self.digests[uid]:
                wrong.append(f"{name} merged {run.merged_digest}, which status never showed")
            last = self.phases[uid][-1][0]
            if last in {"Rejected", "Expired", "Superseded", "AwaitingApproval", "Blocked"}:
                wrong.append(f"{name} was merged, and its status says {last}")
        return wrong
