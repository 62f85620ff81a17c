"""Worker processes that start in a hundredth of a second: forks of one that has everything imported and no threads."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from uuid import uuid4

from roster_operator.api.task import WorkerSummary, WorkerTask

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.store_broken", "roster_operator.worker.__main__"])


class Worker:
    """One worker process, with what a Job's pod would have."""

    def __init__(self, task: WorkerTask, folder: Path, secrets: dict[str, Path], broken: str = "") -> None:
        self.message = folder / f"message-{uuid4().hex[:8]}"
        self.log = folder / "workers.log"
        environment = {
            "ROSTER_TASK": task.model_dump_json(by_alias=True, exclude_none=True),
            "ROSTER_TERMINATION_MESSAGE": str(self.message),
            "ROSTER_SIS_SECRET_PATH": str(secrets["sis"]),
            "ROSTER_DATABASE_SECRET_PATH": str(secrets["database"]),
        }
        self._process = _forks.Process(target=_work, args=(environment, str(self.log), broken))
        self._process.start()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        """As the kernel does it."""
        self._process.kill()
        self._process.join()

    def end(self, patience: float = 60) -> WorkerSummary | None:
        """Wait for its end; its message, or None where it was killed."""
        self._process.join(patience)
        assert not self._process.is_alive(), "the worker did not end"
        if not self.message.exists():
            return None
        text = self.message.read_bytes()
        assert len(text) <= 4096
        return WorkerSummary.model_validate_json(text)


def _work(environment: dict[str, str], log: str, broken: str) -> None:
    from tests.faults import store_broken

    from roster_operator.worker import __main__ as worker

    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(environment)
    if broken:
        store_broken.WORKERS[broken]()
    code = worker.main()
    sys.stdout.flush()
    os._exit(code)
