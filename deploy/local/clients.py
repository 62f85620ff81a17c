"""kubectl, as every sort of cluster uses it: with the checkout's own kubeconfig and never the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local import places, toolchain


def offer() -> None:
    """Put kubectl and helm into `.local/bin`: the machine's own where it has them, else built."""
    missing = [name for name in toolchain.CLIENTS if shutil.which(name) is None]
    bin_folder = toolchain.provide(missing) if missing else toolchain.folder()
    for name in toolchain.CLIENTS:
        found = bin_folder / name if (bin_folder / name).exists() else Path(shutil.which(name) or name)
        toolchain.offer(name, found)


def api_answers() -> bool:
    """Whether the API server behind `.local/kubeconfig` says that it is ready."""
    if not places.KUBECONFIG.exists():
        return False
    command = [places.BIN / "kubectl", "--kubeconfig", places.KUBECONFIG, "get", "--raw", "/readyz"]
    environment = os.environ | {"KUBECONFIG": ""}
    try:
        done = subprocess.run(
            [*command, "--request-timeout=5s"], env=environment, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
