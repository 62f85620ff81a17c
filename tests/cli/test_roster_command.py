"""`roster` as a person runs it: as a program, on YAML files, with its exit codes and its JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.cli.spreadsheets import as_csv
from roster_sample_sis import SampleSIS, generate
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed

pytestmark = pytest.mark.store

CONNECTION = """\
apiVersion: roster-operator.io/v1alpha1
kind: RosterConnection
metadata: {{name: springfield, namespace: k12}}
spec:
  api:
    endpoint: {endpoint}
    allowInsecure: true
    auth: {{tokenURL: "{token_url}", secretRef: {{name: springfield-sis}}}}
"""
SECRET = """\
---
apiVersion: v1
kind: Secret
metadata: {{name: springfield-sis, namespace: k12}}
stringData: {{client-id: id, client-secret: "{secret}"}}
"""


@dataclass
class Roster:
    """The program with a database of its own."""

    folder: Path
    sis: SampleSIS

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "roster_operator.cli", *arguments],
            env={**os.environ, "XDG_DATA_HOME": str(self.folder / "data"), "COLUMNS": "120", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return json.loads(self(*arguments, "--output", "json", code=code).stdout)

    def connection(self, secret: str = "s3cret-canary", **changes: str) -> str:
        values = {"endpoint": self.sis.endpoint("1.2").split("/ims/")[0], "token_url": self.sis.token_url, **changes}
        path = self.folder / "connection.yaml"
        path.write_text(CONNECTION.format(**values) + SECRET.format(secret=secret))
        return str(path)


ALLOWED = ("--allow-address", "127.0.0.0/8", "--allow-insecure")
DISTRICT = generate(11, 300)


@pytest.fixture
def roster(tmp_path: Path) -> Iterator[Roster]:
    with SampleSIS(DISTRICT, client_id="id", client_secret="s3cret-canary") as sis:
        yield Roster(tmp_path, sis)


def test_a_district_goes_from_yaml_to_merged_rows_and_says_what_it_waits_for(roster: Roster) -> None:
    path = roster.connection()
    tested = roster.json("test", "-f", path, *ALLOWED)
    assert tested["kind"] == "Test"
    assert tested["test"]["ready"] is True
    assert tested["test"]["counts"]["users"] == 300

    staged = roster.json("stage", "-f", path, *ALLOWED, code=3)
    users = staged["plan"]["entities"]["users"]
    assert (users["received"], users["create"], users["update"]) == (300, 300, 0)
    run, digest = staged["run"], staged["plan"]["digest"]

    reviewed = roster.json("review", run, "-f", path, "--entity", "users", "--limit", "3", code=3)
    assert reviewed["state"] == "Staged"
    assert [c["action"] for c in reviewed["changes"]] == ["create"] * 3
    assert reviewed["plan"]["digest"] == digest

    wrong = roster.json("merge", run, "-f", path, "--plan", "sha256:" + "0" * 64, code=3)
    assert wrong["merged"] is False

    merged = roster.json("merge", run, "-f", path, "--plan", digest)
    assert (merged["merged"], merged["dataVersion"]) == (True, 1)
    assert roster.json("merge", run, "-f", path, "--plan", digest)["dataVersion"] == 1, "merged once, answered twice"

    roster.sis.swap(one_percent_changed(DISTRICT, 5))
    again = roster.json("stage", "-f", path, *ALLOWED, code=3)
    assert again["plan"]["entities"]["users"]["create"] < 30
    assert "Discarded" in roster("discard", again["run"], "-f", path).stdout
    listed = roster.json("runs", "-f", path)["runs"]
    assert [r["state"] for r in listed] == ["Discarded", "Merged"]


def test_a_table_for_people_names_the_next_commands(roster: Roster) -> None:
    done = roster("stage", "-f", roster.connection(), *ALLOWED, code=3)
    assert "ENTITY" in done.stdout
    assert "Next: roster review" in done.stdout
    assert "--plan sha256:" in done.stdout


def test_a_wrong_secret_is_told_with_a_reason_and_never_repeated(roster: Roster) -> None:
    done = roster("test", "-f", roster.connection(secret="wrong-canary"), *ALLOWED, code=1)
    assert "TokenRejected" in done.stderr
    assert "wrong-canary" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason", "way"),
    [
        ((), "InsecureNotPermitted", "--allow-insecure"),
        (("--allow-insecure",), "AddressRefused", "--allow-address"),
    ],
)
def test_a_private_or_insecure_source_needs_the_operators_permission(
    roster: Roster, arguments: tuple[str, ...], reason: str, way: str
) -> None:
    told = " ".join(roster("test", "-f", roster.connection(), *arguments, code=1).stderr.split())
    assert reason in told
    assert way in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is not YAML"),
        ("kind: Other", "has 0 RosterConnections"),
        ("apiVersion: roster-operator.io/v1\nkind: RosterConnection\nmetadata: {name: x}\n", "apiVersion must be"),
        (
            (
                "apiVersion: roster-operator.io/v1alpha1\nkind: RosterConnection\nmetadata: {name: x}\n"
                "spec: {api: {endpoint: 'https://x.example', passwrd: hunter2-canary}}\n"
            ),
            "spec.api.passwrd",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_says_where(roster: Roster, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    done = roster("test", "-f", str(path), code=1)
    assert says in " ".join(done.stderr.split())
    assert "hunter2-canary" not in done.stderr


def test_usage_errors_end_with_2(roster: Roster) -> None:
    roster("stage", code=2)
    roster("test", "-f", roster.connection(), "--allow-address", "nonsense", code=2)


def test_the_owner_migrates_makes_a_tenant_and_gets_a_secret_to_apply(roster: Roster) -> None:
    with EmbeddedPostgres.temporary(tcp=True) as server:
        owner = server.create_database().owner_url
        assert "applied 0001" in roster("migrate", "--database", owner).stdout
        assert "applied" not in roster("migrate", "--database", owner).stdout
        secret = roster("tenant", "create", "k12.springfield", "--namespace", "k12", "--database", owner).stdout
        assert "kind: Secret" in secret
        urls = {line.split(": ")[0].strip(): line.split(": ")[1] for line in secret.splitlines() if "-url: " in line}
        assert set(urls) == {"stage-url", "merge-url"}
        with psycopg.connect(urls["stage-url"]) as conn:
            assert conn.execute("select roster.session_tenant()").fetchone() == ("k12.springfield",)
        roster("tenant", "create", "k12.springfield", "--database", owner, code=1)
        assert "k12.springfield" in roster("tenant", "list", "--database", owner).stdout
        staged = roster.json("stage", "-f", roster.connection(), *ALLOWED, "--database", urls["stage-url"], code=3)
        merged = roster.json(
            "merge", staged["run"], "-f", roster.connection(), "--plan", staged["plan"]["digest"],
            "--database", urls["merge-url"],
        )  # fmt: skip
        assert merged["merged"] is True
        assert "Released" in roster("tenant", "release", "k12.springfield", "--database", owner).stdout


def test_the_owner_is_told_what_the_server_s_log_would_show(roster: Roster) -> None:
    with EmbeddedPostgres.temporary(tcp=True, settings={"log_error_verbosity": "default"}) as server:
        owner = server.create_database().owner_url
        said = " ".join(roster("migrate", "--database", owner).stdout.split())
        assert "the row that it is about (1 logins; log_min_messages, log_error_verbosity)" in said
        assert "docs/how-to/postgresql-log.md" in said
    with EmbeddedPostgres.temporary(tcp=True) as server:
        assert "personal data" not in roster("migrate", "--database", server.create_database().owner_url).stdout


def test_a_database_that_does_not_answer_is_told_without_its_password(roster: Roster) -> None:
    url = "postgresql://u:pw-canary@127.0.0.1:1/x"
    done = roster("migrate", "--database", url, code=1)
    assert "DatabaseUnreachable" in done.stderr
    assert "pw-canary" not in done.stderr


def test_the_demo_tells_its_whole_story(roster: Roster) -> None:
    said = " ".join(roster("demo", "--users", "300").stdout.split())
    for part in ("Test the connection", "data version 1", "data version 2", "Beyond limits", "All of this is gone"):
        assert part in said


def test_the_problems_of_records_are_told_as_a_table_for_programs_and_for_the_school(roster: Roster) -> None:
    path = roster.connection()
    told = roster("issues", "-f", path, code=1)
    assert "NothingStaged" in told.stderr
    enrollments = DISTRICT.enrollments.copy()
    enrollments.user[3] = 99_999_999
    roster.sis.swap(msgspec.structs.replace(DISTRICT, enrollments=enrollments))
    staged = roster.json("stage", "-f", path, *ALLOWED, code=3)
    assert staged["plan"]["issueTrend"] == {"new": 1, "still": 0, "fixed": 0, "back": 0}
    found = roster.json("issues", "-f", path)
    assert found["run"] == staged["run"]
    (issue,) = found["issues"]
    assert (issue["code"], issue["entity"], issue["severity"], issue["new"]) == (
        "DanglingReference", "enrollments", "error", 1,
    )  # fmt: skip
    assert issue["remedy"]
    table = roster("issues", "-f", path).stdout
    assert "DanglingReference" in table
    header, row = roster("issues", "-f", path, "--records", "-o", "csv").stdout.splitlines()
    assert header.startswith("entity,sourcedId,code,field,file,line,severity,school,state,since,remedy")
    assert row.startswith("enrollments,")
    assert roster.json("issues", "-f", path, "--records", "--state", "fixed")["records"] == []


def test_what_a_spreadsheet_would_run_is_text_in_the_list_for_the_school() -> None:
    assert as_csv([{"sourcedId": "=cmd()", "school": "-1", "new": -1}]) == "sourcedId,school,new\r\n'=cmd(),'-1,-1\r\n"


def test_what_a_limit_holds_is_listed_as_a_table_for_programs_and_for_a_spreadsheet(roster: Roster) -> None:
    path = roster.connection()
    first = roster.json("stage", "-f", path, *ALLOWED, code=3)
    assert "No limit holds anything" in roster("review", first["run"], "-f", path, "--held", code=3).stdout
    roster("merge", first["run"], "-f", path, "--plan", first["plan"]["digest"])
    assert "NotWaiting" in roster("review", first["run"], "-f", path, "--held", code=1).stderr
    after = lost_a_fifth(DISTRICT)
    roster.sis.swap(after)
    gone = {user.sourced_id for user in DISTRICT.users} - {user.sourced_id for user in after.users}
    staged = roster.json("stage", "-f", path, *ALLOWED, code=3)
    review = ("review", staged["run"], "-f", path, "--held", "--entity", "users", "--limit", "1000")
    held = roster.json(*review, code=3)["held"]
    (hit,) = [each for each in held if each["limit"] == "deactivate"]
    assert (hit["count"], hit["waits"]) == (len(gone), False)
    assert "would be deactivated" in hit["sentence"]
    assert {each["sourcedId"] for each in hit["records"]} == gone
    assert all(each["label"] and each["school"] for each in hit["records"])
    table = roster(*review, code=3).stdout
    assert "Beyond limits" in table
    assert all(each in table for each in gone)
    header, *rows = roster(*review, "-o", "csv", code=3).stdout.splitlines()
    assert header == "limit,entity,action,sourcedId,label,school,code"
    assert {row.split(",")[3] for row in rows if row.startswith("deactivate,users,vanished,")} == gone
    roster("review", staged["run"], "-f", path, "-o", "csv", code=2)
    roster("review", staged["run"], "-f", path, "--held", "--action", "create", code=2)
    roster("review", "some-sync", "--held", code=2)
