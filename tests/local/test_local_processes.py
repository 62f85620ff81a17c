"""Only processes that were started are ended, and only when they are still the same ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from deploy.local import processes
from deploy.local.processes import Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    started = processes.start("sleeper", ["sleep", "600"], log=tmp_path / "log")
    yield started
    processes.stop([started], first=signal.SIGKILL)


def test_a_started_process_is_known_and_leads_a_session_of_its_own(sleeper: Process) -> None:
    assert processes.alive(sleeper)
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)


def test_stop_ends_it(sleeper: Process) -> None:
    processes.stop([sleeper])
    assert not processes.alive(sleeper)


def test_another_process_under_a_recorded_number_is_left_alone(sleeper: Process) -> None:
    stranger = replace(sleeper, started=sleeper.started - 1)
    assert not processes.alive(stranger)
    processes.stop([stranger])
    assert processes.alive(sleeper)


def test_a_record_of_an_earlier_boot_means_nobody(sleeper: Process) -> None:
    stale = replace(sleeper, boot="before-the-restart")
    assert not processes.alive(stale)
    processes.stop([stale])
    assert processes.alive(sleeper)


def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    deaf = processes.start("deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], log=tmp_path / "log")
    time.sleep(0.3)
    processes.stop([deaf], patience=0.5)
    assert not processes.alive(deaf)


def test_an_ended_process_that_nobody_waited_for_counts_as_dead(sleeper: Process) -> None:
    os.kill(sleeper.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.alive(sleeper) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not processes.alive(sleeper)


def test_the_record_survives_json(sleeper: Process) -> None:
    assert Process.from_json(sleeper.as_json()) == sleeper
