"""The operator under test: the real process, on the tests' API server, as the chart's user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.controller.admission_world import place, plain, stamped, world  # noqa: F401  fixtures
from tests.support.apiserver import ROOT, ApiServer, _die_with_parent, _free_port
from tests.support.jobs import PATIENCE, Cluster, until

QUICK = {
    "ROSTER_LEASE_DURATION": "3",
    "ROSTER_LEASE_RENEW_DEADLINE": "2",
    "ROSTER_LEASE_RETRY": "0.3",
    "ROSTER_RETRY_DELAY": "0.5",
    "ROSTER_TEST_RETRY_MIN": "1",
    "ROSTER_LISTEN": "127.0.0.1",
}


class Operator:
    """One process of the operator, watching one namespace, or all where none is named."""

    def __init__(self, server: ApiServer, namespace: str, folder: Path, **settings: str) -> None:
        self._server = server
        self._namespace = namespace
        self._folder = folder
        self._settings = settings
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self) -> Operator:
        self._starts += 1
        environment = os.environ | QUICK | {
            "KUBECONFIG": str(self._server.operator_kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
            "ROSTER_IMAGE": "localhost/roster-operator:test",
            "ROSTER_PORT": str(self.port),
            "ROSTER_POD_NAMESPACE": "default",
            "ROSTER_POD_NAME": f"operator-{self._starts}",
            "ROSTER_LEASE_NAME": self._namespace or "shared",
            "ROSTER_WATCH_NAMESPACES": self._namespace,
        } | self._settings  # fmt: skip
        log = self.log.open("ab")
        command = [sys.executable, "-m", "roster_operator.controller"]
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdout=log,
            stderr=log,
            cwd=self._folder,
            preexec_fn=_die_with_parent,  # noqa: PLW1509
        )
        return self

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process
        return self._process.pid

    def wait_ready(self) -> Operator:
        until(
            lambda: self.fetch("/readyz")[0] == 200 and "leader 1.0" in self.fetch("/metrics")[1], PATIENCE, self.said
        )
        return self

    def kill(self) -> None:
        """As a node that loses power."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def stop(self) -> int:
        """As Kubernetes ends a pod; the exit code."""
        if not self._process:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within 15 s of SIGTERM:\n{self.said()}") from None
        self._process = None
        return code

    def wait(self, seconds: float) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process
        code = self._process.wait(seconds)
        self._process = None
        return code

    def ended(self) -> int | None:
        """The exit code of a process that has ended by itself; None while it runs, or where none does."""
        return self._process.poll() if self._process else None

    def fetch(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    @property
    def log(self) -> Path:
        return self._folder / f"operator-{self.port}.log"

    def said(self) -> str:
        return self.log.read_text()[-6000:] if self.log.exists() else "(nothing)"


@pytest.fixture
def cluster(apiserver: ApiServer, namespace: str) -> Iterator[Cluster]:
    """The namespace, and the power to end Jobs in it."""
    one = Cluster(apiserver, namespace)
    yield one
    one.close()


@pytest.fixture
def operator(apiserver: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """A running operator that leads."""
    one = Operator(apiserver, namespace, tmp_path).start().wait_ready()
    yield one
    one.kill()
    text = one.log.read_text()
    assert "Traceback" not in text, text[-6000:]


@pytest.fixture(scope="module")
def shared(apiserver: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A running operator for the tests of one module, watching all namespaces."""
    one = Operator(apiserver, "", tmp_path_factory.mktemp("operator"), ROSTER_MAX_JOBS="1000").start().wait_ready()
    yield one
    code = one.stop()
    text = one.log.read_text()
    assert code == 0, text[-6000:]
    assert "Traceback" not in text, text[-6000:]
