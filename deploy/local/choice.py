"""Which cluster it is to be: the order of choice, as a pure function of what was asked and what the machine offers.

No cluster is ever taken because it happens to be someone's current context: it may be a production one.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.local.errors import LocalClusterError


class Sort(StrEnum):
    """The sorts of cluster, in the order in which they are considered."""

    NAMED = "named"
    KIND = "kind"
    NATIVE = "native"


@dataclass(frozen=True)
class Wish:
    """What the person asked for."""

    kubeconfig: Path | None = None
    context: str | None = None
    use_kubeconfig_env: bool = False
    sort: Sort | None = None
    """Kind or native, where the person wants that one and no other."""


@dataclass(frozen=True)
class Machine:
    """What the machine offers."""

    system: str
    is_root: bool
    engine: str | None
    """`docker` or `podman`, where its engine answers."""
    kubeconfig_env: str | None = None


@dataclass(frozen=True)
class Choice:
    sort: Sort
    why: str
    kubeconfig: Path | None = None
    context: str | None = None
    engine: str | None = None


THREE_WAYS = """\
No cluster can be had here in any of the three ways:
  1. one of your own:  python3 -m deploy.local up --kubeconfig FILE [--context NAME]
  2. kind:             start a Docker or Podman engine, then run this again
  3. a native node:    run this as root on Linux"""


def choose(wish: Wish, machine: Machine) -> Choice:
    """The first of the ways that is open: the cluster that is named, kind, a native node."""
    if wish.kubeconfig or wish.context or wish.use_kubeconfig_env:
        return _named(wish, machine)
    if wish.sort in {None, Sort.KIND} and machine.engine:
        return Choice(Sort.KIND, f"the {machine.engine} engine answers", engine=machine.engine)
    if wish.sort is Sort.KIND:
        raise LocalClusterError("kind needs a Docker or Podman engine, and none answers here.")
    native = machine.system == "Linux" and machine.is_root
    if native:
        wanted = "asked for" if wish.sort is Sort.NATIVE else "no Docker or Podman engine answers"
        return Choice(Sort.NATIVE, f"{wanted}, and this is root on Linux")
    if wish.sort is Sort.NATIVE:
        raise LocalClusterError("A native node needs root on Linux.")
    raise LocalClusterError(THREE_WAYS)


def _named(wish: Wish, machine: Machine) -> Choice:
    if wish.sort:
        raise LocalClusterError(f"Name a cluster or ask for a {wish.sort} one, not both.")
    if wish.kubeconfig and wish.use_kubeconfig_env:
        raise LocalClusterError("Give --kubeconfig or --use-kubeconfig-env, not both.")
    if wish.use_kubeconfig_env:
        if not machine.kubeconfig_env:
            raise LocalClusterError("--use-kubeconfig-env was given, but KUBECONFIG is not set.")
        if os.pathsep in machine.kubeconfig_env:
            raise LocalClusterError("KUBECONFIG lists several files. Name one with --kubeconfig.")
        return Choice(Sort.NAMED, "KUBECONFIG, as asked", Path(machine.kubeconfig_env), wish.context)
    return Choice(Sort.NAMED, "you named it", wish.kubeconfig, wish.context)


def look() -> Machine:
    """What this machine offers. Asks the engines, which may take a moment."""
    return Machine(
        system=platform.system(),
        is_root=hasattr(os, "geteuid") and os.geteuid() == 0,
        engine=next((engine for engine in ("docker", "podman") if _engine_answers(engine)), None),
        kubeconfig_env=os.environ.get("KUBECONFIG"),
    )


def is_root_on_linux() -> bool:
    """Whether a native node is possible here at all."""
    return platform.system() == "Linux" and os.geteuid() == 0


def _engine_answers(client: str) -> bool:
    """Whether an engine stands behind the client. The client alone is often installed without one."""
    if shutil.which(client) is None:
        return False
    question = [client, "version", "--format", "{{.Server.Version}}"] if client == "docker" else [client, "info"]
    try:
        done = subprocess.run(question, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())
