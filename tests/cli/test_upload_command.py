"""`roster upload` and `roster stage --upload`, as a person runs them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.store.fixtures import Roster, own_roster, roster, roster_database
from tests.worker.bundles import bundle

pytestmark = pytest.mark.store

__all__ = ["own_roster", "roster", "roster_database"]

CONNECTION = """\
apiVersion: roster-operator.io/v1alpha1
kind: RosterConnection
metadata: {{name: springfield, namespace: k12}}
spec: {{tenant: {tenant}, csv: {csv}}}
"""


class Command:
    """The program, with the tenant's stage login."""

    def __init__(self, roster: Roster, folder: Path) -> None:
        self.roster, self.folder = roster, folder
        self.connection = self.written("connection.yaml", csv="{upload: {}}")

    def written(self, name: str, csv: str, tenant: str = "springfield") -> str:
        path = self.folder / name
        path.write_text(CONNECTION.format(tenant=self.roster.key(tenant), csv=csv))
        return str(path)

    def bundle(self, data: bytes, name: str = "roster.zip") -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def __call__(self, *arguments: str, code: int = 0, url: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                sys.executable, "-m", "roster_operator.cli", *arguments,
                "--database", url or self.roster.logins().stage_url,
            ],
            env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def upload(self, data: bytes) -> dict[str, Any]:
        return json.loads(self("upload", self.bundle(data), "-f", self.connection, "-o", "json").stdout)


@pytest.fixture
def command(roster: Roster, tmp_path: Path) -> Command:
    return Command(roster, tmp_path)


def test_a_zip_is_uploaded_staged_and_merged_by_its_digest(command: Command) -> None:
    data = bundle(4)
    sent = command.upload(data)
    assert sent["kind"] == "Upload"
    assert (sent["digest"], sent["size"], sent["before"]) == (
        f"sha256:{hashlib.sha256(data).hexdigest()}",
        len(data),
        False,
    )
    assert command.upload(data)["before"]

    staged = command("stage", "-f", command.connection, "--upload", sent["digest"], "-o", "json", code=3)
    plan = json.loads(staged.stdout)
    assert plan["plan"]["entities"]["users"]["create"] == 4
    merge = command.roster.logins().merge_url
    command("merge", plan["run"], "-f", command.connection, "--plan", plan["plan"]["digest"], url=merge)
    assert len(command.roster.snapshot()["users"]) == 4
    again = command("stage", "-f", command.connection, "--upload", sent["digest"], code=1)
    assert "UploadMissing" in again.stderr


def test_for_people_it_says_what_comes_next(command: Command) -> None:
    shown = command("upload", command.bundle(bundle()), "-f", command.connection).stdout
    assert "sha256:" in shown
    assert "roster stage -f" in shown


def test_an_upload_claims_no_tenant(command: Command) -> None:
    command.upload(bundle())
    claimed = "select claimed_by_name from roster.tenant where tenant = %s"
    assert command.roster.one(claimed, command.roster.key()) is None


@pytest.mark.parametrize(
    ("data", "reason"), [(b"no zip, canary", "BundleUnreadable"), (b"", "BundleUnreadable")], ids=["text", "empty"]
)
def test_what_is_no_bundle_is_not_sent(command: Command, data: bytes, reason: str) -> None:
    done = command("upload", command.bundle(data), "-f", command.connection, code=1)
    assert reason in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert command.roster.one("select count(*) from roster.upload where tenant = %s", command.roster.key()) == 0


def test_a_connection_with_a_source_of_its_own_takes_no_upload(command: Command) -> None:
    sftp = "{sftp: {host: h, path: /, hostKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5], secretRef: {name: s}}}"
    other = command.written("other.yaml", csv=sftp)
    assert "UploadNotExpected" in command("upload", command.bundle(bundle()), "-f", other, code=1).stderr


def test_another_tenants_login_is_refused(command: Command) -> None:
    other = command.written("other.yaml", csv="{upload: {}}", tenant="shelbyville")
    assert "TenantMismatch" in command("upload", command.bundle(bundle()), "-f", other, code=1).stderr


def test_a_digest_that_is_none_is_wrong_use(command: Command) -> None:
    command("stage", "-f", command.connection, "--upload", "sha256:short", code=2)


def test_without_an_upload_nothing_is_staged(command: Command) -> None:
    assert "UploadNotNamed" in command("stage", "-f", command.connection, code=1).stderr


def test_the_connection_is_ready_without_a_source(command: Command) -> None:
    assert "Ready." in command("test", "-f", command.connection).stdout
