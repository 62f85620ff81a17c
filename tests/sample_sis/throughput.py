"""How fast the sample SIS serves: `python tests/sample_sis/throughput.py [users] [enrollments]`.

Not a test: it prints figures and asserts only that all records came. The server runs in a process of its own, the
client reads with http.client into one buffer and throws the records away. "cold" includes encoding each record once.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from roster_sample_sis import Version

_ROOT = Path(__file__).parents[2]


def _pull(port: int, version: Version, token: str, tables: dict[str, int], *, gzip: bool) -> tuple[float, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {token}"} | ({"Accept-Encoding": "gzip"} if gzip else {})
    buffer = bytearray(1 << 22)
    size = 0
    started = time.perf_counter()
    for table, expected in tables.items():
        offset = total = 0
        while offset == 0 or offset < total:
            connection.request("GET", f"{version.path}/{table}?limit=5000&offset={offset}", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200
            total = int(answer.headers["X-Total-Count"])
            while count := answer.readinto(buffer):
                size += count
            offset += 5000
        assert total == expected
    return time.perf_counter() - started, size


def main(users: int, enrollments: int) -> None:
    environment = os.environ | {
        "SIS_CLIENT_ID": "id",
        "SIS_CLIENT_SECRET": "secret",
        "PYTHONPATH": str(_ROOT / "examples"),
    }
    command = [sys.executable, "-m", "roster_sample_sis", "--port", "0", "--users", str(users)]
    command += ["--enrollments", str(enrollments)]
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        print(line.strip(), f"after {time.perf_counter() - started:.1f} s")
        port = int(line.split(": ")[0].rpartition(":")[2])
        version = Version.V1_1
        form = {
            "grant_type": "client_credentials",
            "scope": version.scopes[0],
            "client_id": "id",
            "client_secret": "secret",
        }
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/oauth/token", urlencode(form))
        token = json.loads(connection.getresponse().read())["access_token"]
        tables = {"users": users, "enrollments": enrollments}
        # Records beyond --cache-mb are encoded again by each plain pull; compressed pages mostly stay.
        for label, gzip in (("plain cold", False), ("plain", False), ("gzip cold", True), ("gzip", True)):
            seconds, size = _pull(port, version, token, tables, gzip=gzip)
            rate = (users + enrollments) / seconds
            print(f"{label:11} {seconds:6.2f} s {rate:12,.0f} records/s {size / 1e6:8,.0f} MB")
        server.terminate()
    print(f"server's peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    sys.exit(
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, int(sys.argv[2]) if len(sys.argv) > 2 else 500_000)
    )
