"""A native cluster: one node, run by root on Linux, without any container engine.

Starts the programs of Kubernetes as ordinary processes. At most one such cluster runs on a machine.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import (
    certificates,
    clients,
    debian,
    host,
    kubeconfigs,
    locks,
    pause,
    places,
    processes,
    record,
    settings,
    toolchain,
    undo,
)
from deploy.local.errors import LocalClusterError
from deploy.local.progress import run, say, step
from deploy.local.record import Record

# Settings that the cluster needs, and settings that the kubelet changes on its own; all are put back by `down`.
NEEDED_SETTINGS = {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"}
KUBELETS_SETTINGS = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)

MEMORY_NEEDED = "about 600 MB"
CLIENTS_OF_THE_API = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "coredns")


@dataclass(frozen=True)
class Status:
    """What is known of the machine's native cluster."""

    running: bool
    checkout: str | None
    dead: tuple[str, ...] = ()


def _lock() -> AbstractContextManager[None]:
    return locks.exclusive(places.LOCK, "start or stop of the local cluster")


def status() -> Status:
    found = record.load()
    if found is None:
        return Status(running=False, checkout=None)
    dead = tuple(found.dead())
    return Status(running=found.complete and not dead, checkout=found.checkout, dead=dead)


def up() -> bool:
    """Bring the cluster up. True when it was started now, False when it was running already."""
    with _lock():
        found = record.load()
        if found and found.complete and not found.dead() and clients.api_answers():
            _refuse_foreign(found)
            return False
        if undo.anything_left():
            if found and found.checkout != str(places.CHECKOUT) and not found.dead():
                _refuse_foreign(found)
            with step("Clearing what an earlier cluster left behind"):
                undo.undo(found)
        debian.install(debian.NATIVE)
        bin_folder = toolchain.provide(toolchain.NATIVE)
        for name in toolchain.CLIENTS:
            toolchain.offer(name, bin_folder / name)
        _start(bin_folder)
        return True


def down() -> bool:
    """Take the cluster down. False when there was none."""
    with _lock():
        found = record.load()
        if found and not found.dead():
            _refuse_foreign(found)
        if not undo.anything_left():
            return False
        with step("Taking the native cluster down", expected=5):
            undo.undo(found)
        return True


def _refuse_foreign(found: Record) -> None:
    """A running cluster of another checkout is not ours to use or to end, unless that checkout is gone."""
    if found.checkout != str(places.CHECKOUT) and Path(found.checkout).exists():
        raise LocalClusterError(
            f"This machine already runs a native cluster, started from {found.checkout}. "
            "Take it down there first: python3 -m deploy.local down"
        )


def _look_before_starting() -> None:
    """Refuse where another cluster, or another network of this host, would be disturbed."""
    if host.link_exists(settings.BRIDGE):
        raise LocalClusterError(
            f"There is an interface {settings.BRIDGE} that this tool has no record of. "
            f"If nothing needs it: ip link delete {settings.BRIDGE}"
        )
    if route := host.overlapping_route([settings.POD_RANGE, settings.SERVICE_RANGE]):
        raise LocalClusterError(
            f"This host has the route {route}, which overlaps the cluster's networks {settings.POD_RANGE} and "
            f"{settings.SERVICE_RANGE}. Please use a cluster of your own with --kubeconfig."
        )
    if foreign := host.tables().intersection(undo.KUBE_PROXY_TABLES):
        raise LocalClusterError(
            f"Another Kubernetes node seems to run on this machine: there is a packet filter table {foreign.pop()}. "
            "Please use that cluster with --kubeconfig."
        )
    for address, port in settings.PORTS:
        if not host.port_is_free(address, port):
            raise LocalClusterError(f"Port {port} on {address}, which the cluster needs, is taken (see: ss -ltnp).")


def _start(bin_folder: Path) -> None:
    _look_before_starting()
    say(f"Starting a native single-node cluster: about 15 s, {MEMORY_NEEDED} of memory.")
    places.READY.unlink(missing_ok=True)
    for folder in (places.RUN, places.DATA):
        folder.mkdir(mode=0o700, parents=True)
    # The bridge filter is a module on most kernels and built in on some; without it there is another way, below.
    subprocess.run(["modprobe", "--quiet", "br_netfilter"], capture_output=True, check=False)
    made = record.new()
    made.settings_before = host.read_settings([*NEEDED_SETTINGS, *KUBELETS_SETTINGS])
    made.absent_before = undo.absent_now()
    made.save()

    with step("Certificates, configuration, network"):
        certificates.make(
            settings.CERTIFICATES,
            certificates.identities(settings.ADDRESS, settings.SERVICE_ADDRESS, settings.NODE),
        )
        _network()
        for identity in CLIENTS_OF_THE_API:
            content = kubeconfigs.render(settings.SERVER, settings.CERTIFICATES, identity)
            kubeconfigs.write(settings.kubeconfig(identity), content)
        admin = kubeconfigs.render(settings.SERVER, settings.CERTIFICATES, "admin")
        kubeconfigs.write(places.KUBECONFIG, admin)

    starter = _Starter(bin_folder, made)
    with step("Control plane", expected=8):
        starter.start("etcd", "containerd", "kube-apiserver")
        _load_pause_image(starter)
        starter.wait("the API server", clients.api_answers, 90)
        _apply(bin_folder, (places.FILES / "coredns-rbac.yaml").read_text())
        starter.start("kube-controller-manager", "kube-scheduler", "coredns")
    with step("Node", expected=8):
        starter.start("kubelet", "kube-proxy")
        starter.wait("the node", lambda: _node_is_ready(bin_folder), 90)
        starter.wait("the default service account", lambda: _has_service_account(bin_folder), 60)
        starter.wait("the DNS server", _dns_answers, 60)
        starter.wait("the service network", _service_network_is_ready, 60)
    made.complete = True
    made.save()


def _network() -> None:
    host.make_bridge(settings.BRIDGE, settings.ADDRESS, int(settings.POD_RANGE.partition("/")[2]))
    done = {name: host.write_setting(name, value) for name, value in NEEDED_SETTINGS.items()}
    # Where replies between two pods cross the bridge unseen by the packet filter, a service's address would not be
    # put back into them. Then all traffic to services is sent in the node's name instead.
    settings.write(masquerade_all=not done["net.bridge.bridge-nf-call-iptables"])
    run(["nft", "--file", places.DATA / "masquerade.nft"])


class _Starter:
    """Starts programs, records each at once, and waits for them while watching that none of them dies."""

    def __init__(self, bin_folder: Path, made: Record) -> None:
        self._commands = settings.commands(bin_folder)
        self._record = made
        self.bin_folder = bin_folder
        path = f"{bin_folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        # Nothing of the user's environment reaches the cluster: no proxy, no certificates, no language.
        self._environment = {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8"}

    def start(self, *names: str) -> None:
        for name in names:
            log = places.LOGS / f"{name}.log"
            log.unlink(missing_ok=True)
            started = processes.start(name, self._commands[name], log=log, env=self._environment)
            self._record.processes.append(started)
            self._record.save()

    def wait(self, what: str, is_ready: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not is_ready():
            if dead := self._record.dead():
                log = places.LOGS / f"{dead[0]}.log"
                last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise LocalClusterError(f"{dead[0]} ended while the cluster started. The end of {log}:\n{last}")
            if time.monotonic() > deadline:
                raise LocalClusterError(f"After {seconds:.0f} s {what} was not ready. The logs are in {places.LOGS}.")
            time.sleep(0.3)


def _kubectl(bin_folder: Path, *arguments: str, text_in: str | None = None) -> str:
    return run([bin_folder / "kubectl", "--kubeconfig", places.KUBECONFIG, *arguments], text_in=text_in)


def _apply(bin_folder: Path, manifest: str) -> None:
    _kubectl(bin_folder, "apply", "--server-side", "--field-manager=roster-local", "-f", "-", text_in=manifest)


def _node_is_ready(bin_folder: Path) -> bool:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    return _kubectl(bin_folder, "get", "nodes", "--output", path).strip() == "True"


def _has_service_account(bin_folder: Path) -> bool:
    answer = _kubectl(bin_folder, "get", "serviceaccount", "default", "--ignore-not-found", "--output", "name")
    return bool(answer.strip())


def _dns_answers() -> bool:
    """Ask for the API server's name, by a DNS question made by hand: the standard library cannot choose its server."""
    labels = b"".join(bytes([len(each)]) + each for each in b"kubernetes default svc cluster local".split())
    question = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(1)
        try:
            asker.sendto(question, (settings.ADDRESS, 53))
            answer = asker.recv(512)
        except OSError:
            return False
    return socket.inet_aton(settings.SERVICE_ADDRESS) in answer


def _service_network_is_ready() -> bool:
    try:
        with urllib.request.urlopen("http://127.0.0.1:10256/healthz", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _load_pause_image(starter: _Starter) -> None:
    archive = places.DATA / "pause.tar"
    pause.write_archive(archive, settings.PAUSE_IMAGE)
    starter.wait("the container runtime", lambda: settings.SOCKET.exists() and _ctr_answers(starter.bin_folder), 60)
    load_image(starter.bin_folder, archive)


def _ctr_answers(bin_folder: Path) -> bool:
    command = [bin_folder / "ctr", "--address", settings.SOCKET, "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def load_image(bin_folder: Path, archive: Path) -> None:
    """Give an image archive to the node."""
    run([bin_folder / "ctr", "--address", settings.SOCKET, "--namespace", "k8s.io", "images", "import", archive])


def has_image(bin_folder: Path, name: str) -> bool:
    """Whether the node has an image of this full name."""
    command = [bin_folder / "ctr", "--address", settings.SOCKET, "--namespace", "k8s.io", "images", "list", "--quiet"]
    return name in run(command).splitlines()
