"""The ground of the fault tests: an API server and the controllers of Kubernetes, all real; a proxy that breaks things
between it and the operator; the operator as a real process, started again when it ends; pods that live in memory.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from deploy.local import toolchain
from tests.controller.conftest import Operator
from tests.faults.operator_admin import Admin
from tests.faults.operator_backstage import Backstage
from tests.faults.operator_districts import CANARY, Districts
from tests.faults.operator_kubelet import Kubelet
from tests.faults.operator_proxy import Proxy
from tests.faults.operator_witness import Witness
from tests.support.apiserver import CRDS, ROOT, ApiServer, _die_with_parent, _free_port, operator_rights
from tests.support.jobs import Cluster, until

from roster_operator.api.sync import FINAL, WAITING

Body = dict[str, Any]
FINAL_PHASES = {phase.value for phase in FINAL}
WAITING_PHASES = {phase.value for phase in WAITING}
PATIENT = {"ConnectionNotFound", "ConnectionNotReady", "Suspended", "Paused"}  # what a Pending sync may wait for
CONTROLLERS = "job-controller,garbage-collector-controller,ttl-after-finished-controller"
# Everything that takes its time is made short, and nothing is left out.
QUICK = {
    "ROSTER_MAX_JOBS": "200",
    "ROSTER_RELIST_INTERVAL": "4",
    "ROSTER_WATCH_SILENCE": "6",
    "ROSTER_RETRY_DELAY": "0.5",
    "ROSTER_RETRY_DELAY_MAX": "2",
    "ROSTER_TEST_RETRY_MIN": "1",
    "ROSTER_TEST_RETRY_MAX": "3",
    "ROSTER_DISCARD_WINDOW": "30",
    "ROSTER_LEASE_DURATION": "10",
    "ROSTER_LEASE_RENEW_DEADLINE": "8",
    "ROSTER_LEASE_RETRY": "0.5",
}
_numbers = count(1)


class Kept:
    """An operator that is started again whenever it ends, as a kubelet does; under the same name, so that the Lease is
    its own again."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.starts = 0
        self.codes: list[int] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> Kept:
        self.operator.start()
        self.starts = 1
        self._thread.start()
        return self

    def kill(self) -> None:
        """SIGKILL, and another start at once."""
        with self._lock:
            self.operator.kill()
            self._again()

    def stop(self) -> None:
        """End it for good."""
        self._over.set()
        self._thread.join(10)
        self.operator.kill()

    def _keep(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                code = self.operator.ended()
                if code is not None:
                    self.codes.append(code)
                    self._again()

    def _again(self) -> None:
        if not self._over.is_set():
            self.operator.start()
            self.starts += 1


@dataclass
class World:
    """One API server, and all that stands around it. Many places (namespaces), one after another."""

    server: ApiServer
    stage: Backstage
    admin: Admin
    proxy: Proxy
    districts: Districts
    kubelet: Kubelet
    witness: Witness
    folder: Path
    controllers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def operator(self, namespace: str, name: str = "", **settings: str) -> Iterator[Kept]:
        """An operator for one namespace, until the end; the proxy knows it by its name."""
        name = name or namespace
        folder = self.folder / name
        folder.mkdir()
        kubeconfig = str(self.proxy.kubeconfig(name))
        lease = f"{namespace}-{settings.pop('lease', 'only')}"
        own = {"KUBECONFIG": kubeconfig, "ROSTER_POD_NAME": name, "ROSTER_LEASE_NAME": lease}
        kept = Kept(Operator(self.server, namespace, folder, **QUICK | own | settings))
        try:
            yield kept.start()
        finally:
            kept.stop()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A new namespace, emptied afterwards as Kubernetes does it."""
        name = f"fault-{next(_numbers)}"
        self.server.kubectl("create", "namespace", name)
        self.server.kubectl("-n", name, "create", "secret", "generic", "sis", f"--from-literal=client-secret={CANARY}")
        cluster = Cluster(self.server, name)
        try:
            yield Place(self, cluster)
        finally:
            cluster.close()
            self.server.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def release_all_but(self, namespace: str) -> None:
        """What an operator that is gone would have held back is let go."""
        found = json.loads(self.server.kubectl("get", "rostersyncs", "-A", "-o", "json").stdout)["items"]
        for meta in (one["metadata"] for one in found):
            if meta.get("finalizers") and meta["namespace"] != namespace:
                patch = '{"metadata": {"finalizers": null}}'
                arguments = ("patch", "rostersync", meta["name"], "-n", meta["namespace"], "--type=merge", "-p", patch)
                self.server.kubectl(*arguments, check=False)


@dataclass
class Place:
    """One namespace with its districts, and what is asked of it in the end."""

    world: World
    cluster: Cluster

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    def ready(self, *names: str) -> None:
        """These connections exist, and their tests went well."""
        for name in names:
            self.cluster.connect(name)
        for name in names:
            self.wait(lambda name=name: self._ready(name), 40, f"{name} to be ready")

    def waiting(self, *names: str) -> None:
        """A sync of each connection, of the same name, is staged and waits."""
        for name in names:
            self.cluster.sync(name, connection=name)
        for name in names:
            self.wait(lambda name=name: self.cluster.phase(name) in WAITING_PHASES, 40, f"{name} to wait")

    def approve(self, *names: str) -> None:
        """What their status shows is approved."""
        for name in names:
            self.cluster.change(name, approvedPlan=self.cluster.status(name)["plan"]["digest"])

    def wait(self, ask: Callable[[], Any], seconds: float, what: str | Callable[[], str]) -> Any:
        """Until it is so; what broke behind the stage is raised."""

        def asked() -> Any:
            self.world.stage.broken()
            if self.world.kubelet.errors:
                raise self.world.kubelet.errors[0]
            return ask()

        def told() -> str:
            return f"{what if isinstance(what, str) else what()}:\n{json.dumps(self.restless(), indent=1)}"

        return until(asked, seconds, told)

    def settles(self, seconds: float) -> float:
        """Everything comes to rest within this time (I11); how long it took."""
        started = time.monotonic()
        self.wait(lambda: not self.restless(), seconds, "everything to come to rest")
        return time.monotonic() - started

    def restless(self) -> list[str]:
        """What is neither at its end nor waiting for a person, in sentences."""
        found = [
            f"connection {one['metadata']['name']}: {told}" for one in self._connections() if (told := _untold(one))
        ]
        for sync in self.cluster.items("rostersyncs"):
            meta, status = sync["metadata"], sync.get("status") or {}
            phase = status.get("phase", "Pending")
            staged = next((one["reason"] for one in status.get("conditions", ()) if one["type"] == "Staged"), "")
            ended = phase in FINAL_PHASES and not meta.get("finalizers")
            waits = phase in WAITING_PHASES and not _decided(sync)
            resting = ended or waits or (phase == "Pending" and staged in PATIENT)
            if meta.get("deletionTimestamp") or not resting:
                deleted = ", deleted" if meta.get("deletionTimestamp") else ""
                found.append(f"sync {meta['name']}: {phase} {staged}{deleted} {meta.get('finalizers') or ''}")
        return found

    def wrongs(self, *operators: Kept) -> list[str]:
        """Everything that must never be, and is."""
        wrong = self.world.witness.wrongs()
        kept = {kind: self.cluster.items(kind) for kind in ("rostersyncs", "rosterconnections", "jobs", "events")}
        texts = {kind: json.dumps(items) for kind, items in kept.items()}
        for each in operators:
            log = each.operator.log.read_text()
            texts |= {"the log": log, "the metrics": each.operator.fetch("/metrics")[1]}
            # Kopf logs with a traceback that a definition is gone, and leaves tasks behind.
            ours = "\n".join(line for line in log.splitlines() if "/kopf/" not in line)
            wrong += [f"a traceback in the log:\n{log[-4000:]}"] * ("Traceback" in ours)
        wrong += [f"the canary stands in {where}" for where, text in texts.items() if CANARY in text]
        sizes = {one["metadata"]["name"]: len(json.dumps(one.get("status") or {})) for one in kept["rostersyncs"]}
        return wrong + [f"the status of {name} has {size} bytes" for name, size in sizes.items() if size > 16_000]

    def _connections(self) -> list[Body]:
        return self.cluster.items("rosterconnections")

    def _ready(self, name: str) -> bool:
        return self.cluster.condition("Ready", name, "rosterconnections").get("status") == "True"


def _decided(sync: Body) -> bool:
    """A person said all that is needed, and the sync does not go by it yet."""
    spec, plan = sync["spec"], sync["status"]["plan"]
    return bool(spec.get("rejected")) or spec.get("approvedPlan") == plan["digest"]


def _untold(connection: Body) -> str:
    """Why a connection is not at rest; empty where it is."""
    meta, status = connection["metadata"], connection.get("status") or {}
    ready = next((one for one in status.get("conditions", ()) if one["type"] == "Ready"), {})
    if meta.get("deletionTimestamp"):
        return "deleted"
    if connection["spec"].get("suspend"):
        return ""
    if ready.get("observedGeneration") != meta["generation"] or ready.get("status") not in {"True", "False"}:
        return f"not tested as it is now: {ready.get('reason')} {status.get('testJob', '')}"
    return "" if ready["status"] == "True" else f"Ready is False: {ready.get('reason')}"


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """All of it, until the end."""
    programs = toolchain.provide(("etcd", "kube-apiserver", "kubectl", "kube-controller-manager"))
    (folder / "server").mkdir()
    server = ApiServer(folder / "server", _free_port(), programs)
    stage = Backstage()
    made: World | None = None
    try:
        server.start()
        definitions(server)
        server.apply(*operator_rights())
        admin, districts = Admin(server), Districts()
        kubelet, witness = Kubelet(admin, districts), Witness(admin, districts)
        made = World(server, stage, admin, Proxy(server, stage, folder), districts, kubelet, witness, folder)
        made.controllers.append(_controllers(server))
        stage.start(kubelet.run())
        stage.start(witness.run())
        yield made
    finally:
        if made:
            for process in made.controllers:
                process.kill()
                process.wait(10)
            made.proxy.close()
            stage.call(made.admin.close())
        stage.close()
        server.stop()
        shutil.rmtree(server.folder / "etcd", ignore_errors=True)


def definitions(server: ApiServer, *older: Body) -> None:
    """Apply the resource definitions as they are, or these."""
    if older:
        server.apply(*older)
    else:
        server.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    server.established()


def current_definitions() -> list[Body]:
    return [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]


def _controllers(server: ApiServer) -> subprocess.Popen[bytes]:
    command = [server.programs / "kube-controller-manager", "--kubeconfig", server.kubeconfig, "--leader-elect=false"]
    command += [f"--controllers={CONTROLLERS}", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"]
    with (server.folder / "kube-controller-manager.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, preexec_fn=_die_with_parent)  # noqa: PLW1509
