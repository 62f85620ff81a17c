"""Two ways to make an image from a Dockerfile: an engine, where one answers, and buildah, where none does.

With buildah the base image need not come from a registry of images: a stand-in under its own name is made from Debian
packages, so that the Dockerfile that ships is also the one that is built here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from deploy.local import debian, places
from deploy.local.errors import LocalClusterError
from deploy.local.progress import run, step

# What the stand-in for the base image offers: `python3` with pip and venv.
BASE_PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
BASE_SUITE = "bookworm"
# Nobody reads manuals in an image, and a file system that is thrown away after a crash need not be written safely.
DPKG_OPTIONS = ("force-unsafe-io", "path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*")


@dataclass(frozen=True)
class Build:
    """One image to build."""

    name: str
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str]
    secrets: list[str]
    """The builder's options that lend secrets."""

    def options(self) -> list[str | Path]:
        arguments: list[str | Path] = []
        for name, value in self.arguments.items():
            arguments += ["--build-arg", f"{name}={value}"]
        return ["--file", self.dockerfile, "--tag", self.name, *arguments, *self.secrets, self.context]


class Builder(Protocol):
    def prepare(self, base: str) -> None:
        """See to it that the base image is there."""
        ...

    def build(self, build: Build, log: Path) -> None: ...

    def save(self, name: str, archive: Path) -> None:
        """Write the image, under its full name, into an archive."""
        ...


@dataclass(frozen=True)
class Engine:
    """Docker or Podman. It pulls the base image itself."""

    client: str

    def prepare(self, base: str) -> None:
        del base

    def build(self, build: Build, log: Path) -> None:
        run([self.client, "build", *build.options()], env={**os.environ, "DOCKER_BUILDKIT": "1"}, log=log)

    def save(self, name: str, archive: Path) -> None:
        run([self.client, "save", "--output", archive, name])


@dataclass(frozen=True)
class Buildah:
    """Buildah, as root and without an engine, with a store of its own in the cache."""

    store: Path

    @cached_property
    def _driver(self) -> str:
        """How layers are kept. Where the kernel cannot lay them over each other, each is a whole copy, and slow."""
        probe = subprocess.run(
            [str(each) for each in self._command_with("overlay", "info")], capture_output=True, check=False
        )
        return "overlay" if probe.returncode == 0 else "vfs"

    def _command_with(self, driver: str, *arguments: str | Path) -> list[str | Path]:
        store = self.store / driver
        return [
            "buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", driver, *arguments
        ]  # fmt: skip

    def _command(self, *arguments: str | Path) -> list[str | Path]:
        return self._command_with(self._driver, *arguments)

    def prepare(self, base: str) -> None:
        debian.install(debian.IMAGES)
        self.store.mkdir(parents=True, exist_ok=True)
        there = run(self._command("images", "--format", "{{.Name}}:{{.Tag}}"))
        if base not in there.splitlines():
            with step(f"Making a stand-in for {base} from Debian packages, once", expected=90):
                self._make_base(base)

    def _make_base(self, name: str) -> None:
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        if shutil.which("mmdebstrap", path=path) is None:
            raise LocalClusterError("The program mmdebstrap is missing (Debian package mmdebstrap).")
        with tempfile.TemporaryDirectory(prefix="roster-base-") as folder:
            tree = Path(folder) / "base.tar"
            options = [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
            include = f"--include={','.join(BASE_PACKAGES)}"
            run(
                ["mmdebstrap", "--variant=minbase", include, *options, BASE_SUITE, tree, *_package_sources()],
                env={**os.environ, "PATH": path},
                log=places.LOGS / "base-image.log",
            )
            container = run(self._command("from", "scratch")).strip()
            try:
                run(self._command("add", container, tree, "/"))
                run(self._command("config", "--cmd", "python3", "--env", "LANG=C.UTF-8", container))
                run(self._command("commit", container, name))
            finally:
                run(self._command("rm", container))

    def build(self, build: Build, log: Path) -> None:
        # `--pull=never`: what the Dockerfile starts from is in the store, or the build fails.
        command = ["bud", "--isolation", "chroot", "--layers", "--pull=never", *build.options()]
        run(self._command(*command), log=log)

    def save(self, name: str, archive: Path) -> None:
        archive.unlink(missing_ok=True)
        # This form of archive keeps layers as they are. The other, oci-archive, compresses them, which takes a minute.
        run(self._command("push", name, f"docker-archive:{archive}:{name}"))

    def forget_all_but(self, keep: str) -> None:
        """Remove the older builds of an image; the layers that the newest one uses stay."""
        repository = keep.rpartition(":")[0]
        for name in run(self._command("images", "--format", "{{.Name}}:{{.Tag}}")).splitlines():
            if name.rpartition(":")[0] == repository and name != keep:
                subprocess.run([str(each) for each in self._command("rmi", name)], capture_output=True, check=False)


def _package_sources() -> list[str]:
    """This machine's own sources of Debian packages, so that a mirror it uses is used here too; else Debian's own."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    return [str(file) for file in files if file.is_file() and _is_debian(file)]


def _is_debian(file: Path) -> bool:
    if file.suffix not in {".list", ".sources"}:
        return False
    text = re.sub(r"#.*", "", file.read_text(errors="replace"))
    return re.search(rf"\b{BASE_SUITE}\b[^\n]*\n?.*\bmain\b", text, re.DOTALL) is not None
