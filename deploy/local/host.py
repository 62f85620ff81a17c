"""The machine under a native cluster: kernel settings, the bridge, packet filter tables, mounts, control groups.

Reads and changes the host, and knows nothing of Kubernetes.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from deploy.local import processes
from deploy.local.errors import LocalClusterError
from deploy.local.processes import Process
from deploy.local.progress import run

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def _setting_file(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def read_settings(names: Iterable[str]) -> dict[str, str]:
    """The values of these kernel settings; those that this kernel does not have are left out."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(OSError):
            found[name] = _setting_file(name).read_text().strip()
    return found


def write_setting(name: str, value: str) -> bool:
    """Set one kernel setting. False where the kernel does not have it or does not let us."""
    try:
        _setting_file(name).write_text(value)
    except OSError:
        return False
    return True


def tables() -> set[str]:
    """The packet filter's tables, each as `family name`."""
    done = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    return {line.removeprefix("table ").strip() for line in done.stdout.splitlines() if line.strip()}


def delete_table(table: str) -> None:
    subprocess.run(["nft", "delete", "table", *table.split()], capture_output=True, check=False)


def link_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def make_bridge(name: str, address: str, prefix: int) -> None:
    run(["ip", "link", "add", name, "type", "bridge"])
    run(["ip", "address", "add", f"{address}/{prefix}", "dev", name])
    run(["ip", "link", "set", name, "up"])


def delete_link(name: str) -> None:
    if link_exists(name):
        run(["ip", "link", "delete", name])


def overlapping_route(ranges: Iterable[str]) -> str | None:
    """A route of this host into one of the address ranges, other than the default route, or None."""
    wanted = [ipaddress.ip_network(each) for each in ranges]
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "main"])):
        if route["dst"] == "default":
            continue
        if any(ipaddress.ip_network(route["dst"], strict=False).overlaps(each) for each in wanted):
            return f"{route['dst']} on {route.get('dev', 'an unknown interface')}"
    return None


def port_is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The bridge's address is looked at before the bridge exists: then nothing can listen on it alone.
        probe.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_FREEBIND", 15), 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def mounts_below(folders: Iterable[Path], mountinfo: str | None = None) -> list[str]:
    """Mount points at or below these folders, the deepest first."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    points = [line.split()[4].encode().decode("unicode_escape") for line in text.splitlines()]
    roots = [str(folder) for folder in folders]
    ours = [point for point in points if any(point == root or point.startswith(f"{root}/") for root in roots)]
    return sorted(ours, key=lambda point: point.count("/"), reverse=True)


def unmount_below(folders: list[Path]) -> None:
    """Unmount everything at or below these folders. Raises when something stays: then nothing may be deleted there."""
    for point in mounts_below(folders):
        if subprocess.run(["umount", point], capture_output=True, check=False).returncode != 0:
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    if left := mounts_below(folders):
        raise LocalClusterError(f"These mounts could not be removed, so nothing is deleted: {' '.join(left)}")


def delete_folder(folder: Path) -> None:
    """Delete a folder that holds no mount."""
    if mounts_below([folder]):
        raise LocalClusterError(f"{folder} still holds mounts, so it is not deleted.")
    if folder.exists():
        shutil.rmtree(folder)


def control_groups(name: str) -> list[Path]:
    """The control groups called `name` at the top: one in version 2, one for each controller in version 1."""
    return [path for path in [CONTROL_GROUPS / name, *CONTROL_GROUPS.glob(f"*/{name}")] if path.is_dir()]


def delete_control_groups(top: Path) -> None:
    """Remove a tree of control groups. The kernel refuses those that still hold a process, and they stay."""
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def _every_process() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def processes_in_control_groups(names: set[str]) -> list[Process]:
    """Processes in a control group with one of these names, such as a container's id of 64 digits."""
    found: list[Process] = []
    for pid in _every_process():
        try:
            groups = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue
        if names.intersection(groups.replace("\n", "/").split("/")):
            process = processes.identify("container", pid)
            if process is not None:
                found.append(process)
    return found


def processes_running(program: str, *, with_argument: str) -> list[Process]:
    """Processes of the program called `program` that have exactly this argument on their command line."""
    found: list[Process] = []
    for pid in _every_process():
        try:
            executable = Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if executable == program and with_argument in arguments:
            process = processes.identify(program, pid)
            if process is not None:
                found.append(process)
    return found
