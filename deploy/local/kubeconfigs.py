"""Kubeconfig files: how each program, and the person, reaches the API server of a native cluster."""

from __future__ import annotations

import base64
import os
from pathlib import Path

NAME = "roster-local"


def render(server: str, certificates: Path, identity: str) -> str:
    """A kubeconfig with everything inside, so that the file alone is enough."""

    def inline(file: str) -> str:
        return base64.b64encode((certificates / file).read_bytes()).decode()

    return f"""\
apiVersion: v1
kind: Config
current-context: {NAME}
clusters:
  - name: {NAME}
    cluster:
      server: {server}
      certificate-authority-data: {inline("ca.crt")}
users:
  - name: {identity}
    user:
      client-certificate-data: {inline(f"{identity}.crt")}
      client-key-data: {inline(f"{identity}.key")}
contexts:
  - name: {NAME}
    context:
      cluster: {NAME}
      user: {identity}
"""


def write(file: Path, content: str) -> None:
    """Write a kubeconfig that only its owner can read, all of it or nothing."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as output:
        output.write(content)
    unfinished.replace(file)
