"""A real API server for tests: etcd and kube-apiserver, without a kubelet and without controllers.

Give a test `pytest.mark.apiserver`, and these fixtures:

- `apiserver`: the server (`ApiServer`), one for the whole run, with this project's resource definitions applied.
- `namespace`: the name of a new namespace.

The programs are the ones that `deploy/local` builds and keeps in its cache. As no Job controller runs, a test plays
its part: see `jobs.py` beside this file.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.local import toolchain

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
OPERATOR = "roster-operator"  # the user that the operator under test is
_numbers = count(1)


@dataclass
class ApiServer:
    """A running API server."""

    folder: Path
    port: int
    programs: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "admin.kubeconfig"

    @property
    def operator_kubeconfig(self) -> Path:
        """The operator's: it may do what the chart grants."""
        return self.folder / "operator.kubeconfig"

    def kubectl(
        self, *arguments: str, given: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator."""
        command = [str(self.programs / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done

    def apply(self, *manifests: Any) -> None:
        """Apply manifests."""
        self.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump_all(manifests))

    def read(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """One object, or None."""
        place = ["-n", namespace] if namespace else []
        text = self.kubectl("get", kind, name, *place, "-o", "json", "--ignore-not-found").stdout
        return json.loads(text) if text.strip() else None

    def established(self, seconds: float = 30) -> None:
        """Wait until both resource definitions are served. kubectl gives up at once on one that is so new that it has
        no conditions yet ("accessor error: <nil> is of the type <nil>"): that one answer is asked again."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(1, round(deadline - time.monotonic()))
            arguments = ("wait", "--for=condition=Established", "-f", str(CRDS), f"--timeout={left}s")
            done = self.kubectl(*arguments, check=False)
            if done.returncode == 0:
                return
            if "accessor error" not in done.stderr or time.monotonic() > deadline:
                raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
            time.sleep(0.1)

    def start(self) -> None:
        """Start etcd and the API server, and wait until it answers."""
        etcd, peer = _free_port(), _free_port()
        self._run(
            "etcd", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync",
            "--listen-client-urls", f"http://127.0.0.1:{etcd}", "--advertise-client-urls", f"http://127.0.0.1:{etcd}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", f"default=http://127.0.0.1:{peer}",
        )  # fmt: skip
        key = self.folder / "service-account.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        self.trust()
        admin, operator = secrets.token_hex(16), secrets.token_hex(16)
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f'{admin},admin,1,"system:masters"\n{operator},{OPERATOR},2,""\n')
        self._run(
            "kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{etcd}", "--secure-port", self.port,
            "--bind-address", "127.0.0.1", "--cert-dir", self.folder / "certificates",
            "--service-cluster-ip-range", "10.0.0.0/24", "--authorization-mode", "RBAC", "--token-auth-file", tokens,
            "--authentication-config", self._authentication,
            "--service-account-issuer", "https://localhost", "--service-account-key-file", key,
            "--service-account-signing-key-file", key, "--disable-admission-plugins", "ServiceAccount",
        )  # fmt: skip
        for path, token in ((self.kubeconfig, admin), (self.operator_kubeconfig, operator)):
            path.write_text(yaml.safe_dump(self._kubeconfig(token)))
        self._wait()

    @property
    def _authentication(self) -> Path:
        return self.folder / "authentication.yaml"

    def trust(self, *providers: dict[str, Any]) -> None:
        """Accept the id tokens of these providers (`jwt` of an AuthenticationConfiguration), and of no other. A server
        that runs learns of it within moments."""
        unfinished = self._authentication.with_suffix(".new")
        unfinished.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "apiserver.config.k8s.io/v1",
                    "kind": "AuthenticationConfiguration",
                    "jwt": list(providers),
                }
            )
        )
        unfinished.rename(self._authentication)

    def stop(self) -> None:
        """End the processes that `start` began."""
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, program: str, *arguments: object) -> None:
        log = (self.folder / f"{program}.log").open("wb")
        command = [str(self.programs / program), *(str(argument) for argument in arguments)]
        self.processes.append(
            subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=_die_with_parent)  # noqa: PLW1509
        )

    def _kubeconfig(self, token: str) -> dict[str, Any]:
        authority = str(self.folder / "certificates" / "apiserver.crt")
        server = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority": authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self.processes):
                break
            answer = self.kubectl("get", "--raw", "/readyz", check=False)
            namespace = self.kubectl("get", "namespace", "kube-system", check=False)
            if answer.returncode == 0 and namespace.returncode == 0:
                return
            time.sleep(0.3)
        raise AssertionError(
            f"the API server did not come up:\n{(self.folder / 'kube-apiserver.log').read_text()[-3000:]}"
        )


def operator_rights() -> list[dict[str, Any]]:
    """What the chart grants the operator, bound to this server's operator user."""
    roles = yaml.safe_load((ROOT / "charts/roster-operator/files/operator-rules.yaml").read_text())
    everywhere = roles["cluster"] + roles["watched"]
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": OPERATOR},
            "rules": everywhere,
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": OPERATOR},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": OPERATOR},
            "subjects": [{"apiGroup": group, "kind": "User", "name": OPERATOR}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": {"name": OPERATOR, "namespace": "default"},
            "rules": roles["own"],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": OPERATOR, "namespace": "default"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": OPERATOR},
            "subjects": [{"apiGroup": group, "kind": "User", "name": OPERATOR}],
        },
    ]


@contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """An API server that keeps its data in `folder`, with both resource definitions and the operator's rights."""
    server = ApiServer(folder, _free_port(), toolchain.provide(("etcd", "kube-apiserver", "kubectl")))
    try:
        server.start()
        server.kubectl("apply", "--server-side", "-f", str(CRDS))
        server.established()
        server.apply(*operator_rights())
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder / "etcd", ignore_errors=True)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The API server of this run."""
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture
def namespace(apiserver: ApiServer) -> str:
    """The name of a new namespace. It stays until the server goes: no controller runs that could empty it."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    apiserver.kubectl("create", "namespace", name)
    return name


def _die_with_parent() -> None:
    # A test run that is killed leaves no API server behind (Linux: PR_SET_PDEATHSIG).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _free_port() -> int:
    """A port that nobody has. Not one of those that the kernel gives to outgoing connections: by the time the program
    has started, one of them might have it."""
    while True:
        with socket.socket() as one, suppress(OSError):
            port = random.randrange(20_000, 32_000)
            one.bind(("127.0.0.1", port))
            return port
