"""Nothing in the tree tells of the machine that it was made on: no path of it, no package registry it used."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Written in halves, so that this file does not find itself.
REGISTRIES = (
    "pypi" + ".org/simple",
    "files.python" + "hosted.org",
    "registry.npm" + "js.org",
    "registry.yarn" + "pkg.com",
    "proxy.golang" + ".org",
    "sum.golang" + ".org",
    "index.crates" + ".io",
    "static.crates" + ".io",
    "repo1.maven" + ".org",
    "deb.debian" + ".org",
    "arti" + "factory",
    "sona" + "type",
)
PATHS = re.compile(
    r"(?<![\w./$}-])/(?:work/(?:main|shared|\.library)|root/\.pyenv|opt/wheels|home/[a-z][-a-z0-9]*/|Users/[A-Za-z])"
)
BINARY = {".png", ".ico", ".zip", ".gz", ".whl", ".woff2"}


def tracked() -> list[Path]:
    """Every file that git has or would take."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail("This check needs the git checkout: git ls-files failed.", pytrace=False)
    return [
        path
        for name in done.stdout.split("\0")
        if name and (path := ROOT / name).is_file() and path.suffix not in BINARY
    ]


def configured() -> list[str]:
    """Hosts of the registries that this machine's own clients are told to use."""
    hosts: set[str] = set()
    for name in (
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "UV_INDEX_URL",
        "UV_DEFAULT_INDEX",
        "GOPROXY",
        "NPM_CONFIG_REGISTRY",
    ):
        hosts |= set(re.findall(r"https?://(?:[^/@\s]*@)?([^/:,|\s]+)", os.environ.get(name, "")))
    return sorted(hosts)


def found(pattern: re.Pattern[str]) -> list[str]:
    out: list[str] = []
    for path in tracked():
        text = path.read_text(encoding="utf-8", errors="replace")
        out += [
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
            for match in pattern.finditer(text)
        ]
    return out


def test_there_is_something_to_look_at() -> None:
    assert len(tracked()) > 50


def test_no_package_registry_is_named() -> None:
    assert found(re.compile("|".join(map(re.escape, [*REGISTRIES, *configured()])), re.I)) == []


def test_no_path_of_a_machine_is_named() -> None:
    assert found(PATHS) == []


def test_the_path_of_this_checkout_is_not_named() -> None:
    if len(ROOT.parts) > 2:  # `/src` and the like are words that may stand anywhere
        assert found(re.compile(re.escape(str(ROOT)) + r"\b")) == []


def test_no_conflict_and_no_merge_tool_left_a_mark() -> None:
    assert found(re.compile(r"^(?:<{7} |>{7} )", re.M)) == []


def test_the_licence_is_apache_2_0() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert len(text) > 11_000


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test")
