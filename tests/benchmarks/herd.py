"""A herd: very many schedules at one minute, in one operator. Prints a table and adds it to build/bench-scale.json.

A real etcd and a real API server; each connection of the herd has been merged before, and its schedule falls due at the
same minute as all others'. No Job controller runs: a Job is ended here, a fixed time after it was made. What is told:
how far the syncs are spread, how many Jobs were under way at the same time, who waited longest, and whether each had
its one stage, its one merge and its end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table
from tests.benchmarks.scale import NAMESPACES, Etcd, Process, a_whole_life, copied, etcd_port, out
from tests.benchmarks.source import ROOT
from tests.controller.conftest import Operator
from tests.support.apiserver import ApiServer, running
from tests.support.jobs import GROUP, Cluster, good_test, staged, until

Body = dict[str, Any]
STEP = "roster-operator.io/step"
ENDERS = 4  # threads that end Jobs
# A merge ends what staging began, so it may have a quarter more places than there are.
ROOM = 1.25


@dataclass
class Herd:
    """What was measured. Seconds where nothing else is said."""

    schedules: int
    places: int  # Jobs that may be under way at the same time
    jitter: int
    job_seconds: float
    load_at_start: float
    merged: int = 0
    twice: int = 0  # syncs with more than one stage or merge Job
    late: list[int] = field(default_factory=list)  # made after the minute, from the first to the last: 0, 50, 95, 100 %
    most_made_in_a_second: int = 0
    most_jobs: int = 0
    most_stages: int = 0
    waited_for_a_place: list[int] = field(default_factory=list)  # 50, 95, 100 %
    whole: float = 0.0  # from the minute to the last merge
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    writes_per_sync: float = 0.0

    @property
    def starved(self) -> int:
        return self.schedules - self.merged

    @property
    def wrongs(self) -> list[str]:
        """What a herd must not be."""
        held = {
            f"{self.starved} were not merged": self.starved > 0,
            f"{self.twice} were staged or merged twice": self.twice > 0,
            f"{self.most_jobs} Jobs at the same time": self.most_jobs > self.places * ROOM,
            f"{self.most_stages} stages at the same time": self.most_stages > self.places,
        }
        return [what for what, is_so in held.items() if is_so]


class Jobs:
    """The Job controller's part: every Job ends some time after it was made, and is counted until then."""

    def __init__(self, server: ApiServer, seconds: float) -> None:
        self._seconds = seconds
        self._all = Cluster(server, "pattern")
        self._spaces = {f"district-{number}": Cluster(server, f"district-{number}") for number in range(NAMESPACES)}
        self._lock = threading.Lock()
        self._open: dict[str, str] = {}
        self.most, self.most_stages = 0, 0
        self.made: dict[tuple[str, str], list[str]] = {}  # by owner's uid and step: when
        self.errors: list[BaseException] = []
        self._pool = ThreadPoolExecutor(ENDERS)
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._version = self._all.request("GET", "/apis/batch/v1/jobs?limit=1")["metadata"]["resourceVersion"]
        self._watching.start()

    def _watch(self) -> None:
        query = f"watch=1&labelSelector={STEP}&resourceVersion={self._version}&timeoutSeconds=36000"
        try:
            for event in self._all.watch(f"/apis/batch/v1/jobs?{query}"):
                job = event["object"]
                if event["type"] == "ADDED" and job["metadata"]["namespace"] in self._spaces:
                    self._begun(job)
        except httpx.TransportError as error:  # also in the end, when the server goes
            self.errors.append(error)

    def _begun(self, job: Body) -> None:
        meta, step = job["metadata"], job["metadata"]["labels"][STEP]
        with self._lock:
            self._open[meta["uid"]] = step
            self.made.setdefault((meta["ownerReferences"][0]["uid"], step), []).append(meta["creationTimestamp"])
            steps = Counter(self._open.values())
            self.most = max(self.most, steps.total())
            self.most_stages = max(self.most_stages, steps["stage"])
        timer = threading.Timer(self._seconds, lambda: self._pool.submit(self._end, job))
        timer.daemon = True
        timer.start()

    def _end(self, job: Body) -> None:
        meta, step = job["metadata"], job["metadata"]["labels"][STEP]
        answers = {
            "stage": staged("d", first=False),
            "merge": {"step": "merge", "outcome": "Merged", "dataVersion": 2},
            "test": good_test(),
        }
        try:
            # It is counted as over before the operator can know of it.
            with self._lock:
                self._open.pop(meta["uid"])
            self._spaces[meta["namespace"]].end(job, answers[step])
        except BaseException as error:
            self.errors.append(error)
            raise


def fill(server: ApiServer, etcd: Etcd, cluster: Cluster, count: int, minute: datetime) -> None:
    """Copies of a connection that was merged, each with its schedule in force since then, and due at this minute."""
    pattern = cluster.get("rosterconnections", "springfield")
    for number in range(NAMESPACES):
        server.kubectl("create", "namespace", f"district-{number}")
    for number in range(count):
        namespace, name = f"district-{number % NAMESPACES}", f"d{number:05d}"
        one = copied(pattern, namespace, name)
        # The pattern's own next time is with its own delay.
        status = one["status"] | {"tenant": f"{namespace}.{name}", "nextSync": f"{minute:%Y-%m-%dT%H:%M:%SZ}"}
        status.pop("lastSync", None)
        etcd.put("rosterconnections", one | {"status": status})
    etcd.flush()


def measure(given: argparse.Namespace, server: ApiServer, folder: Path) -> Herd:
    """The pattern, its copies, the minute, and what came of it."""
    herd = Herd(given.schedules, given.places, given.jitter, given.job_seconds, round(os.getloadavg()[0], 1))
    etcd = Etcd(etcd_port(server))
    server.kubectl("create", "namespace", "pattern")
    cluster = Cluster(server, "pattern")
    (folder / "first").mkdir()
    first = Operator(server, "pattern", folder / "first").start().wait_ready()
    cluster.connect()
    cluster.make_ready()
    a_whole_life(cluster, "before", "a")
    # Filling and starting take their time, and the minute must not come before they are over.
    minute = (datetime.now(UTC) + timedelta(seconds=60 + given.schedules / 50)).replace(second=0, microsecond=0)
    minute += timedelta(minutes=1)
    schedule = f"{minute.minute} {minute.hour} * * *"
    auto = {"schedule": schedule, "approval": "WithinLimits"}
    cluster.patch("rosterconnections", "springfield", {"spec": {"automaticSync": auto}})
    cluster.make_ready()  # what was edited is tested again
    cluster.wait_condition("Scheduled", "Scheduled", "springfield", "rosterconnections", 30)

    def tested() -> bool:
        body = cluster.get("rosterconnections", "springfield")
        ready = cluster.condition("Ready", "springfield", "rosterconnections")
        return ready["observedGeneration"] == body["metadata"]["generation"]

    until(tested, 30, "the edited connection to be tested")
    time.sleep(1)
    first.stop()
    fill(server, etcd, cluster, given.schedules, minute)
    cluster.delete("rosterconnections", "springfield")
    jobs = Jobs(server, given.job_seconds)
    jobs.start()
    (folder / "second").mkdir()
    settings = {
        "ROSTER_MAX_JOBS": str(given.places), "ROSTER_SCHEDULE_JITTER": str(given.jitter), "ROSTER_LEASE_NAME": "herd",
        "ROSTER_LEASE_DURATION": "60", "ROSTER_LEASE_RENEW_DEADLINE": "40", "ROSTER_LEASE_RETRY": "2",
    }  # fmt: skip
    operator = Operator(server, "", folder / "second", **settings).start().wait_ready()
    try:
        process = Process(operator)
        until(process.rests, 300, "the operator to be at rest")
        out.print(f"{herd.schedules:,} schedules fall due at {minute:%H:%M} UTC")
        wait_for(minute)
        before, cpu = process.requests()[0], process.cpu()
        merged_all(herd, cluster, jobs, minute, given.patience)
        herd.cpu_seconds, herd.peak_mib = round(process.cpu() - cpu, 1), round(process.peak())
        herd.writes_per_sync = round((process.requests()[0] - before) / max(1, herd.merged), 1)
    finally:
        operator.kill()
        print(operator.said()[-600:], file=sys.stderr)
    return herd


def wait_for(minute: datetime) -> None:
    left = (minute - datetime.now(UTC)).total_seconds()
    if left < 0:
        raise SystemExit("The minute came before the operator was at rest: the machine is too busy. Try fewer.")
    time.sleep(left)


def merged_all(herd: Herd, cluster: Cluster, jobs: Jobs, minute: datetime, patience: float) -> None:
    """Wait until every sync is merged, or nothing more is for so long; then read what happened off the objects."""
    began = last = time.monotonic()
    while herd.merged < herd.schedules and time.monotonic() - last < patience:
        time.sleep(2)
        if jobs.errors:
            raise jobs.errors[0]
        ended = sum((one.get("status") or {}).get("phase") == "Merged" for one in _syncs(cluster))
        if ended > herd.merged:
            herd.merged, last = ended, time.monotonic()
    herd.whole = round(time.monotonic() - began)
    syncs = _syncs(cluster)
    made = sorted(_seconds(one["metadata"]["creationTimestamp"], minute) for one in syncs)
    herd.late = parts(made, 0, 50, 95, 100)
    herd.most_made_in_a_second = max(Counter(made).values(), default=0)
    waits = sorted(
        _seconds(begun[0], minute) - _seconds(one["metadata"]["creationTimestamp"], minute)
        for one in syncs
        if (begun := jobs.made.get((one["metadata"]["uid"], "stage")))
    )
    herd.waited_for_a_place = parts(waits, 50, 95, 100)
    herd.most_jobs, herd.most_stages = jobs.most, jobs.most_stages
    herd.twice = sum(len(times) > 1 for times in jobs.made.values()) + max(0, len(syncs) - herd.schedules)


def _syncs(cluster: Cluster) -> list[Body]:
    found = cluster.request("GET", f"{GROUP}/rostersyncs")["items"]
    return [one for one in found if one["metadata"]["namespace"] != "pattern"]


def _seconds(stamp: str, since: datetime) -> int:
    return round((datetime.fromisoformat(stamp) - since).total_seconds())


def parts(values: list[int], *percents: int) -> list[int]:
    """What so many per cent of sorted values do not exceed."""
    return [values[min(len(values) - 1, len(values) * percent // 100)] for percent in percents] if values else []


def main() -> int:
    """Measure, print, write; 1 where one was starved or a cap was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=500, help="connections whose schedules fall together (500)")
    parser.add_argument("--places", type=int, default=20, help="Jobs at the same time: the operator's maxJobs (20)")
    parser.add_argument("--jitter", type=int, default=60, help="the operator's scheduleJitter, seconds (60)")
    parser.add_argument("--job-seconds", type=float, default=2.0, help="how long each Job takes (2)")
    parser.add_argument("--patience", type=float, default=600, help="seconds without a merge that end the wait (600)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-herd-") as folder, running(Path(folder)) as server:
        herd = measure(given, server, Path(folder))
    told(herd)
    return 1 if herd.wrongs else 0


def told(herd: Herd) -> None:
    """The table, and the herd's part of the file."""
    table = Table("what", "measured", title=f"{herd.schedules:,} schedules at one minute")
    for name, value in (asdict(herd) | {"starved": herd.starved}).items():
        table.add_row(name, str(value))
    out.print(table)
    for wrong in herd.wrongs:
        out.print(f"Wrong: {wrong}.")
    path = ROOT / "build" / "bench-scale.json"
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    herds = known.get("herd") or {}
    herds[str(herd.schedules)] = asdict(herd) | {"starved": herd.starved}
    path.write_text(json.dumps(known | {"herd": herds}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
