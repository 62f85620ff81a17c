"""docs/tutorial.md: every command of it, in its order, in one shell."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from deploy.demo import parts
from deploy.demo.shell import ROOT, get, kubectl
from tests.e2e.ground import LABEL, Ground

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
TUTORIAL = ROOT / "docs" / "tutorial.md"
# The cluster is the one that the tests stand on, and stays.
OF_THE_CLUSTER = {"make demo", "make demo-down"}
PSQL = Path("/usr/lib/postgresql/15/bin")


def blocks() -> list[str]:
    """The tutorial's commands, a text for each block."""
    return [found.strip() for found in re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text(), re.M | re.S)]


def test_a_reader_comes_from_nothing_to_automatic_syncing(ground: Ground) -> None:
    found = blocks()
    assert (found[0], found[-1]) == ("make demo", "make demo-down")
    parts.namespace("sis", **{LABEL: "tutorial"})
    parts.sis("sis", ground.images["demo"], 300)
    kubectl("delete", "namespace", "shelbyville", "--ignore-not-found", "--timeout=120s")
    # With job control, for `kill %1`. Before the last part takes everything away, it is printed as it stands.
    commands = "\n".join(
        f"echo '--- block {number}'\n{block}" for number, block in enumerate(found) if block not in OF_THE_CLUSTER
    )
    before, mark, after = commands.partition("kubectl -n shelbyville delete rconn shelbyville")
    assert mark
    shown = "{.items[*].status.nextSync} {.items[*].status.phase}"
    look = f"kubectl -n shelbyville get rconn,rsync -o jsonpath='{shown}'; echo"
    script = f"set -euo pipefail\nset -m\n{before}\n{look}\n{mark}{after}"
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{PSQL}:{os.environ['PATH']}", "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    finally:
        kubectl("delete", "namespace", "sis", "--ignore-not-found", "--wait=false")
    print(done.stdout)
    said = f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, said
    assert "Tested" in done.stdout, said
    assert "AwaitingApproval" in done.stdout or "aits" in done.stdout, said
    assert re.search(r"student\s+\|\s+\d+", done.stdout), said
    assert re.search(r"^20\S+Z Merged$", done.stdout, re.M), said
    assert re.search(r"^eyJ[\w-]+\.[\w-]+\.[\w-]{40,}", done.stdout, re.M), said
    assert "Receipt" in done.stdout, said
    assert not get("rosterconnection", "shelbyville", "shelbyville")
