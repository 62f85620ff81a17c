"""The Debian packages that the tool uses, in one place, and their installation where one is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

from deploy.local.errors import LocalClusterError
from deploy.local.progress import run, step

# What a native cluster needs to run: the low-level container runtime, network plugins, the packet filter's and the
# network's command line, a small init for the pause image, and a tool for certificates.
NATIVE = ("runc", "containernetworking-plugins", "nftables", "iproute2", "catatonit", "openssl", "kmod", "procps")

# What building the images without an engine needs: the builder, and a maker of root file systems.
IMAGES = ("buildah", "mmdebstrap")


def installed(package: str) -> bool:
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout == "installed"


def install(packages: Sequence[str], *, unless: Callable[[], bool] | None = None) -> None:
    """Install those of the packages that are missing. With `unless`, only when that says no."""
    if unless is not None and unless():
        return
    if shutil.which("apt-get") is None:
        raise LocalClusterError(
            f"This machine has no apt-get. Please install what these Debian packages hold, or use a cluster of your "
            f"own with --kubeconfig: {' '.join(packages)}"
        )
    missing = [package for package in packages if not installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise LocalClusterError(f"Please install these Debian packages first: {' '.join(missing)}")
    quietly = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"Installing Debian packages: {' '.join(missing)}", expected=20):
        if any(not _available(package) for package in missing):
            run(["apt-get", "update", "-qq"], env=quietly)
        command = ["apt-get", "install", "--yes", "-qq", "--no-install-recommends", *missing]
        try:
            run(command, env=quietly)
        except LocalClusterError:
            # The lists of packages may be older than the mirror: one more try with new ones.
            run(["apt-get", "update", "-qq"], env=quietly)
            run(command, env=quietly)


def _available(package: str) -> bool:
    done = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return done.returncode == 0
