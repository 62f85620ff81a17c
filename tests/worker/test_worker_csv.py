"""CSV sources through a Job's steps: by SFTP from a real SSH server, and by upload from a real database."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncssh
import pytest
from tests.oneroster.sftp_servers import NIGHT, PASSWORD, USER, Server, serving
from tests.store.fixtures import CLUSTER, NAMESPACE, Roster
from tests.worker.bundles import FAULTS, FAULTS_TOLD, bundle, touched

from roster_operator.api.task import Outcome, WorkerSummary, WorkerTask
from roster_operator.store import issue_history, issues, runs, uploads
from roster_operator.worker.steps import run_step

pytestmark = pytest.mark.store
DAY = 86_400


@dataclass
class District:
    """A tenant, and what a pod would find mounted."""

    roster: Roster
    folder: Path
    server: Server

    def secret(self, **values: str) -> Path:
        folder = self.folder / f"sis-{uuid4().hex[:6]}"
        folder.mkdir()
        for key, value in values.items():
            (folder / key.replace("_", "-")).write_text(value)
        return folder

    def database(self) -> Path:
        folder = self.folder / "database"
        folder.mkdir(exist_ok=True)
        (folder / "stage-url").write_text(self.roster.logins().stage_url)
        (folder / "merge-url").write_text(self.roster.logins().merge_url)
        return folder

    def sftp(self, **changes: Any) -> dict[str, Any]:
        place = {"host": "127.0.0.1", "port": self.server.port, "path": "/", "hostKeys": self.server.pins}
        return {"sftp": place | {"secretRef": {"name": "springfield-sftp"}} | changes}

    def task(self, step: str, csv: dict[str, Any], uid: UUID | None = None, **more: Any) -> WorkerTask:
        sync = {"name": f"sync-{uuid4().hex[:6]}", "uid": str(uid or uuid4())}
        if "upload" in more:
            sync["upload"] = more.pop("upload")
        value = {
            "step": step,
            "cluster": CLUSTER,
            "tenant": self.roster.key(),
            "connection": {"namespace": NAMESPACE, "name": "springfield", "uid": str(uuid4())},
            "sync": sync,
            "spec": {"tenant": self.roster.key(), "csv": csv},
            "policy": {"allowAddresses": ["127.0.0.0/8"]},
        }
        return WorkerTask.model_validate_json(json.dumps(value | more))

    def run(self, task: WorkerTask, **secret: str) -> WorkerSummary:
        values = secret or {"username": USER, "password": PASSWORD + "\n"}
        return run_step(task, sis=self.secret(**values), database=self.database())

    def staged(self, csv: dict[str, Any], uid: UUID, **more: Any) -> WorkerSummary:
        summary = self.run(self.task("stage", csv, uid, **more))
        assert summary.outcome is Outcome.STAGED, summary.failure
        assert summary.plan is not None
        return summary

    def merged(self, csv: dict[str, Any], **more: Any) -> WorkerSummary:
        """Stage and merge."""
        uid = uuid4()
        summary = self.staged(csv, uid, **more)
        assert summary.plan is not None
        order = {"digest": summary.plan.digest, "by": "ada", "via": "approved", "at": "2026-11-24T12:00:00Z"}
        order["note"] = "change 17"
        done = self.run(self.task("merge", csv, uid, order=order))
        assert done.outcome is Outcome.MERGED, done.failure
        return summary

    def failed(self, task: WorkerTask, **secret: str) -> str:
        """The reason of a failure, which tells what to do and nothing of the data."""
        before = self.roster.stage_tables()
        summary = self.run(task, **secret)
        assert summary.outcome is Outcome.FAILED
        assert summary.failure is not None
        assert summary.plan is None
        assert "canary" not in summary.model_dump_json().lower()
        assert self.roster.stage_tables() == before
        return summary.failure.reason

    def users(self) -> set[str]:
        rows = self.roster.snapshot()["users"].values()
        return {row["sourced_id"] for row in rows if row["status"] == "active"}

    def origin(self) -> Any:
        return self.roster.ask(
            "select source from roster.sync_run where tenant = %s and state = 'Merged' order by data_version desc",
            self.roster.key(),
        )[0][0]

    def upload(self, data: bytes) -> str:
        with self.roster.stager() as conn:
            return uploads.put(conn, io.BytesIO(data), "ada").digest


UPLOAD: dict[str, Any] = {"upload": {}}


@pytest.fixture
def district(roster: Roster, tmp_path: Path) -> Iterator[District]:
    root = tmp_path / "served"
    root.mkdir()
    with serving(Server(root)) as server:
        yield District(roster, tmp_path, server)


# SFTP


def test_a_zip_by_sftp_arrives_and_a_newer_one_follows(district: District) -> None:
    district.server.put("canary-monday.zip", bundle(3))
    first = district.merged(district.sftp())
    assert first.version == "1.1"
    assert first.counts["users"] == 3
    assert district.users() == {"u1", "u2", "u3"}
    assert first.plan is not None
    assert first.plan.complete
    noted = "select approval ->> 'note' from roster.sync_run where tenant = %s"
    assert district.roster.ask(noted, district.roster.key()) == [("change 17",)]

    district.server.put("canary-tuesday.zip", bundle(2), NIGHT + DAY)
    second = district.merged(district.sftp())
    assert second.plan is not None
    assert second.plan.entities["users"].deactivate == 1
    assert district.users() == {"u1", "u2"}
    origin = district.origin()
    assert origin["modified"].startswith("2025-11-26T03:00:00")
    assert "canary" not in json.dumps(origin).lower(), "a file's name may hold a person's"


def test_an_older_zip_than_the_last_merged_is_refused(district: District) -> None:
    district.server.put("roster.zip", bundle(3), NIGHT)
    district.merged(district.sftp())
    # Staged, and not merged: it does not count.
    district.server.put("roster.zip", bundle(4), NIGHT + DAY)
    waiting = uuid4()
    district.staged(district.sftp(), waiting)
    district.server.put("roster.zip", bundle(5), NIGHT + 60)
    district.staged(district.sftp(), other := uuid4())
    for uid in (waiting, other):
        district.run(district.task("discard", district.sftp(), uid))

    district.server.put("roster.zip", bundle(1), NIGHT - DAY)
    assert district.failed(district.task("stage", district.sftp())) == "SourceWentBack"
    assert district.users() == {"u1", "u2", "u3"}
    # What was merged last, put back with an older time, is no step back.
    district.server.put("roster.zip", bundle(3), NIGHT - DAY)
    again = district.staged(district.sftp(), uuid4())
    assert again.plan is not None
    assert again.plan.entities["users"].unchanged == 3


def test_a_file_called_absent_removes_nothing(district: District) -> None:
    district.server.put("roster.zip", bundle(3))
    district.merged(district.sftp())
    district.server.put("roster.zip", bundle(3, users="absent"), NIGHT + DAY)
    without = district.merged(district.sftp())
    assert without.plan is not None
    assert without.plan.removals.unexplained == 0
    assert district.users() == {"u1", "u2", "u3"}


def test_a_private_key_logs_in_and_the_password_stays_unused(district: District) -> None:
    district.server.put("roster.zip", bundle())
    district.server.authorized = asyncssh.generate_private_key("ssh-ed25519")
    text = district.server.authorized.export_private_key("pkcs8-pem", "secret").decode()
    summary = district.run(
        district.task("stage", district.sftp()), username=USER, private_key=text, passphrase="secret"
    )
    assert summary.outcome is Outcome.STAGED, summary.failure
    assert set(district.server.attempts) == {"key"}


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ({"password": PASSWORD}, "SecretKeyMissing"),
        ({"username": USER}, "SettingsInvalid"),
        ({"username": USER, "password": "canary-wrong"}, "LoginRefused"),
        ({"username": USER, "private_key": "canary"}, "PrivateKeyMalformed"),
        ({"username": USER, "password": ""}, "SecretKeyEmpty"),
    ],
)
def test_what_the_secret_lacks_is_told(district: District, secret: dict[str, str], reason: str) -> None:
    district.server.put("roster.zip", bundle())
    assert district.failed(district.task("stage", district.sftp()), **secret) == reason


def test_an_address_that_the_operator_does_not_allow(district: District) -> None:
    task = district.task("stage", district.sftp(), policy={"allowAddresses": ["10.0.0.0/8"]})
    assert district.failed(task) == "AddressRefused"
    assert district.server.connections == 0


def test_a_zip_that_is_no_bundle_is_refused(district: District) -> None:
    district.server.put("roster.zip", b"canary, and no zip")
    assert district.failed(district.task("stage", district.sftp(path="/roster.zip"))) == "BundleUnreadable"


# Test Connection


def checks(summary: WorkerSummary) -> dict[str, bool]:
    assert summary.test is not None
    return {check.name: check.ok for check in summary.test.checks if check.entity is None}


def test_testing_sftp_goes_step_by_step_and_counts(district: District) -> None:
    district.server.put("canary.zip", bundle(3))
    summary = district.run(district.task("test", district.sftp()))
    report = summary.test
    assert report is not None
    assert (report.ready, report.reachable, report.authenticated, report.tenant_claimed) == (True, True, True, True)
    assert (report.version, report.counts) == ("1.1", {"orgs": 1, "users": 3})
    assert list(checks(summary)) == ["Resolve", "Connect", "HostKey", "Login", "Find", "Fetch", "Manifest"]
    assert "canary" not in summary.model_dump_json().lower()
    assert len(district.server.attempts) == 1


@pytest.mark.parametrize(
    ("sftp", "secret", "reason", "failed", "reached", "let_in"),
    [
        ({"host": "nowhere.invalid"}, {}, "DNSFailed", "Resolve", False, None),
        ({"port": 1}, {}, "ConnectFailed", "Connect", False, None),
        (
            {"hostKeys": [asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()]},
            {},
            "HostKeyMismatch",
            "HostKey",
            False,
            None,
        ),
        ({}, {"username": USER, "password": "canary"}, "LoginRefused", "Login", True, False),
        ({}, {"username": USER, "private_key": "canary"}, "PrivateKeyMalformed", "Login", True, False),
        ({}, {"username": USER}, "SettingsInvalid", "Login", True, False),
        ({"path": "/nowhere"}, {}, "PathMissing", "Find", True, True),
        ({"path": "/empty"}, {}, "NoBundle", "Find", True, True),
        ({"path": "/notes.txt"}, {}, "BundleUnreadable", "Manifest", True, True),
        ({"path": "/nobody.zip"}, {}, "EmptyRoster", "Read", True, True),
    ],
)
def test_each_way_of_failing_names_its_step(
    district: District, sftp, secret, reason: str, failed: str, reached: bool, let_in: bool | None
) -> None:
    (district.server.root / "empty").mkdir()
    district.server.put("notes.txt", b"no zip")
    district.server.put("nobody.zip", bundle(0))
    summary = district.run(district.task("test", district.sftp(**sftp)), **secret)
    report = summary.test
    assert report is not None
    assert report.failure is not None
    assert (report.failure.reason, report.ready) == (reason, False)
    assert (report.reachable, report.authenticated) == (reached, let_in)
    assert [check.name for check in report.checks if not check.ok] == [failed]
    assert report.failure.message.startswith(f"{failed}: ")
    assert "canary" not in summary.model_dump_json().lower()


def test_testing_a_connection_for_uploads_looks_at_the_database_only(district: District) -> None:
    summary = district.run(district.task("test", UPLOAD))
    report = summary.test
    assert report is not None
    assert (report.ready, report.reachable, report.authenticated, report.version) == (True, True, True, None)
    assert report.let_in_by == "NotNeeded"
    with district.roster.owner() as conn:
        conn.execute("update roster.tenant set claimed_by_name = 'another' where tenant = %s", (district.roster.key(),))
    taken = district.run(district.task("test", UPLOAD)).test
    assert taken is not None
    assert taken.failure is not None
    assert (taken.ready, taken.failure.reason) == (False, "TenantTaken")


# Uploads


def test_an_upload_is_staged_by_its_digest_and_gone_once_merged(district: District) -> None:
    named = district.upload(bundle(3))
    summary = district.merged(UPLOAD, upload=named)
    assert summary.counts["users"] == 3
    assert district.users() == {"u1", "u2", "u3"}
    assert district.origin()["upload"] == named
    assert district.failed(district.task("stage", UPLOAD, upload=named)) == "UploadMissing"


def test_what_is_odd_about_the_files_is_among_the_issues_with_its_place(district: District) -> None:
    uid = uuid4()
    summary = district.staged(UPLOAD, uid, upload=district.upload(touched(bundle(3), *FAULTS)))
    assert [(each.code, each.severity, each.entity, each.count) for each in summary.issues] == FAULTS_TOLD
    assert summary.plan is not None
    assert summary.plan.issue_trend.new == 3
    assert summary.plan.entities["users"].invalid == 1
    assert "canary" not in summary.model_dump_json().lower()
    with district.roster.stager() as conn:
        listed = issues.listing(conn, runs.get(conn, uid))
        kept = issue_history.problems(conn, uid)
    manifest = next(each.line for each in listed if each.entity == "manifest")
    places = [
        ("ManifestTypo", "", "", "manifest.csv", manifest),
        ("BadBoolean", "u2", "enabledUser", "users.csv", 3),
        ("HeaderCase", "", "givenName", "users.csv", 1),
    ]
    found = [(each.code, each.sourced_id or "", each.field or "", each.file, each.line) for each in listed]
    assert found == places
    assert sorted((each.code, each.sourced_id, each.field, each.file, each.line) for each in kept) == sorted(places)
    district.run(district.task("discard", UPLOAD, uid))
    # A file that is read again and right is a problem solved.
    after = district.staged(UPLOAD, uuid4(), upload=district.upload(bundle(3)))
    assert after.issues == []
    assert after.plan is not None
    assert after.plan.issue_trend.fixed == 3


def test_what_is_for_information_is_told_and_is_no_problem(district: District) -> None:
    absent = (("manifest.csv", f"file.{name},absent", f"file.{name},bulk") for name in ("results", "lineItems"))
    sent = touched(bundle(3), *absent, also={"results.csv": "sourcedId\r\n", "lineItems.csv": "sourcedId\r\n"})
    uid = uuid4()
    summary = district.staged(UPLOAD, uid, upload=district.upload(sent))
    assert [each.to_dict() for each in summary.issues] == [
        {"code": "NotImported", "severity": "info", "entity": "bundle", "count": 2}
    ]
    assert summary.plan is not None
    assert summary.plan.issue_trend.new == 0
    with district.roster.stager() as conn:
        listed = issues.listing(conn, runs.get(conn, uid))
        kept = issue_history.problems(conn, uid)
    assert {(each.file, each.line) for each in listed} == {("results.csv", 0), ("lineItems.csv", 0)}
    assert [(each.code, each.severity, each.state) for each in kept] == [("NotImported", "info", "new")]
    district.run(district.task("discard", UPLOAD, uid))
    # Errors and warnings come first: a status has room for ten.
    worse = touched(sent, *FAULTS)
    summary = district.staged(UPLOAD, uuid4(), upload=district.upload(worse))
    assert [each.severity for each in summary.issues] == ["error", "warning", "warning", "info"]


def test_a_bundle_with_several_faults_fails_with_the_first_and_how_many_more(district: District) -> None:
    changes = (("orgs.csv", "name", "nothing"), ("users.csv", "Canary", 'Can"ary'), ("users.csv", "familyName", "x"))
    task = district.task("stage", UPLOAD, upload=district.upload(touched(bundle(3), *changes)))
    summary = district.run(task)
    assert summary.failure is not None
    assert (summary.failure.reason, summary.failure.retryable) == ("HeaderInvalid", False)
    assert "And 1 more: MissingHeader (users.csv)" in summary.failure.message
    assert "canary" not in summary.failure.message.lower()


def test_a_discarded_sync_leaves_the_upload_for_the_next(district: District) -> None:
    named, uid = district.upload(bundle(3)), uuid4()
    first = district.staged(UPLOAD, uid, upload=named)
    again = district.staged(UPLOAD, uid, upload=named)
    assert again.plan == first.plan, "run again, it answers as before"
    assert district.run(district.task("discard", UPLOAD, uid)).outcome is Outcome.DISCARDED
    district.merged(UPLOAD, upload=named)


def test_a_sync_must_name_an_upload_where_there_is_no_other_source(district: District) -> None:
    assert district.failed(district.task("stage", UPLOAD)) == "UploadNotNamed"


def test_a_sync_must_not_name_an_upload_where_there_is_another_source(district: District) -> None:
    named = district.upload(bundle())
    assert district.failed(district.task("stage", district.sftp(), upload=named)) == "UploadNotExpected"
    api = {
        "endpoint": "https://sis.example.org",
        "auth": {"tokenURL": "https://sis.example.org/t", "secretRef": {"name": "x"}},
    }
    task = district.task("stage", UPLOAD, upload=named, spec={"tenant": district.roster.key(), "api": api})
    assert district.failed(task) == "UploadNotExpected"
    assert district.server.connections == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("delete from roster.upload where tenant = %s", "UploadMissing"),
        ("update roster.upload set expires_at = now() - interval '1 s' where tenant = %s", "UploadExpired"),
        ("update roster.upload_chunk set content = content || 'x' where tenant = %s", "UploadDigestMismatch"),
    ],
)
def test_an_upload_that_is_not_there_any_more_as_it_was(district: District, change: str, reason: str) -> None:
    named = district.upload(bundle())
    with district.roster.owner() as conn:
        assert conn.execute(change.encode(), (district.roster.key(),)).rowcount == 1
    assert district.failed(district.task("stage", UPLOAD, upload=named)) == reason


def test_no_file_is_left_behind(district: District, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    district.server.put("roster.zip", bundle())
    district.staged(district.sftp(), uuid4())
    district.staged(UPLOAD, uuid4(), upload=district.upload(bundle(2)))
    district.failed(district.task("stage", UPLOAD, upload="sha256:" + "0" * 64))
    assert list(room.iterdir()) == []
