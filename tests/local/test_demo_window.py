"""The port-forward that the demo leaves behind for its console: one at a time, and ended by whom it belongs to."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from deploy.demo import window
from deploy.local import places, processes
from deploy.local.processes import Process

# In place of kubectl: answers on the port that it is asked to forward.
FORWARD = f"""#!{sys.executable}
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1].partition(":")[0])), Answer).serve_forever()
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "kubectl"
    program.write_text(FORWARD)
    program.chmod(0o755)
    monkeypatch.setattr(window, "KUBECTL", program)
    monkeypatch.setattr(window, "RECORD", tmp_path / "console.json")
    monkeypatch.setattr(window, "PORT", 0)
    monkeypatch.setattr(places, "LOGS", tmp_path)
    return tmp_path / "console.json"


def test_a_second_demo_ends_the_windows_of_the_first(record: Path) -> None:
    first = window.open_window()
    begun = Process.from_json(json.loads(record.read_text()))
    second = window.open_window()
    try:
        assert not processes.alive(begun)
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"{first}/healthz", timeout=5)
        assert urllib.request.urlopen(f"{second}/healthz", timeout=5).status == 200
    finally:
        last = Process.from_json(json.loads(record.read_text()))
        window.close_window()
    assert not processes.alive(last)
    assert not record.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": 1}'])
def test_a_record_that_says_nothing_ends_nobody(record: Path, content: str) -> None:
    record.write_text(content)
    window.close_window()
    assert not record.exists()


def test_another_process_that_has_the_number_now_is_left_alone(record: Path) -> None:
    record.write_text(json.dumps(Process("console", os.getpid(), 1, processes.boot_id()).as_json()))
    window.close_window()
    assert not record.exists()
