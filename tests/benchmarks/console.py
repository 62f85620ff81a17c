"""How long a page of the console takes: `make bench-console`. Prints a table and writes build/bench-console.json.

Two districts stand in one database and in one cluster: a large one, and a small one that says what a page costs
where there is hardly anything to look through. A first sync of each waits, then is merged, then another one waits.
The console is a process of its own, on a real API server and a real PostgreSQL, and each request is a person's.
Every address that can be read is asked, and with what makes it look through the most.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from fastapi.routing import APIRoute
from rich.console import Console
from rich.table import Table
from tests.benchmarks.source import CLIENT, ROOT, SECRET, Source, served
from tests.console.world import DISTRICT, World
from tests.store.fixtures import Roster
from tests.support.apiserver import ApiServer, running
from tests.support.postgres import OWNER

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.console.app import ROOMS
from roster_operator.store import access
from roster_operator.store.migrate import migrate
from roster_sample_sis import SampleSIS

GOAL_MS = 300.0
HELD = 600  # people with access
FIRST, SECOND = "first", "second"
# Asked of a district whose source is an SIS they say only that it takes no bundles.
NOT_MEASURED = {"/namespaces/{namespace}/connections/{name}/upload"}
_CONNECTION = "/namespaces/{namespace}/connections/{name}"
_SYNC = "/namespaces/{namespace}/syncs/{name}"
Asked = tuple[str, dict[str, str]]
out = Console(highlight=False, width=140)


@dataclass(frozen=True)
class Line:
    """One way to ask for one page. Times in milliseconds; ratio: of the medians, large by small.
    given_up: the console gave the question up, which took at least this long."""

    page: str
    state: str  # of the district: whether its first sync waits, or is merged and another one waits
    small_ms: float
    median_ms: float
    p95_ms: float
    kib: float
    ratio: float
    given_up: bool


class Far:
    """A SIS in another process, as World needs it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.token_url = source.token_url

    def endpoint(self, _version: str) -> str:
        return self._source.endpoint

    def variant(self, name: str) -> None:
        self._source.variant(name)


class Visitor:
    """One person at the console, on one connection that stays."""

    def __init__(self, port: int, world: World) -> None:
        self.world = world
        self._token = world.person("boss", "cluster-admin")
        self._http = http.client.HTTPConnection("localhost", port, timeout=120)
        status, headers, body = self._ask("GET", "/login", {})
        assert status == 200
        form = re.search(r'name="form_token" value="([^"]+)"', body.decode())
        assert form
        fields = {"form_token": form[1], "token": self._token, "namespaces": world.namespace}
        sent = {"Cookie": _cookie(headers), "Sec-Fetch-Site": "same-origin"}
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        status, headers, _ = self._ask("POST", "/login", sent, urlencode(fields))
        assert status == 303, status
        self._signed_in = {"Cookie": _cookie(headers)}

    def get(self, path: str, **query: str) -> tuple[float, int, bool]:
        """Seconds until the whole answer was there, its bytes, and whether it is what was asked for."""
        mine = {"Authorization": f"Bearer {self._token}"} if path.startswith("/api/") else self._signed_in
        address = self.fill(path) + ("?" + urlencode(query, quote_via=quote) if query else "")
        begun = time.perf_counter()
        status, _, body = self._ask("GET", address, mine)
        took = time.perf_counter() - begun
        assert status in (200, 503), (path, query, status, body[-600:])
        return took, len(body), status == 200

    def fill(self, path: str) -> str:
        name = DISTRICT if "/connections" in path else "{sync}"
        return path.replace("{namespace}", self.world.namespace).replace("{name}", name)

    def _ask(
        self, method: str, address: str, headers: dict[str, str], body: str | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        self._http.request(method, address, body, headers)
        answer = self._http.getresponse()
        return answer.status, answer.headers, answer.read()


def _cookie(headers: http.client.HTTPMessage) -> str:
    return headers["Set-Cookie"].partition(";")[0]


class At(Visitor):
    """A visitor who looks at one sync."""

    sync = FIRST

    def fill(self, path: str) -> str:
        return super().fill(path).replace("{sync}", self.sync)


@contextmanager
def console(world: World, folder: Path) -> Iterator[int]:
    """The port of a console as its image starts it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    (folder / "key").write_text("k" * 40)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "operator"),
        "KUBECONFIG": str(world.server.kubeconfig),
        "ROSTER_CONSOLE_DATABASE_URL": world.console_url,
        "ROSTER_CONSOLE_SESSION_KEY_FILE": str(folder / "key"),
        "ROSTER_CONSOLE_CLUSTER": world.settings.cluster,
        "ROSTER_CONSOLE_PORT": str(port),
    }
    with (folder / "console.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "roster_operator.console"], env=environment, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def pages(world: World, state: str) -> Iterator[Asked]:
    """Every address that can be read, each with what makes it look through the most."""
    for path in sorted(readable() - NOT_MEASURED):
        if "/syncs/{name}" in path or state == SECOND:
            yield from ((path, query) for query in _queries(world, path))


def readable() -> set[str]:
    """The addresses of all pages and of the API."""
    found = [route for room in ROOMS for route in room.router.routes if isinstance(route, APIRoute)]
    public = ("/healthz", "/login", "/static/")
    return {route.path for route in found if "GET" in route.methods and not route.path.startswith(public)}


def _queries(world: World, path: str) -> list[dict[str, str]]:
    one = world.roster.one(
        "select min(sourced_id) from roster.users where tenant = %s and status = 'active'", world.tenant
    )
    school = world.roster.one(
        "select min(sourced_id) from roster.orgs where tenant = %s and type = 'school'", world.tenant
    )
    last = {"after": "zzzz"}
    nobody = {"text": "nobody is called this"}
    everyone = [{}, {"text": "an"}, nobody, {"text": "x@y.example"}, {"role": "administrator"}, {"status": "all"}, last]
    changed: list[dict[str, str]] = [
        {}, {"entity": "enrollments"}, {"action": "update"}, {"search": "nobody is called this"},
        {"search": "an"}, {"field": "email"}, {"field": "phone", "entity": "users"}, last,
        {"entity": "enrollments", "search": "nothing is called this"},
        {"entity": "enrollments", "action": "reactivate"},
    ]  # fmt: skip
    if school:
        everyone.append({"school": school})
        changed += [{"school": school}, {"school": school, "entity": "enrollments"}]
    end = path.removeprefix("/api")
    return {
        f"{_CONNECTION}/people": everyone,
        f"{_CONNECTION}/people/person": [{"id": one or ""}],
        f"{_CONNECTION}/people/student": [{}, {"school": school or ""}],
        f"{_CONNECTION}/classes": [{"school": school or ""}],
        f"{_CONNECTION}/access": [{}, *({"candidates" if end != path else "text": each} for each in ("an", "nobody"))],
        f"{_CONNECTION}/activity": [{}, {"kind": "read"}, {"kind": "granted"}, {"kind": "merge"}],
        f"{_SYNC}/changes": changed,
        f"{_SYNC}/issues": [{}, {"entity": "users"}],
    }.get(end, [{}])


def prepare(server: ApiServer, namespace: str, roster: Roster, source: Source) -> World:
    """A district whose first sync waits."""
    server.kubectl("create", "namespace", namespace)
    world = World(server, namespace, roster, cast(SampleSIS, Far(source)), client=(CLIENT, SECRET))
    world.begin()
    world.stage(FIRST)
    return world


def go_on(world: World) -> None:
    """Merge the first sync, let people in, and stage another one."""
    world.merge(FIRST)
    some = world.roster.ask(
        "select sourced_id from roster.users where tenant = %s and status = 'active' and role <> 'student'"
        " order by 1 limit %s", world.tenant, HELD,
    )  # fmt: skip
    with world.roster.owner() as conn, conn.transaction():
        for (user,) in some:
            access.grant(conn, world.tenant, user, ["tests:view"], by="boss")
    cast(Far, world.sis).variant("one-percent")
    world.stage(SECOND)


def measure(small: World, large: World, port: int, state: str, times: int) -> list[Line]:
    """The same questions to both districts, in turn."""
    visitors = [At(port, small), At(port, large)]
    for each in visitors:
        each.sync = state
    lines: list[Line] = []
    for (path, query), (_, of_large) in zip(pages(small, state), pages(large, state), strict=True):
        took: list[list[float]] = [[], []]
        size, well = 0, True
        for number in range(times + 1):
            for which, asked in enumerate((query, of_large)):
                seconds, size, answered = visitors[which].get(path, **asked)
                if number or not answered:  # the first one warms
                    took[which].append(seconds * 1000)
                well = well and answered
            if not well:
                break  # nobody waits for it another time
        few, many = (statistics.median(each or [0.1]) for each in took)
        shown = {key: "…" if key in ("id", "school") else value for key, value in query.items()}
        label = (
            path.replace("/namespaces/{namespace}", "")
            + ("?" if shown else "")
            + "&".join(map("=".join, shown.items()))
        )
        worst = sorted(took[1])[round(0.95 * (len(took[1]) - 1))]
        figures = (round(few, 1), round(many, 1), round(worst, 1), round(size / 1024, 1), round(many / few, 2))
        lines.append(Line(label, state, *figures, given_up=not well))
    return lines


def show(lines: list[Line]) -> None:
    table = Table("page", "syncs", "small ms", "large ms", "95 %", "KiB", "ratio")
    for line in sorted(lines, key=lambda each: -each.median_ms):
        colour = "[red]" if line.median_ms > GOAL_MS else ""
        figures = (f"{line.small_ms:.0f}", f"{colour}{line.median_ms:.0f}", f"{line.p95_ms:.0f}", f"{line.kib:.0f}")
        table.add_row(line.page, line.state, *figures, "given up" if line.given_up else f"{line.ratio:.1f}")
    out.print(table)
    slow = [line for line in lines if line.median_ms > GOAL_MS]
    out.print(f"{len(lines)} pages, {len(slow)} of them above {GOAL_MS:.0f} ms at the median")


def main() -> int:
    parser = argparse.ArgumentParser("tests.benchmarks.console", description=__doc__)
    add: Any = parser.add_argument
    add("--users", type=int, default=200_000, help="users of the large district (default: %(default)s)")
    add("--enrollments", type=int, default=500_000, help="its enrollments (default: %(default)s)")
    add("--small", type=int, default=2_000, help="users of the small one (default: %(default)s)")
    add("--times", type=int, default=11, help="how often each page is asked (default: %(default)s)")
    add("--output", type=Path, default=ROOT / "build" / "bench-console.json", help="where the figures go")
    given = parser.parse_args()
    loads = [os.getloadavg()[0]]
    size = f"{given.users:,} users, {given.enrollments:,} enrollments, beside {given.small:,} users"
    out.print(f"{size}; {os.cpu_count()} CPUs, load {loads[0]:.1f}")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres.temporary(18, tcp=True, durable=True) as postgres,
        running(Path(folder)) as server,
    ):
        database = postgres.create_database("bench", OWNER)
        migrate(database.owner_url)
        lines: list[Line] = []
        with (
            served(given.small, given.small * 5 // 2) as few,
            served(given.users, given.enrollments) as many,
        ):
            small = prepare(server, "small", Roster(database, 1), few)
            large = prepare(server, "large", Roster(database, 2), many)
            out.print("both first syncs wait")
            with console(large, Path(folder)) as port:
                lines += measure(small, large, port, FIRST, given.times)
                go_on(small)
                go_on(large)
                out.print("both second syncs wait")
                lines += measure(small, large, port, SECOND, given.times)
        loads.append(os.getloadavg()[0])
    show(lines)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    document = {"goal_ms": GOAL_MS, "users": given.users, "enrollments": given.enrollments, "load": loads}
    given.output.write_text(json.dumps(document | {"lines": [asdict(each) for each in lines]}, indent=1) + "\n")
    out.print(f"load at the end {loads[1]:.1f}; written to {given.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
