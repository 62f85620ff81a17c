"""Running programs for the demo, and printing what a person should see."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = ROOT / ".local" / "bin" / "kubectl"
HELM = ROOT / ".local" / "bin" / "helm"
KUBECONFIG = ROOT / ".local" / "kubeconfig"
MANIFESTS = Path(__file__).with_name("manifests")


class DemoError(Exception):
    """The demo cannot go on: a sentence, and what to look at."""


def environment() -> dict[str, str]:
    """The own cluster, never the user's."""
    return {**os.environ, "KUBECONFIG": str(KUBECONFIG)}


def headline(text: str) -> None:
    """A step of the story."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def say(text: str) -> None:
    """A line of it."""
    print(text, flush=True)


def show(*arguments: str) -> None:
    """Run kubectl so that the person sees the command and its output."""
    say(f"$ kubectl {shlex.join(arguments)}")
    sys.stdout.flush()
    done = subprocess.run([str(KUBECTL), *arguments], env=environment(), check=False)
    if done.returncode:
        raise DemoError(f"kubectl {arguments[0]} failed.")


def kubectl(*arguments: str, given: str | None = None) -> str:
    """Run kubectl quietly; its output."""
    return run([str(KUBECTL), *arguments], given=given)


def run(arguments: Sequence[str], *, given: str | None = None) -> str:
    """Run a program quietly; its output. What it said is told where it fails."""
    done = subprocess.run(
        list(arguments), env=environment(), input=given, capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        raise DemoError(f"{Path(arguments[0]).name} {' '.join(arguments[1:3])} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def apply(manifest: str) -> None:
    """Apply YAML or JSON with our own field manager, quietly."""
    kubectl("apply", "--field-manager=roster-demo", "-f", "-", given=manifest)


def template(name: str, /, **values: str) -> str:
    """A manifest with its blanks filled in."""
    return Template((MANIFESTS / name).read_text()).substitute(values)


def secret(namespace: str, name: str, values: dict[str, str], kind: str = "Opaque") -> None:
    """Apply a Secret."""
    apply(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": namespace, "name": name},
                "type": kind,
                "stringData": values,
            }
        )
    )


def get(kind: str, namespace: str, name: str) -> dict[str, Any]:
    """An object, or {} where there is none."""
    done = subprocess.run(
        [str(KUBECTL), "-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout.strip() else {}


def wait(what: str, look: Callable[[], str | None], *, seconds: float) -> str:
    """Look again and again until there is an answer; shows that it is alive."""
    begun = time.monotonic()
    live = sys.stdout.isatty()
    while True:
        found = look()
        passed = time.monotonic() - begun
        if found is not None:
            say(f"{chr(13) if live else ''}  {what}: {found} ({passed:.0f} s)")
            return found
        if passed > seconds:
            raise DemoError(f"{what}: nothing came in {seconds:.0f} s. Look with: kubectl get events -A")
        if live:
            print(f"\r  {what} … {passed:.0f} s ", end="", flush=True)
        time.sleep(0.5)


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Generator[int]:
    """A port of a pod or Service on this machine's loopback, for the length of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local: int = probe.getsockname()[1]
    with subprocess.Popen(
        [str(KUBECTL), "-n", namespace, "port-forward", target, f"{local}:{port}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("Forwarding"):
                process.kill()
                said = process.stderr.read() if process.stderr else ""
                raise DemoError(f"port-forward to {target} failed: {said.strip()[-300:]}")
            yield local
        finally:
            process.terminate()
