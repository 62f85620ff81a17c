"""How many connections one operator holds: `make bench-scale`. Prints a table and writes build/bench-scale.json.

A real etcd and a real API server are filled with connections and syncs as the operator itself leaves them: one of each
kind is made and brought to its end by it, and then copied. They are written straight into etcd, as the fill is not what
is measured. Then an operator is started, and its CPU time, memory and requests are read until it is at rest. No kubelet
and no Job controller run: their part is played for the syncs that are counted.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import secrets
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table
from tests.benchmarks.source import ROOT
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer, running
from tests.support.jobs import Cluster, staged, until

Body = dict[str, Any]
NAMESPACES = 20
TICKS = os.sysconf("SC_CLK_TCK")
out = Console(highlight=False, width=110)
GOALS = {
    "start_cpu_seconds": 60,
    "peak_mib": 238,
    "writes_at_start": 0,
    "writes_per_sync": 40,
    "largest_status": 16_000,
}


@dataclass
class Figures:
    """What was measured. Times in seconds, sizes in bytes where nothing else is said."""

    connections: int
    syncs: int
    load_at_start: float
    start_cpu_seconds: float = 0.0
    start_wall_seconds: float = 0.0
    peak_mib: float = 0.0
    resting_cpu_share: float = 0.0
    writes_at_start: int = 0
    reads_at_start: int = 0
    writes_per_sync: float = 0.0
    reads_per_sync: float = 0.0
    largest_status: int = 0


def a_whole_life(cluster: Cluster, name: str, letter: str) -> None:
    """A sync from its creation to its merge, with a person's approval; Jobs are ended as a kubelet would."""
    cluster.sync(name)
    cluster.end(cluster.open_job("stage", 60), staged(letter, first=False))
    until(lambda: cluster.status(name).get("plan"), 60, f"a plan of {name}")
    cluster.change(name, approvedPlan=cluster.status(name)["plan"]["digest"])
    cluster.end(cluster.open_job("merge", 60), {"step": "merge", "outcome": "Merged", "dataVersion": 1})
    cluster.wait_phase("Merged", name, 60)
    until(lambda: not cluster.get("rostersyncs", name)["metadata"].get("finalizers"), 60, "no finalizer")


class Process:
    """What the kernel and the operator itself say about its process."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self.pid = operator.pid

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        parts = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / TICKS

    def peak(self) -> float:
        """The most memory so far, MiB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def metrics(self) -> str:
        return self._operator.fetch("/metrics")[1]

    def requests(self) -> tuple[int, int]:
        """Writes and reads so far, without those of the Lease: its writes are PUT and the one POST that makes it."""
        writes = reads = 0
        for method, count in re.findall(r'requests_total\{code="\d+",method="(\w+)"\} ([\d.e+]+)', self.metrics()):
            writes += int(float(count)) if method in {"POST", "PATCH", "DELETE"} else 0
            reads += int(float(count)) if method == "GET" else 0
        return writes, reads

    def rests(self) -> bool:
        """Nothing is queued and nothing is under way."""
        text = self.metrics()
        waiting = re.findall(r"^(?:workqueue_depth|controller_runtime_active_workers)\{.*\} ([\d.]+)", text, re.M)
        return self._operator.fetch("/readyz")[0] == 200 and not any(float(one) for one in waiting)


def etcd_port(server: ApiServer) -> int:
    """Where this server's etcd listens."""
    return int(re.findall(r"client-urls http://127.0.0.1:(\d+)", " ".join(map(str, server.processes[0].args)))[0])


class Etcd:
    """Writes many objects at once, past the API server."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self._batch: list[Body] = []

    def put(self, plural: str, body: Body) -> None:
        meta = body["metadata"]
        key = f"/registry/roster-operator.io/{plural}/{meta['namespace']}/{meta['name']}"
        value = json.dumps(body, separators=(",", ":"))
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in (("key", key), ("value", value))}
        self._batch.append({"requestPut": encoded})
        if len(self._batch) == 100:
            self.flush()

    def flush(self) -> None:
        if self._batch:
            self._http.post("/v3/kv/txn", json={"success": self._batch}).raise_for_status()
            self._batch = []


def copied(body: Body, namespace: str, name: str, **spec: Any) -> Body:
    """An object like this one, of another name."""
    one: Body = json.loads(json.dumps(body))
    one["metadata"] |= {"namespace": namespace, "name": name, "uid": str(uuid4())}
    one["metadata"].pop("resourceVersion", None)
    one["spec"] |= spec
    return one


def fill(server: ApiServer, etcd: Etcd, cluster: Cluster, connections: int) -> int:
    """Copies of the connection and its syncs, in many namespaces; how many syncs there are."""
    pattern = cluster.get("rosterconnections", "springfield")
    syncs = sorted(cluster.items("rostersyncs"), key=lambda one: one["metadata"]["name"])
    for number in range(NAMESPACES):
        server.kubectl("create", "namespace", f"district-{number}")
    for number in range(connections):
        namespace, name = f"district-{number % NAMESPACES}", f"d{number:05d}"
        names = {one["metadata"]["name"]: f"{name}-{one['metadata']['name']}" for one in syncs}
        status = pattern["status"] | {"tenant": f"{namespace}.{name}", "lastSync": names[pattern["status"]["lastSync"]]}
        etcd.put("rosterconnections", copied(pattern, namespace, name) | {"status": status})
        for one in syncs:
            body = copied(one, namespace, names[one["metadata"]["name"]], connectionRef={"name": name})
            etcd.put("rostersyncs", body)
    etcd.flush()
    return connections * len(syncs)


def start(figures: Figures, process: Process, begun: float) -> None:
    """Until it is at rest: what that took, and what it costs from then on."""
    quiet = 0
    last = process.cpu()
    while quiet < 3:
        time.sleep(2)
        now = process.cpu()
        quiet = quiet + 1 if process.rests() and now - last < 0.3 else 0
        last = now
    figures.start_cpu_seconds, figures.start_wall_seconds = round(last, 1), round(time.monotonic() - begun, 1)
    writes, figures.reads_at_start = process.requests()
    figures.writes_at_start = max(0, writes - 1)  # the Lease is made
    time.sleep(20)
    figures.resting_cpu_share = round((process.cpu() - last) / 20, 3)
    figures.peak_mib = round(process.peak())


def lives(figures: Figures, process: Process, cluster: Cluster, count: int) -> None:
    """What the API server is asked and told for each sync."""
    writes, reads = process.requests()
    for number in range(count):
        a_whole_life(cluster, f"counted-{number}", "abcdef"[number % 6])
    time.sleep(5)
    after = process.requests()
    figures.writes_per_sync = round((after[0] - writes) / count, 1)
    figures.reads_per_sync = round((after[1] - reads) / count, 1)


def sizes(cluster: Cluster) -> int:
    """The largest status that stands there."""
    found = [one for plural in ("rostersyncs", "rosterconnections") for one in cluster.items(plural)]
    return max(len(json.dumps(one.get("status") or {})) for one in found)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000, help="each has three syncs (10000)")
    parser.add_argument("--lives", type=int, default=10, help="syncs whose requests are counted (10)")
    given = parser.parse_args()
    figures = Figures(given.connections, 0, os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder, running(Path(folder)) as one:
        etcd = Etcd(etcd_port(one))
        one.kubectl("create", "namespace", "pattern")
        cluster = Cluster(one, "pattern")
        (one.folder / "first").mkdir()
        first = Operator(one, "pattern", one.folder / "first").start().wait_ready()
        cluster.connect()
        cluster.make_ready()
        for letter in "abc":
            a_whole_life(cluster, f"sync-{letter}", letter)
        time.sleep(3)
        first.stop()
        out.print(f"filling etcd with {given.connections:,} connections")
        figures.syncs = fill(one, etcd, cluster, given.connections)
        (one.folder / "second").mkdir()
        begun = time.monotonic()
        settings = {"ROSTER_LEASE_NAME": f"scale-{secrets.token_hex(2)}"}
        settings |= {"ROSTER_LEASE_DURATION": "60", "ROSTER_LEASE_RENEW_DEADLINE": "40", "ROSTER_LEASE_RETRY": "2"}
        measured = Operator(one, "", one.folder / "second", **settings).start()
        process = Process(measured)
        try:
            start(figures, process, begun)
            lives(figures, process, cluster, given.lives)
            figures.largest_status = sizes(cluster)
            figures.peak_mib = max(figures.peak_mib, round(process.peak()))
        finally:
            measured.kill()
            print(measured.said()[-1500:], file=sys.stderr)
    told(figures)
    return 0


def told(figures: Figures) -> None:
    """The table, and the file."""
    table = Table("what", "measured", "goal", title=f"{figures.connections:,} connections, {figures.syncs:,} syncs")
    for name, value in asdict(figures).items():
        goal = GOALS.get(name)
        table.add_row(name, str(value), "" if goal is None else f"at most {goal}")
    out.print(table)
    (ROOT / "build").mkdir(exist_ok=True)
    path = ROOT / "build" / "bench-scale.json"
    herd = {"herd": json.loads(path.read_text()).get("herd")} if path.exists() else {}
    path.write_text(json.dumps(asdict(figures) | {"goals": GOALS} | herd, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
