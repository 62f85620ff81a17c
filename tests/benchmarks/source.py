"""The sample SIS in a process of its own, warmed, and the plainest client for it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).parents[2]
CLIENT, SECRET = "bench-client", "bench-secret"
ENTITIES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments")
PAGE = 5000
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": os.pathsep.join([str(ROOT / "operator"), str(ROOT / "examples"), str(ROOT)]),
}


@dataclass(frozen=True)
class Source:
    """A running SIS."""

    url: str

    @property
    def endpoint(self) -> str:
        return self.url + "/ims/oneroster/rostering/v1p2"

    @property
    def token_url(self) -> str:
        return self.url + "/oauth/token"

    def admin(self, path: str, body: object) -> None:
        """Bend it."""
        request = urllib.request.Request(f"{self.url}/_admin/{path}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def variant(self, name: str) -> None:
        """Serve another district from now on, with everything encoded and compressed beforehand."""
        self.admin("variant", {"variant": name, "of": "base"})
        download(self.url, self.endpoint)


@contextmanager
def served(users: int, enrollments: int) -> Iterator[Source]:
    """Demographics are forbidden to our client: that makes users and enrollments nearly all there is."""
    command = [sys.executable, "-m", "roster_sample_sis", "--users", str(users), "--enrollments", str(enrollments)]
    command += ["--port", "0", "--version", "1.2", "--client-id", CLIENT, "--client-secret", SECRET]
    command += ["--cache-mb", "4096", "--warm", "--admin"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready at "), line
        source = Source(line.removeprefix("ready at ").partition(": ")[0])
        source.admin("faults", {"fault": "forbid-demographics"})
        download(source.url, source.endpoint)
        yield source
    finally:
        process.terminate()
        process.wait()


def token(connection: http.client.HTTPConnection) -> str:
    """A bearer token."""
    body = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "scope": "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly",
        }
    )
    connection.request("POST", "/oauth/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
    return json.loads(connection.getresponse().read())["access_token"]


def download(url: str, endpoint: str) -> int:
    """Every page as the wire has it, compressed, and thrown away. Gives the bytes."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {token(connection)}", "Accept-Encoding": "gzip"}
    size = 0
    for entity in ENTITIES:
        offset, total = 0, 1
        while offset < total:
            connection.request("GET", f"{urlsplit(endpoint).path}/{entity}?limit={PAGE}&offset={offset}", None, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            size += len(answer.read())
            total = int(answer.headers["X-Total-Count"])
            offset += PAGE
    return size


if __name__ == "__main__":
    print(download(sys.argv[1], sys.argv[2]))
