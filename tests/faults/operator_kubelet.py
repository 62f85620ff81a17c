"""A kubelet without containers: pods of Jobs run for a moment, do their work in the ledger, and end. Or do not.

The Job controller, the garbage collector and the namespace controller beside it are Kubernetes' own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import aiohttp
from tests.faults.operator_admin import Admin
from tests.faults.operator_districts import CANARY, Districts, failed

from roster_operator.api.task import EXIT_PERMANENT, EXIT_RETRY, TASK_VARIABLE, Step, WorkerTask

Body = dict[str, Any]


class Fate(StrEnum):
    """What becomes of a pod."""

    ANSWERS = "does its work and answers"
    VANISHES = "does its work, and is deleted before anybody read its answer"
    NEVER_WORKS = "is deleted before it did anything"
    BABBLES = "does its work, and leaves a traceback instead of an answer"
    KILLED = "is killed before it did anything, as one that runs out of memory"
    CANNOT_YET = "could not reach the database: another try may help"
    REFUSES = "fails, and would always"
    HANGS = "starts and never ends, as on a node that is lost"
    CANNOT_START = "waits for an image for ever"


class Kubelet:
    """Plays the pods of all Jobs of one server."""

    def __init__(self, admin: Admin, districts: Districts, work: float = 0.05) -> None:
        self._admin = admin
        self._districts = districts
        self.work_time = work
        self.fates: dict[tuple[str, Step], list[Fate]] = {}  # (namespace, step): what comes next; then all goes well
        self.met: Counter[Fate] = Counter()
        self._taken: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors: list[BaseException] = []

    def fate(self, namespace: str, step: Step, *fates: Fate) -> None:
        """The next pods of this step, in this namespace."""
        self.fates.setdefault((namespace, step), []).extend(fates)

    async def run(self) -> None:
        """Until it is cancelled."""
        async for kind, pod in self._admin.watch("/api/v1/pods"):
            meta = pod["metadata"]
            if kind in {"DELETED", "ERROR"} or meta["uid"] in self._taken or meta.get("deletionTimestamp"):
                continue
            if pod.get("status", {}).get("phase", "Pending") != "Pending":
                continue
            self._taken.add(meta["uid"])
            task = asyncio.create_task(self._live(pod))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.errors.append(error)

    async def _live(self, pod: Body) -> None:
        variables = pod["spec"]["containers"][0]["env"]
        task = WorkerTask.from_dict(json.loads(next(one["value"] for one in variables if one["name"] == TASK_VARIABLE)))
        waiting = self.fates.get((pod["metadata"]["namespace"], task.step))
        fate = waiting.pop(0) if waiting else Fate.ANSWERS
        self.met[fate] += 1
        try:
            await self._act(pod, task, fate)
        except aiohttp.ClientResponseError as error:
            if error.status not in {404, 409, 403}:  # the pod, or its namespace, went meanwhile
                raise

    async def _act(self, pod: Body, task: WorkerTask, fate: Fate) -> None:
        if fate is Fate.CANNOT_START:
            await self._says(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
            return
        await self._says(pod, "Running", {"running": {"startedAt": _now()}})
        if fate is Fate.HANGS:
            return
        await asyncio.sleep(self.work_time)
        match fate:
            case Fate.NEVER_WORKS:
                await self._delete(pod)
            case Fate.VANISHES:
                self._districts.work(task)
                await self._delete(pod)
            case Fate.KILLED:
                await self._ends(pod, 137, "")
            case Fate.BABBLES:
                self._districts.work(task)
                await self._ends(pod, 1, f"Traceback: Key (email)=({CANARY}) already exists")
            case Fate.CANNOT_YET:
                await self._ends(pod, EXIT_RETRY, json.dumps(failed(task, "DatabaseUnreachable", retryable=True)))
            case Fate.REFUSES:
                await self._ends(pod, EXIT_PERMANENT, json.dumps(failed(task, "TokenRejected")))
            case _:
                answer = self._districts.work(task)
                code = EXIT_PERMANENT if answer["outcome"] == "Failed" else 0
                await self._ends(pod, code, json.dumps(answer))

    async def _ends(self, pod: Body, code: int, message: str) -> None:
        state = {"terminated": {"exitCode": code, "message": message, "finishedAt": _now(), "startedAt": _now()}}
        await self._says(pod, "Failed" if code else "Succeeded", state)

    async def _says(self, pod: Body, phase: str, state: Body) -> None:
        running = "running" in state
        container = {"name": "worker", "image": "x", "imageID": "", "ready": running, "restartCount": 0, "state": state}
        ready = {"type": "Ready", "status": "True" if running else "False", "lastTransitionTime": _now()}
        status = {"phase": phase, "startTime": _now(), "containerStatuses": [container], "conditions": [ready]}
        await self._admin.patch(f"{_path(pod)}/status", {"status": status})

    async def _delete(self, pod: Body) -> None:
        # The Job controller's finalizer holds the pod until it has ended, as a kubelet makes it end.
        await self._admin.delete(_path(pod), {"gracePeriodSeconds": 0})
        await self._ends(pod, 143, "")


def _path(pod: Body) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
