"""`kubectl roster` as people with different rights run it, on a real API server."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli import kubectl_people as people
from tests.cli.kubectl_people import DIGEST, EDIT, OTHER, READ
from tests.support.apiserver import ApiServer

pytestmark = pytest.mark.apiserver


def test_status_says_what_waits_why_and_what_to_do(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, READ)
    people.connection(apiserver, namespace)
    people.sync(apiserver, namespace)
    text = ada("status", "springfield").stdout
    assert f"{namespace}/springfield   Generic 1.2   Ready, tested " in text
    assert "springfield-1: beyond limits: users 14.2 % deactivated (limit 10 %), 1,702 of them unexplained" in text
    assert "next: roster review springfield-1" in text
    assert "1,760 !" in text
    assert "\x1b" not in text
    document = ada.json("status")
    assert document["connections"][0]["waiting"] == ["springfield-1"]
    assert document["syncs"][0]["plan"]["digest"] == DIGEST
    listed = ada("list").stdout.splitlines()
    assert listed[0].split()[:3] == ["NAME", "SOURCE", "READY"]
    assert listed[1].startswith("springfield   Generic 1.2   True")
    assert ada.json("history", "springfield")["syncs"][0]["phase"] == "Blocked"


def test_review_waits_for_a_person_and_tells_how_to_decide(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    ada = people.person(apiserver, namespace, tmp_path, READ)
    people.sync(apiserver, namespace)
    text = ada("review", "springfield-1", code=3).stdout
    assert "1,760 of 12,394 users (14.2 %) would be deactivated; the limit is 10 % and 20" in text
    assert "58 marked by the source, 1,702 unexplained" in text
    assert f"approve  roster approve springfield-1 --plan {DIGEST}" in text
    assert "DanglingReference: 3 records of enrollments" in text
    markdown = ada("review", "springfield-1", "-o", "markdown", code=3).stdout
    assert "| users | 12,400 | 120 | 310 | 1,760 ! | 0 | 10,210 | 3 |" in markdown
    as_json = ada.json("review", "springfield-1", code=3)
    assert yaml.safe_load(ada("review", "springfield-1", "-o", "yaml", code=3).stdout) == as_json
    assert as_json["kind"] == "SyncReview"
    table = list(csv.DictReader(io.StringIO(ada("review", "springfield-1", "-o", "csv", code=3).stdout)))
    assert {row["digest"] for row in table} == {DIGEST}
    assert ("entities", "users", "deactivate", "1760") in {
        (row["section"], row["entity"], row["name"], row["count"]) for row in table
    }
    people.sync(apiserver, namespace, "springfield-2", "Staging", plan=None)
    early = ada("review", "springfield-2", "-o", "csv")
    assert (early.stdout, early.stderr) == ("", "springfield-2 has no plan: it is Staging.\n")


def test_approve_sets_the_digest_that_was_shown_and_who_it_was(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.sync(apiserver, namespace)
    assert "ConfirmationNeeded" in ada("approve", "springfield-1", code=1).stderr
    assert "PlanChanged" in ada("approve", "springfield-1", "--plan", OTHER, "--yes", code=3).stderr
    to_commit = yaml.safe_load(ada("approve", "springfield-1", "-o", "yaml").stdout)
    assert to_commit["spec"] == {"approvedPlan": DIGEST}
    assert "approvedPlan" not in apiserver.read("rostersync", "springfield-1", namespace)["spec"]

    answer = ada.json("approve", "springfield-1", "--plan", DIGEST, "--yes", "--note", "see change 17")
    name = f"system:serviceaccount:{namespace}:ada"
    assert answer["by"] == name
    stored = apiserver.kubectl(
        "-n", namespace, "get", "rostersync", "springfield-1", "-o", "json", "--show-managed-fields"
    )
    body = json.loads(stored.stdout)
    assert body["spec"]["approvedPlan"] == DIGEST
    assert body["metadata"]["annotations"]["roster-operator.io/approved-by"] == name
    assert body["metadata"]["annotations"]["roster-operator.io/approval-note"] == "see change 17"
    assert "roster" in {entry["manager"] for entry in body["metadata"]["managedFields"]}


def test_what_has_ended_can_be_neither_approved_nor_rejected(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.sync(apiserver, namespace, phase="Merged")
    assert "TooLate" in ada("approve", "springfield-1", "--yes", code=1).stderr
    assert "TooLate" in ada("reject", "springfield-1", "--reason", "no", code=1).stderr
    assert ada("review", "springfield-1").stdout.startswith(f"{namespace}/springfield-1")


def test_reject_leaves_its_reason(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.sync(apiserver, namespace)
    ada("reject", "springfield-1", "--reason", "the school year has not begun")
    spec = apiserver.read("rostersync", "springfield-1", namespace)["spec"]
    assert spec["rejected"] == {"reason": "the school year has not begun"}


def test_a_sync_is_followed_until_it_waits_and_after_its_approval_until_it_is_merged(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.connection(apiserver, namespace)

    def operator() -> None:
        while apiserver.read("rostersync", "first", namespace) is None:
            time.sleep(0.2)
        people.status(apiserver, namespace, "rostersync", "first", {"phase": "Staging", "observedGeneration": 1})
        time.sleep(2.5)
        people.status(apiserver, namespace, "rostersync", "first", people.sync_status("AwaitingApproval"))

    thread = threading.Thread(target=operator)
    thread.start()
    text = ada("sync", "springfield", "--name", "first", "--wait", "--timeout", "60", code=3).stdout
    thread.join()
    assert "Staging: " in text
    assert "AwaitingApproval: if approved, it creates 120, updates 310 and deactivates 1,760 records." in text
    assert "next: roster review first" in text
    assert apiserver.read("rostersync", "first", namespace)["spec"]["mode"] == "Full"

    ada("approve", "first", "--yes")
    assert "StillRunning" in ada("watch", "first", "--timeout", "0", code=1).stderr  # approved: it waits for nobody
    people.status(apiserver, namespace, "rostersync", "first", people.sync_status("Merged"))
    assert ada.json("watch", "first")["phase"] == "Merged"
    assert "NameTaken" in ada("sync", "springfield", "--name", "first", code=1).stderr


def test_a_test_is_asked_for_and_its_answer_told(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.connection(apiserver, namespace, ready="False")
    assert ada("test", "springfield").stdout.startswith("Asked for.")
    before = apiserver.read("rosterconnection", "springfield", namespace)["metadata"]["annotations"]

    def operator() -> None:
        while True:
            asked = apiserver.read("rosterconnection", "springfield", namespace)["metadata"]["annotations"]
            if asked != before:
                break
            time.sleep(0.2)
        request = asked["roster-operator.io/test-requested-at"]
        people.status(apiserver, namespace, "rosterconnection", "springfield", {"lastHandledTestRequest": request})

    thread = threading.Thread(target=operator)
    thread.start()
    done = ada("test", "springfield", "--wait", "--timeout", "60", code=1)
    thread.join()
    assert "TokenRejected" in done.stdout
    assert "TestUnanswered" in ada("test", "springfield", "--wait", "--timeout", "0", code=1).stderr


def test_suspend_and_resume(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.connection(apiserver, namespace)
    ada("suspend", "springfield")
    assert apiserver.read("rosterconnection", "springfield", namespace)["spec"]["suspend"] is True
    assert "Suspended" in ada("status").stdout
    ada("resume", "springfield")
    assert apiserver.read("rosterconnection", "springfield", namespace)["spec"]["suspend"] is False


SUMMER = {"from": "2027-06-12", "to": "2027-08-10", "mode": "Skip", "reason": "Summer"}
WINTER = {"from": "2026-12-21", "to": "2027-01-03", "mode": "Rehearse", "reason": "Winter break"}


def test_pauses_are_added_listed_and_removed_one_by_one(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, EDIT)
    people.connection(apiserver, namespace)

    def stored() -> dict[str, Any]:
        return apiserver.read("rosterconnection", "springfield", namespace)["spec"]["automaticSync"]

    def add(window: dict[str, str], *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        days = ("--from", window["from"], "--to", window["to"], "--reason", window["reason"])
        return ada("pause", "add", "springfield", *days, *more, code=code)

    assert "NoSchedule" in add(SUMMER, code=1).stderr
    people.schedule(apiserver, namespace)
    add(SUMMER)
    text = add(WINTER, "--rehearse").stdout
    assert text.splitlines()[1].startswith("2026-12-21   2027-01-03   Rehearse")
    assert stored() == {**people.SCHEDULE, "pause": [WINTER, SUMMER]}
    assert "PauseThere" in add(SUMMER, code=1).stderr
    assert ada.json("pause", "list", "springfield")["pauses"] == [WINTER, SUMMER]
    assert "PauseUnknown" in ada("pause", "remove", "springfield", "--from", "2026-12-22", code=1).stderr
    ada("pause", "remove", "springfield", "--from", "2026-12-21")
    assert stored() == {**people.SCHEDULE, "pause": [SUMMER]}
    assert "a pause must not end" in add({**SUMMER, "to": "2027-06-11"}, code=2).stderr


def test_a_pause_for_git_is_printed_and_nothing_is_written(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    ada = people.person(apiserver, namespace, tmp_path, READ)  # who may not patch
    people.connection(apiserver, namespace)
    people.schedule(apiserver, namespace, pause=[WINTER])
    new = ("--from", SUMMER["from"], "--to", SUMMER["to"], "--reason", "Summer")
    printed = yaml.safe_load(ada("pause", "add", "springfield", *new, "-o", "yaml").stdout)
    assert printed["spec"] == {"automaticSync": {"pause": [WINTER, SUMMER]}}
    assert printed["metadata"] == {"name": "springfield", "namespace": namespace}
    assert ada.json("pause", "list", "springfield")["pauses"] == [WINTER]
    assert "You may not patch rosterconnections" in ada("pause", "add", "springfield", *new, code=1).stderr


def test_a_misspelt_name_is_answered_with_similar_ones(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, READ)
    people.connection(apiserver, namespace)
    assert "Did you mean springfield?" in ada("status", "sprinfield", code=1).stderr


def test_a_missing_right_is_named_by_its_verb(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    people.sync(apiserver, namespace)
    reader = people.person(apiserver, namespace, tmp_path, READ, "reader")
    refused = reader("reject", "springfield-1", "--reason", "no", code=1).stderr
    assert f"Forbidden: You may not patch rostersyncs.roster-operator.io in the namespace {namespace}." in refused
    assert (
        "You may not list rosterconnections.roster-operator.io in the whole cluster."
        in reader("list", "-A", code=1).stderr
    )
    stranger = people.person(apiserver, namespace, tmp_path, [], "stranger")
    assert "You may not get rostersyncs.roster-operator.io" in stranger("watch", "springfield-1", code=1).stderr


def test_without_a_cluster_or_with_bad_credentials_the_next_step_is_named(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    nobody = people.Person(tmp_path / "absent")
    assert "NoKubeconfig" in nobody("status", code=1).stderr
    wrong = people.Person(people.kubeconfig_of(apiserver, namespace, tmp_path / "wrong", {"token": "canary-token"}))
    said = wrong("status", code=1).stderr
    assert "NotSignedIn" in said
    assert "canary-token" not in said
    assert "ContextUnknown" in wrong("status", "--context", "other", code=1).stderr
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    closed = tmp_path / "closed"
    closed.write_text(yaml.safe_dump(config))
    assert "ClusterUnreachable" in people.Person(closed)("status", code=1).stderr
    broken = tmp_path / "broken"
    broken.write_text("users: [canary-token")
    said = people.Person(broken)("status", code=1).stderr
    assert "KubeconfigInvalid" in said
    assert "canary-token" not in said


def test_a_credential_plugin_logs_in_and_its_failure_is_told(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    people.connection(apiserver, namespace)
    token = yaml.safe_load(people.person(apiserver, namespace, tmp_path, READ).kubeconfig.read_text())["users"][0][
        "user"
    ]["token"]
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    program = {"apiVersion": credential["apiVersion"], "command": sys.executable, "interactiveMode": "Never"}
    good = {"exec": {**program, "args": ["-c", f"print({json.dumps(json.dumps(credential))})"]}}
    by_plugin = people.Person(people.kubeconfig_of(apiserver, namespace, tmp_path / "plugin", good))
    assert by_plugin.json("list")["connections"][0]["name"] == "springfield"
    bad = {"exec": {**program, "args": ["-c", "raise SystemExit('your session is over')"]}}
    over = people.Person(people.kubeconfig_of(apiserver, namespace, tmp_path / "over", bad))("list", code=1)
    assert "CredentialPluginFailed" in over.stderr
    assert "your session is over" in over.stderr


def test_an_administrator_who_acts_as_somebody_is_somebody(
    apiserver: ApiServer, namespace: str, tmp_path: Path
) -> None:
    admin = yaml.safe_load(apiserver.kubeconfig.read_text())["users"][0]["user"]
    acting = {**admin, "as": "mallory", "as-groups": ["one", "two"]}
    as_mallory = people.Person(people.kubeconfig_of(apiserver, namespace, tmp_path / "as", acting))
    assert "Forbidden" in as_mallory("list", code=1).stderr


def test_names_are_completed(apiserver: ApiServer, namespace: str, tmp_path: Path) -> None:
    ada = people.person(apiserver, namespace, tmp_path, READ)
    people.connection(apiserver, namespace)
    people.connection(apiserver, namespace, "shelbyville")
    done = subprocess.run(
        [sys.executable, "-c", "from roster_operator.cli.app import app; app(prog_name='roster')"],
        env={
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(ada.kubeconfig),
            "PYTHONPATH": ":".join(sys.path),
            "_ROSTER_COMPLETE": "complete_bash",
            "COMP_WORDS": "roster status sp",
            "COMP_CWORD": "2",
        },
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["springfield"], done.stderr
