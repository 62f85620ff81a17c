"""Test Connection by SFTP: what is left out of it where the zip is large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.oneroster.sftp_servers import NIGHT, Server, serving, zipped

from roster_operator.oneroster import sftp_check
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.sftp_check import SftpCheck


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(Server(tmp_path)) as running:
        yield running


def refuse(_: object) -> object:
    raise OneRosterError(Reason.BUNDLE_UNREADABLE, "This is no bundle.", "Have it sent again.")


def test_a_zip_too_large_for_a_test_is_not_fetched(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_check, "_FETCHED", 100)
    server.put("roster.zip", zipped("x" * 200))
    reads: list[int] = []
    server.bend["read"] = reads.append
    check = SftpCheck(server.settings(path="/roster.zip"), refuse)
    steps = list(check.check())
    assert [step.name for step in steps] == ["Resolve", "Connect", "HostKey", "Login", "Find", "Fetch"]
    assert all(step.ok for step in steps)
    assert reads == []
    assert check.facts.version is None


def test_what_was_found_is_told_without_its_name(server: Server) -> None:
    data = server.put("canary-older.zip", mtime=NIGHT - 60)
    server.put("canary-newer.zip", b"PK\x03\x04 broke off")
    steps = {step.name: step for step in SftpCheck(server.settings(), refuse).check()}
    found = steps["Find"]
    assert found.message == f"The newest of 2 zips has {len(data):,} bytes, and is of 2025-11-25 02:59 UTC."
    assert "1 newer" in found.next_step
    assert not any("canary" in f"{step.message} {step.next_step}" for step in steps.values())
    assert (steps["Manifest"].ok, steps["Manifest"].reason) == (False, Reason.BUNDLE_UNREADABLE)


def test_a_zip_that_changes_fails_at_fetch(server: Server) -> None:
    server.put("roster.zip")
    count = [0]

    def change(_: int) -> None:
        count[0] += 1
        server.put("roster.zip", zipped("x"), NIGHT + count[0])

    server.bend["read"] = change
    steps = list(SftpCheck(server.settings(path="/roster.zip"), refuse).check())
    assert (steps[-1].name, steps[-1].reason) == ("Fetch", Reason.FILE_UNSTABLE)
