"""A cluster in containers, by kind, where a Docker or Podman engine answers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from deploy.local import clients, places, toolchain
from deploy.local.progress import run, step

NAME = "roster-local"
CONFIGURATION = places.SOURCES / "kind.yaml"


def _kind() -> Path:
    """The machine's own kind where there is one, else built from source like the rest."""
    on_path = shutil.which("kind")
    return Path(on_path) if on_path else toolchain.provide(["kind"]) / "kind"


def _environment(engine: str) -> dict[str, str]:
    return {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": engine}


def up(engine: str) -> bool:
    """Bring the cluster up. True when it was made now, False when it was there."""
    clients.offer()
    kind, environment = _kind(), _environment(engine)
    if NAME in run([kind, "get", "clusters", "--quiet"], env=environment).split():
        run([kind, "export", "kubeconfig", "--name", NAME, "--kubeconfig", places.KUBECONFIG], env=environment)
        if clients.api_answers():
            return False
        down(engine)
    with step("Starting a cluster with kind; the first time, its node image is downloaded", expected=90):
        command = [kind, "create", "cluster", "--name", NAME, "--config", CONFIGURATION, "--wait", "180s"]
        run([*command, "--kubeconfig", places.KUBECONFIG], env=environment)
    places.KUBECONFIG.chmod(0o600)
    return True


def down(engine: str) -> None:
    with step("Deleting the kind cluster", expected=5):
        run([_kind(), "delete", "cluster", "--name", NAME, "--kubeconfig", places.KUBECONFIG], env=_environment(engine))


def load_image(engine: str, archive: Path) -> None:
    """Give an image archive to the cluster's node."""
    run([_kind(), "load", "image-archive", archive, "--name", NAME], env=_environment(engine))
