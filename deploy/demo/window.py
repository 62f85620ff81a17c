"""The console of the demo on this machine: a port-forward that outlives the demo, and is ended by the next one.

To `localhost`, because browsers take the console's cookies from there without https.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from contextlib import suppress

from deploy.local import places, processes
from deploy.local.processes import Process

from .parts import CONSOLE, SYSTEM
from .shell import KUBECTL, DemoError, environment

PORT = 8090
RECORD = places.LOCAL / "console.json"


def open_window() -> str:
    """The console's address on this machine, once it answers there."""
    close_window()
    port = _free_port()
    forward = [KUBECTL, "-n", SYSTEM, "port-forward", f"service/{CONSOLE}", f"{port}:80"]
    process = processes.start("console", forward, log=places.LOGS / "console.log", env=environment())
    RECORD.write_text(json.dumps(process.as_json()))
    address, deadline = f"http://localhost:{port}", time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{address}/healthz", timeout=5):  # noqa: S310
            return address
        time.sleep(0.2)
    raise DemoError(f"The console does not answer: see {places.LOGS / 'console.log'}.")


def close_window() -> None:
    """End the port-forward of an earlier demo, if it still runs."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        processes.stop([Process.from_json(json.loads(RECORD.read_text()))])
    RECORD.unlink(missing_ok=True)


def _free_port() -> int:
    for wanted in (PORT, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
    raise DemoError("This machine has no free port.")
