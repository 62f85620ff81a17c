"""The districts' database as the fake workers know it: a ledger of runs, in memory. What the real one does is asked in
the tests of store and worker; here it says whether the operator ever asked for something nobody approved.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.jobs import good_test

from roster_operator.api.task import Step, WorkerTask

Body = dict[str, Any]
BEYOND = "beyond"  # a sync of such a name plans more than its limits permit
CANARY = "Zoe.Quagmire-7f3a@springfield.example"


@dataclass
class Run:
    """One sync's run."""

    tenant: str
    name: str
    base: int = 0
    staged: bool = False
    merged: bool = False
    discarded: bool = False
    attempt: int = 0
    first: bool = True
    merged_digest: str = ""

    def digest(self, uid: str) -> str:
        return "sha256:" + hashlib.sha256(f"{self.tenant}/{uid}/{self.base}".encode()).hexdigest()


@dataclass
class Districts:
    """All runs of all tenants. Every step may be run again, and then answers the same."""

    runs: dict[str, Run] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    merges: Counter[str] = field(default_factory=Counter)  # by uid: how often rows were written
    refused: list[str] = field(default_factory=list)  # merges that were asked for with another digest than the staged
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, task: WorkerTask) -> Body:
        """What the worker of this task answers."""
        if task.step is Step.TEST:
            return good_test() | {"debug": CANARY}
        if task.sync is None:
            raise AssertionError("a step of a sync names the sync")
        steps: dict[Step, Callable[[WorkerTask, str, Run], Body]] = {
            Step.STAGE: self._stage,
            Step.MERGE: self._merge,
            Step.DISCARD: self._discard,
        }
        with self._lock:
            run = self.runs.setdefault(task.sync.uid, Run(task.tenant, task.sync.name))
            if task.attempt < run.attempt:
                return failed(task, "RunSuperseded")
            run.attempt = task.attempt
            return {"step": task.step.value} | steps[task.step](task, task.sync.uid, run)

    def _stage(self, task: WorkerTask, uid: str, run: Run) -> Body:
        if run.merged:
            return {"outcome": "AlreadyMerged", "dataVersion": self.versions[run.tenant]}
        if run.discarded:
            return failed(task, "RunDiscarded")
        if not run.staged:
            run.staged, run.base = True, self.versions[run.tenant]
        return {"outcome": "Staged", "plan": self._plan(uid, run)}

    def _merge(self, task: WorkerTask, uid: str, run: Run) -> Body:
        if run.merged:
            return {"outcome": "Merged", "dataVersion": self.versions[run.tenant]}
        if not run.staged or run.discarded or task.order is None:
            return failed(task, "RunNotStaged")
        if run.base != self.versions[run.tenant]:
            run.base = self.versions[run.tenant]
        if task.order.digest != run.digest(uid):
            self.refused.append(uid)
            return {"outcome": "PlanChanged", "plan": self._plan(uid, run)}
        run.merged, run.merged_digest = True, task.order.digest
        self.merges[uid] += 1
        self.versions[run.tenant] += 1
        return {"outcome": "Merged", "dataVersion": self.versions[run.tenant]}

    def _discard(self, task: WorkerTask, uid: str, run: Run) -> Body:
        if run.merged:
            return {"outcome": "Merged"}
        run.discarded = True
        return {"outcome": "Discarded"}

    def _plan(self, uid: str, run: Run) -> Body:
        limit = {"limit": "deactivate", "entity": "users", "count": 240, "of": 1200, "maxPercent": 10, "maxCount": 120}
        return {
            "digest": run.digest(uid),
            "entities": {"users": {"received": 1200, "create": 1200, "leaked": CANARY}},
            "limits": [limit] if BEYOND in run.name else [],
            "complete": True,
            "first": self.versions[run.tenant] == 0,
        }


def failed(task: WorkerTask, reason: str, *, retryable: bool = False) -> Body:
    """An answer that says no, and more than it should."""
    failure = {"reason": reason, "message": "It did not work. Do this next.", "retryable": retryable, "row": CANARY}
    return {"step": task.step.value, "outcome": "Failed", "failure": failure}
