"""Takes a native cluster down, whole or half-started: ends what it started, removes what it made, and nothing else.

Works from the record and from what lies in the cluster's own folders, so that it also clears up after a crash.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from deploy.local import host, places, processes, record, settings
from deploy.local.record import Record

# The kubelet and kube-proxy end first: they would put back what is taken away.
FIRST_TO_END = ("kubelet", "kube-proxy", "kube-controller-manager", "kube-scheduler")

NETWORK_RESULTS = Path("/var/lib/cni")
SHIM_SOCKETS = Path("/run/containerd")
CONTAINER_LOGS = Path("/var/log/containers")
KUBELET_SOCKETS = Path("/var/lib/kubelet")
# Paths that these programs cannot be told to change. Removed only where they were not there before.
SHARED_FOLDERS = (NETWORK_RESULTS, SHIM_SOCKETS, CONTAINER_LOGS, KUBELET_SOCKETS)
KUBE_PROXY_TABLES = ("ip kube-proxy", "ip6 kube-proxy")
PODS_CONTROL_GROUP = "kubepods"


def absent_now() -> list[str]:
    """Which of the shared things are not there yet: only those may be removed later."""
    absent = [str(folder) for folder in SHARED_FOLDERS if not folder.exists()]
    there = host.tables()
    absent += [table for table in KUBE_PROXY_TABLES if table not in there]
    if not host.control_groups(PODS_CONTROL_GROUP):
        absent.append(PODS_CONTROL_GROUP)
    return absent


def anything_left() -> bool:
    """Whether an earlier cluster left something: its folders, its bridge or its table."""
    return (
        record.FILE.exists()
        or places.DATA.exists()
        or places.RUN.exists()
        or (host.link_exists(settings.BRIDGE) and f"ip {settings.TABLE}" in host.tables())
    )


def undo(found: Record | None) -> None:
    """Remove a cluster. Safe to repeat, and safe where only parts of it are there."""
    started = found.processes if found else []
    processes.stop(each for each in started if each.name in FIRST_TO_END)
    # Pods are killed, not asked: their objects are gone in a moment, and the demo's database has nothing to save.
    processes.stop(host.processes_in_control_groups(_container_ids()), first=processes.KILL)
    processes.stop(
        host.processes_running("containerd-shim-runc-v2", with_argument=str(settings.SOCKET)), first=processes.KILL
    )
    # The API server would wait a minute for its watchers; nobody is left whom that would serve.
    processes.stop(started, patience=3)

    shim_sockets = _shim_sockets()
    host.unmount_below([places.RUN, places.DATA])
    host.delete_link(settings.BRIDGE)
    host.delete_table(f"ip {settings.TABLE}")
    for socket in shim_sockets:
        socket.unlink(missing_ok=True)
    for result in NETWORK_RESULTS.glob("results/roster-local-*"):
        result.unlink(missing_ok=True)
    for link in CONTAINER_LOGS.glob("*.log"):
        with suppress(OSError):
            if link.readlink().is_relative_to(places.DATA):
                link.unlink()
    if found:
        _restore(found)
    host.delete_folder(places.DATA)
    # Last, as it holds the record.
    host.delete_folder(places.RUN)


def _restore(found: Record) -> None:
    for table in KUBE_PROXY_TABLES:
        if table in found.absent_before:
            host.delete_table(table)
    if PODS_CONTROL_GROUP in found.absent_before:
        for group in host.control_groups(PODS_CONTROL_GROUP):
            host.delete_control_groups(group)
    for folder in SHARED_FOLDERS:
        if str(folder) in found.absent_before:
            _delete_if_empty(folder)
    # After a restart of the machine the kernel has its own values again.
    if found.of_this_boot:
        for name, value in found.settings_before.items():
            host.write_setting(name, value)


def _container_ids() -> set[str]:
    tasks = places.RUN / "containerd" / "io.containerd.runtime.v2.task"
    return {bundle.name for bundle in tasks.glob("*/*") if bundle.is_dir()}


def _shim_sockets() -> list[Path]:
    """The sockets of our shims. They lie in a folder shared with any other containerd, under names made of digests."""
    tasks = places.RUN / "containerd" / "io.containerd.runtime.v2.task"
    found: list[Path] = []
    for file in tasks.glob("*/*/bootstrap.json"):
        with suppress(OSError, ValueError, KeyError):
            address = str(json.loads(file.read_text())["address"])
            found.append(Path(address.removeprefix("unix://")))
    return [socket for socket in found if socket.is_relative_to(SHIM_SOCKETS)]


def _delete_if_empty(folder: Path) -> None:
    """Remove a folder and the empty folders and stale sockets in it; a file that anyone wrote keeps it."""
    if not folder.is_dir():
        return
    for each in sorted(folder.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):
            if each.is_dir() and not each.is_symlink():
                each.rmdir()
            elif each.is_socket():
                each.unlink()
    with suppress(OSError):
        folder.rmdir()
