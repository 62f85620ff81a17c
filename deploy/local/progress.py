"""Shows that a long step is alive: what it does, how long it should take, how long it has taken so far."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalClusterError

# In a log file a line that is rewritten every second would be noise; there, one line in this many seconds.
SECONDS_BETWEEN_LINES = 20
LINES_OF_OUTPUT_SHOWN = 20


def say(text: str) -> None:
    """One line for the person, on standard error: standard output is for answers such as `--output json`."""
    print(text, file=sys.stderr, flush=True)


def spell(seconds: float) -> str:
    """A duration as a person says it: `45 s`, `4 min 46 s`."""
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


@contextmanager
def step(title: str, expected: float = 0) -> Generator[None]:
    """Announce a step, show its elapsed time while it runs, and say how long it took."""
    hint = f" (about {spell(expected)})" if expected >= 3 else ""
    started = time.monotonic()
    finished = threading.Event()
    on_terminal = sys.stderr.isatty()

    def tick() -> None:
        pause = 1 if on_terminal else SECONDS_BETWEEN_LINES
        while not finished.wait(pause):
            line = f"  {title}{hint}: {spell(time.monotonic() - started)}"
            if on_terminal:
                print(f"\r{line} ", end="", file=sys.stderr, flush=True)
            else:
                say(line)

    if expected >= 3 and not on_terminal:
        say(f"  {title}{hint}")
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        finished.set()
        ticker.join()
        start_of_line = "\r\x1b[K" if on_terminal else ""
        say(f"{start_of_line}  {title}: {outcome}, {spell(time.monotonic() - started)}")


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text_in: str | None = None,
    log: Path | None = None,
) -> str:
    """Run a command to its end and return its standard output. When it fails, the error shows its last lines.

    With `log`, all output goes to that file instead and the answer is empty.
    """
    command = [str(part) for part in argv]
    if log is None:
        done = subprocess.run(
            command, env=env, cwd=cwd, input=text_in, capture_output=True, text=True, errors="replace", check=False
        )
        output = done.stdout + done.stderr
    else:
        with log.open("w+") as file:
            done = subprocess.run(
                command, env=env, cwd=cwd, input=text_in, stdout=file, stderr=subprocess.STDOUT, text=True, check=False
            )
        output = log.read_text(errors="replace")
    if done.returncode != 0:
        last = "\n".join(output.strip().splitlines()[-LINES_OF_OUTPUT_SHOWN:])
        where = f"\nAll of its output is in {log}." if log else ""
        raise LocalClusterError(f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{last}{where}")
    return done.stdout if log is None else ""
