"""The summary of `make test` hides nothing: what failed once is named, and what ended before its tests has failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.checks import totals

PASSES_LATER = """
from pathlib import Path

def test_unsteady():
    mark = Path(__file__).with_suffix(".mark")
    if not mark.exists():
        mark.touch()
        raise RuntimeError("once")

def test_steady():
    pass
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(totals, "BUILD", tmp_path)
    (tmp_path / "test_one.py").write_text(PASSES_LATER)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(build: Path, *more: str) -> None:
    """A part called `one`, as the Makefile runs one."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--junitxml=junit-one.xml", *more]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    (build / "one.log").write_text(done.stdout)


def test_what_passes_at_the_second_try_only_is_named(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(build, "--reruns", "1", "--rerun-show-tracebacks")
    assert totals.main(["one"]) == 0
    said = capsys.readouterr().out
    assert "2 passed, 1 rerun" in said
    assert "passed only at the second try: test_one.py::test_unsteady\n" in said
    assert "test_steady" not in said
    assert 'RuntimeError("once")' in (build / "one.log").read_text()


def test_a_failure_fails_the_whole(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(build)
    assert totals.main(["--failed", "one", "one", "never"]) == 1
    said = capsys.readouterr().out
    assert "failed: one never" in said
    assert "never          FAILED   ended before its tests" in said
    assert "second try" not in said
