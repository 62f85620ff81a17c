"""The project's two images: built when their sources changed, and given to the cluster.

An image's tag is a digest of everything it is made from, so the same sources have the same name and are not built
twice. Only those sources are handed to the builder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import kind, locks, native, pip_settings, places, state, toolchain
from deploy.local.builders import Build, Buildah, Builder, Engine
from deploy.local.choice import Sort
from deploy.local.errors import LocalClusterError
from deploy.local.progress import say, step
from deploy.local.state import State

OPERATOR_DOCKERFILE = places.CHECKOUT / "deploy" / "Dockerfile"
DEMO_DOCKERFILE = places.SOURCES / "demo.Dockerfile"
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "operator", "examples", "requirements/operator.txt")
OPERATOR_SOURCES = (*SOURCES, "requirements/build.txt")
DEMO_SOURCES = ("requirements/demo.txt",)
ARCHIVES = places.LOCAL / "images"
# Any moment will do, if it is always the same: the builder takes a file with another time for another file.
MOMENT = 1_000_000_000


@dataclass(frozen=True)
class Images:
    """The full names of the two images, and what became of them."""

    operator: str
    demo: str
    built: bool
    loaded: bool
    """Whether the cluster has them. Not so without a cluster, nor with one of the person's own."""

    def as_json(self) -> dict[str, Any]:
        archives = {"operator": str(archive_of(self.operator)), "demo": str(archive_of(self.demo))}
        return {
            "operator": self.operator,
            "demo": self.demo,
            "built": self.built,
            "loaded": self.loaded,
            "archives": archives,
        }


def files_of(sources: tuple[str, ...], root: Path = places.CHECKOUT) -> Iterator[Path]:
    """All files of these sources, in a fixed order, without what Python writes when it runs."""
    for source in sources:
        path = root / source
        if not path.exists():
            raise LocalClusterError(f"{source}, which the image is made from, is missing.")
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (each for each in found if each.is_file() and "__pycache__" not in each.parts)


def digest_of(sources: tuple[str, ...], *others: str, root: Path = places.CHECKOUT) -> str:
    """A digest over the names, contents and executable bits of the sources, and over `others`."""
    digest = hashlib.sha256("\0".join(others).encode())
    for file in files_of(sources, root):
        executable = "x" if os.access(file, os.X_OK) else "-"
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root)}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()[:12]


def base_image() -> str:
    """The image that the operator's Dockerfile starts from, as it says itself."""
    found = re.search(r"^ARG BASE=(\S+)", OPERATOR_DOCKERFILE.read_text(), re.MULTILINE)
    if found is None:
        raise LocalClusterError(f"{OPERATOR_DOCKERFILE} does not say what it starts from (ARG BASE=).")
    return found.group(1)


def names(builder: str) -> tuple[str, str]:
    """The full names of both images for the sources as they are now."""
    operator = digest_of(OPERATOR_SOURCES, builder, OPERATOR_DOCKERFILE.read_text())
    demo = digest_of(DEMO_SOURCES, operator, DEMO_DOCKERFILE.read_text())
    return f"localhost/roster-operator:dev-{operator}", f"localhost/roster-operator-demo:dev-{demo}"


def archive_of(name: str) -> Path:
    return ARCHIVES / f"{name.rpartition('/')[2].replace(':', '-')}.tar"


def provide(engine: str | None) -> Images:
    """Build what is not built, and load what the cluster does not have."""
    builder: Builder = Engine(engine) if engine else Buildah(places.cache() / "buildah")
    operator, demo = names(engine or "buildah")
    places.prepare_local()
    ARCHIVES.mkdir(exist_ok=True)
    with locks.exclusive(places.cache() / "images.lock", "build of the images"):
        missing = [name for name in (operator, demo) if not archive_of(name).exists()]
        if missing:
            builder.prepare(base_image())
            _build(builder, operator, demo)
            _tidy(builder, operator, demo)
        return Images(operator, demo, built=bool(missing), loaded=_load(operator, demo))


def _build(builder: Builder, operator: str, demo: str) -> None:
    with tempfile.TemporaryDirectory(prefix="roster-image-") as folder:
        context, lent = Path(folder) / "context", Path(folder) / "lent"
        lent.mkdir()
        secrets = pip_settings.write(lent)
        revision = _revision()
        _copy_sources((*OPERATOR_SOURCES, *DEMO_SOURCES), context)
        tag = operator.rpartition(":")[2]
        with step(f"Building {operator}", expected=60):
            arguments = {"VERSION": tag, "REVISION": revision}
            build = Build(operator, OPERATOR_DOCKERFILE, context, arguments, secrets)
            builder.build(build, places.LOGS / "image-operator.log")
        with step(f"Building {demo}", expected=40):
            build = Build(demo, DEMO_DOCKERFILE, context, {"OPERATOR": operator}, secrets)
            builder.build(build, places.LOGS / "image-demo.log")
        for name in (operator, demo):
            with step(f"Saving {name}", expected=5):
                # Moved into place when whole: an archive that is there counts as built.
                unfinished = archive_of(name).with_suffix(f".{os.getpid()}")
                builder.save(name, unfinished)
                unfinished.rename(archive_of(name))


def _copy_sources(sources: tuple[str, ...], context: Path) -> None:
    for file in files_of(sources):
        copy = context / file.relative_to(places.CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        os.utime(copy, (MOMENT, MOMENT))
    for folder in sorted(context.rglob("*"), reverse=True):
        if folder.is_dir():
            os.utime(folder, (MOMENT, MOMENT))


def _revision() -> str:
    done = subprocess.run(
        ["git", "-C", places.CHECKOUT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _tidy(builder: Builder, operator: str, demo: str) -> None:
    """Remove the archives, and buildah's images, of older sources."""
    for archive in ARCHIVES.iterdir():
        if archive not in {archive_of(operator), archive_of(demo)}:
            archive.unlink()
    if isinstance(builder, Buildah):
        for name in (demo, operator):
            builder.forget_all_but(name)


def _load(operator: str, demo: str) -> bool:
    """Give both images to the cluster that this checkout uses. False where there is none, or where it is not ours."""
    current = state.load()
    if current is None:
        say("No cluster is up, so the images were not loaded into one.")
        return False
    if current.sort is Sort.NAMED:
        say(
            "The cluster is your own. Push these images where it pulls from, for example with "
            f"skopeo copy docker-archive:{archive_of(operator)} docker://YOUR-REGISTRY/roster-operator:TAG"
        )
        return False
    for name in (operator, demo):
        _load_one(current, name)
    return True


def _load_one(current: State, name: str) -> None:
    if current.sort is Sort.NATIVE:
        bin_folder = toolchain.folder()
        if native.has_image(bin_folder, name):
            return
        with step(f"Loading {name} into the cluster", expected=4):
            native.load_image(bin_folder, archive_of(name))
        return
    assert current.engine is not None
    with step(f"Loading {name} into the cluster", expected=10):
        kind.load_image(current.engine, archive_of(name))
