"""Where things are kept. Every other module asks here, so that no path is written twice.

Two kinds of place: what belongs to this checkout (`.local/`, ignored by git), and what belongs to the machine
(a native cluster is one a machine, whichever checkout started it, so its record must be found from all of them).
"""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = CHECKOUT / "deploy" / "local"
FILES = SOURCES / "files"
GO_MODULES = SOURCES / "go"

LOCAL = CHECKOUT / ".local"
BIN = LOCAL / "bin"
LOGS = LOCAL / "log"
KUBECONFIG = LOCAL / "kubeconfig"
STATE = LOCAL / "state.json"
READY = LOCAL / "READY"

# The native cluster. RUN holds sockets and the record of what was started, and its paths stay short because the
# path of a Unix socket has at most 107 bytes.
RUN = Path("/run/roster-local")
DATA = Path("/var/lib/roster-local")
LOCK = Path("/run/roster-local.lock")


def cache() -> Path:
    """The folder for what is built once and used by every checkout of this user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "roster-operator"


def prepare_local() -> None:
    """Make `.local/`, readable by its owner only: it holds an administrator's key."""
    LOCAL.mkdir(mode=0o700, exist_ok=True)
    LOCAL.chmod(0o700)
    BIN.mkdir(exist_ok=True)
    LOGS.mkdir(exist_ok=True)
