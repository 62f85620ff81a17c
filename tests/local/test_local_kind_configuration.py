"""kind.yaml is read by kind's own Go types. The kind way itself needs an engine and is not run here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from deploy.local import toolchain


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
@pytest.mark.timeout(600)
def test_kinds_own_types_read_the_configuration() -> None:
    done = subprocess.run(
        ["go", "test", "-count=1", "./..."],
        cwd=Path(__file__).parent / "kindconfig",
        env=os.environ | {"GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_test_uses_the_kind_that_the_tool_builds() -> None:
    version = toolchain.version_of("sigs.k8s.io/kind")
    assert f"sigs.k8s.io/kind {version}" in (Path(__file__).parent / "kindconfig" / "go.mod").read_text()
