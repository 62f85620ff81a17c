"""What the cluster's commands print, and what a bundle leaves out: pure functions on values."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.kubectl_people import DIGEST, sync_status

from roster_operator.api.limits import LimitHit
from roster_operator.api.scope import Terms
from roster_operator.api.sync import Removals, Taken
from roster_operator.cli.cluster import documents, findings, redact, sentences, views
from roster_operator.cli.cluster.findings import State
from roster_operator.cli.cluster.grid import sentence, table
from roster_operator.cli.cluster.objects import Connection, Sync
from roster_operator.cli.cluster.problems import printable
from roster_operator.cli.cluster.sentences import Program
from roster_operator.cli.cluster.watching import Progress, parse_progress
from roster_operator.cli.spreadsheets import as_csv

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
HERE = Program("kubectl roster", "k12")


def a_sync(phase: str = "Blocked", *, spec: dict[str, Any] | None = None, generation: int = 1, **more: Any) -> Sync:
    meta = {
        "name": "springfield-1",
        "namespace": "k12",
        "generation": generation,
        "creationTimestamp": "2026-11-24T03:00:00Z",
    }
    body = {"metadata": meta, "spec": {"connectionRef": {"name": "springfield"}, **(spec or {})}}
    return Sync.model_validate({**body, "status": sync_status(phase, **more)})


def a_connection(**status: Any) -> Connection:
    meta = {"name": "springfield", "namespace": "k12", "creationTimestamp": "2026-10-15T03:00:00Z"}
    return Connection.model_validate({"metadata": meta, "spec": {"api": {"provider": "Synergy"}}, "status": status})


def test_numbers_stand_right_and_names_left() -> None:
    lines = [line.text for line in table(["ENTITY", "CREATE"], [["users", "1,760 !"], ["orgs", "3"]], 80)]
    assert lines == ["ENTITY    CREATE", "users    1,760 !", "orgs           3"]


def test_a_narrow_terminal_gets_blocks_and_no_line_is_longer_than_it() -> None:
    lines = list(views.review_lines(a_sync(), 40, HERE))
    texts = [line.text for line in lines]
    assert "users" in texts
    assert "  DEACTIVATE  1,760 !" in texts
    commands = ("approve ", "reject ", "Digest ")  # pasted, so never broken
    assert max(len(text) for text in texts if not text.startswith(commands)) <= 40


def test_a_review_for_spreadsheets_has_one_number_a_row_and_runs_nothing_there() -> None:
    issue = {"code": "=HYPERLINK(1)", "severity": "error", "entity": "users", "count": 2}
    rows = documents.review_rows(a_sync(issues=[issue]))
    assert {(row["section"], row["name"]): row["count"] for row in rows if row["section"] != "entities"} == {
        ("limits", "deactivate"): 1760,
        ("removals", "explained"): 58,
        ("removals", "concluded"): 0,
        ("removals", "schoolClosed"): 0,
        ("removals", "outOfScope"): 0,
        ("removals", "undone"): 0,
        ("removals", "unexplained"): 1702,
        ("issues", "=HYPERLINK(1)"): 2,
    }
    [limit] = [row for row in rows if row["section"] == "limits"]
    assert limit["text"].startswith("1,760 of 12,394 users (14.2 %) would be deactivated")
    assert f"springfield-1,{DIGEST},issues,users,'=HYPERLINK(1),2,error\r\n" in as_csv(rows)
    unproved = a_sync()
    assert unproved.status.plan
    unproved.status.plan.complete, unproved.status.plan.incomplete_reason = False, "CountMismatch"
    [proof] = [row for row in documents.review_rows(unproved) if row["section"] == "proof"]
    assert (proof["name"], proof["text"]) == ("incomplete", "CountMismatch")


def test_issues_are_told_with_their_severity_and_those_of_files_as_such() -> None:
    codes = {"DanglingReference": ("error", "roles"), "UnknownVocabulary": ("warning", "users")}
    codes["NotImported"] = ("info", "bundle")
    issues = [
        {"code": code, "severity": severity, "entity": entity, "count": 2} for code, (severity, entity) in codes.items()
    ]
    lines = [line.text for line in views.review_lines(a_sync(issues=issues), None, HERE)]
    assert "Error    DanglingReference: 2 times in roles" in lines
    assert "Warning  UnknownVocabulary: 2 records of users" in lines
    assert "Info     NotImported: 2 times in bundle" in lines
    assert "- Info NotImported, bundle: 2" in views.review_markdown(a_sync(issues=issues), HERE)


def test_what_of_the_source_was_taken_is_part_of_a_review() -> None:
    one = a_sync()
    plan = one.status.plan
    assert plan is not None
    plan.taken = Taken(
        schools=2,
        roles=["student"],
        terms=Terms.CURRENT,
        enrolled_only=True,
        entities=["users"],
        omitted=["users.phone"],
        role_mapping={"ext:para": "aide"},
        more=3,
    )
    told = (
        "2 schools; people who are student; terms of the school year that is under way; no student without an"
        " enrollment; only users; without users.phone; ext:para as aide; and 3 more such settings"
    )
    assert f"Taken    {told}." in [line.text for line in views.review_lines(one, None, HERE)]
    assert f"- Taken: {told}" in views.review_markdown(one, HERE)
    assert [row["text"] for row in documents.review_rows(one) if row["section"] == "taken"] == [told]
    plan.taken = None
    assert "Taken" not in views.review_markdown(one, HERE)
    assert Taken().sentence == "everything"


def test_without_a_terminal_a_sentence_is_one_line() -> None:
    assert [line.text for line in sentence("word " * 50, None, "Lead  ")] == ["Lead  " + "word " * 50]


def test_the_printed_command_names_the_namespace_where_it_must() -> None:
    assert HERE.command("review", "a", namespace="k12") == "kubectl roster review a"
    other = Program("roster", "default", ("--context", "my cluster"))
    assert other.command("review", "a", namespace="k12") == "roster review a -n k12 --context 'my cluster'"


@pytest.mark.parametrize(
    ("phase", "spec", "generation", "waits"),
    [
        ("Blocked", {}, 1, True),
        ("AwaitingApproval", {}, 1, True),
        ("Staging", {}, 1, False),
        ("Merged", {}, 1, False),
        ("Blocked", {"approvedPlan": DIGEST}, 2, False),  # decided; the operator goes on
        ("Blocked", {"approvedPlan": "sha256:" + "0" * 64}, 2, True),  # another plan was approved
        ("AwaitingApproval", {"approved": True}, 2, False),  # not seen yet
        ("Blocked", {"approved": True}, 1, True),  # seen, and not enough
        ("Blocked", {"rejected": {"reason": "no"}}, 2, False),
    ],
)
def test_who_has_to_act(phase: str, spec: dict[str, Any], generation: int, waits: bool) -> None:
    assert a_sync(phase, spec=spec, generation=generation).waits is waits


def test_a_connection_is_told_with_what_waits_and_what_to_do() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Tested", "lastTransitionTime": "2026-11-24T14:00:00Z"}
    connection = a_connection(version="1.1", lastTestTime="2026-11-24T14:48:00Z", conditions=[ready])
    lines = [line.text for line in views.connection_lines(connection, [a_sync()], NOW, None, HERE)]
    assert lines[0] == "k12/springfield   Synergy 1.1   Ready, tested 12 minutes ago"
    assert lines[1] == (
        "Waiting  springfield-1: beyond limits: users 14.2 % deactivated (limit 10 %), 1,702 of them unexplained"
    )
    assert lines[2] == "         next: kubectl roster review springfield-1"
    headings = ["ENTITY", "RECEIVED", "CREATE", "UPDATE", "DEACTIVATE", "UNCHANGED", "INVALID"]
    assert lines[3].split() == headings
    assert views.connections_table([connection], [a_sync()], NOW, 120, everywhere=False)[1].text.split()[-4:] == [
        "12h",
        "-",
        "1",
        "40d",
    ]


def test_a_failure_is_told_in_its_own_words() -> None:
    failure = {"reason": "TokenRejected", "message": "The secret is wrong. Correct it.", "retryable": False}
    assert sentences.headline(a_sync("Failed", failure=failure)) == "TokenRejected: The secret is wrong. Correct it."


@pytest.mark.parametrize("phase", ["Expired", "Superseded"])
def test_a_sync_that_ended_undecided_says_why(phase: str) -> None:
    stamp = "2026-11-24T14:00:00Z"
    staged = {"type": "Staged", "status": "True", "reason": "Staged", "message": "staged", "lastTransitionTime": stamp}
    ended = staged | {"type": phase, "reason": "BecauseOfThat", "message": "Nobody decided."}
    sync = a_sync(phase, conditions=[staged, ended])
    assert sentences.reason(sync) == "BecauseOfThat"
    assert sentences.headline(sync) == "Nobody decided."


def test_a_limit_without_a_word_of_its_own_is_told_whole() -> None:
    used = LimitHit(limit="inUse", entity="users", count=3, of=1000, max_percent=0, max_count=0)
    roles = LimitHit(limit="roleChange", entity="users", count=80, of=1000, max_percent=5, max_count=10)
    assert sentences.limit(used, Removals()) == used.sentence
    assert "the application uses" in used.sentence
    assert "would get another role" in sentences.limit(roles, Removals())


def test_progress_is_read_from_a_log_with_other_lines_in_it() -> None:
    counts = ['{"entity": "users", "records": 10, "total": 100}', '{"entity": "users", "records": 90, "total": null}']
    log = "\n".join(["starting", counts[0], "[1]", counts[1]])
    assert parse_progress(log) == (Progress("users", 90, None),)


def test_a_servers_text_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[2Jb\r\n" + "c" * 1000) == ("a [2Jb " + "c" * 1000)[:400]


def test_a_lease_that_was_not_renewed_is_a_problem_and_a_missing_one_too() -> None:
    spec = {"holderIdentity": "pod", "leaseDurationSeconds": 30, "renewTime": "2026-11-24T14:59:50.000000Z"}
    assert findings.of_lease("op", {"spec": spec}, NOW).state is State.OK
    assert (
        findings.of_lease("op", {"spec": {**spec, "renewTime": "2026-11-24T14:00:00.000000Z"}}, NOW).state
        is State.PROBLEM
    )
    assert findings.of_lease("op", None, NOW).state is State.PROBLEM


def test_only_the_newest_sync_counts_as_failed() -> None:
    older = a_sync("Failed")
    newer = a_sync("Merged").model_copy(deep=True)
    newer.metadata.creation_timestamp = NOW
    newer.metadata.name = "springfield-2"
    assert not list(findings.of_syncs([older, newer]))
    assert [one.state for one in findings.of_syncs([older])] == [State.PROBLEM]


def test_a_database_that_was_put_back_is_a_problem_with_its_runbook() -> None:
    assert findings.of_database(a_connection()) is None
    behind = {
        "type": "DatabaseRewound",
        "status": "True",
        "reason": "DatabaseRewound",
        "message": "The database held version 7 of this district's data, and holds less.",
        "lastTransitionTime": "2026-11-24T14:48:00Z",
    }
    found = findings.of_database(a_connection(conditions=[behind]))
    assert found is not None
    assert (found.check, found.state) == ("database of springfield", State.PROBLEM)
    assert "version 7" in found.message
    assert "RosterDatabaseRewound.md" in found.step


def test_an_old_definition_is_told_from_a_missing_one() -> None:
    assert "missing" in findings.of_definition("rostersyncs", None).message
    assert "It serves v1alpha0, not v1alpha1." in findings.of_definition("rostersyncs", ["v1alpha0"]).message


def test_a_spec_leaves_only_what_is_on_the_list() -> None:
    spec = {
        "tenant": "springfield",
        "api": {
            "provider": "Generic",
            "endpoint": "https://user:canary@sis.example/path?key=canary",
            "auth": {"type": "OAuth2", "secretRef": {"name": "sis"}, "scopes": ["canary"]},
            "parameters": {"tenantKey": "canary"},
            "caBundle": "canary",
            "pageSize": 500,
        },
        "scope": {"schools": ["canary"]},
        "notify": {"email": ["canary@example.org"]},
        "fieldOfTheFuture": "canary",
    }
    kept = redact.resource(
        {"kind": "RosterConnection", "metadata": {"name": "a", "annotations": {"x": "canary"}}, "spec": spec}
    )
    assert "canary" not in str(kept)
    assert kept["spec"]["api"]["endpoint"] == "https://sis.example/…"
    assert kept["spec"]["api"]["auth"]["secretRef"] == {"name": "sis"}
    assert kept["spec"]["api"]["pageSize"] == 500
    assert kept["metadata"]["annotations"] == ["x"]


def test_what_repeats_a_decision_goes_even_where_its_letters_were_rewritten() -> None:
    condition = {"type": "Rejected", "status": "True", "reason": "Rejected", "message": "Ren? canary says no"}
    body = {"spec": {"rejected": {"reason": "Ren\u00e9 canary says no"}}, "status": {"conditions": [condition]}}
    kept = redact.resource(body)
    assert "canary" not in str(kept)
    assert kept["status"]["conditions"][0]["reason"] == "Rejected"
    assert "canary" not in str(redact.event({"reason": "Rejected", "message": "canary"}))


def test_kubectl_can_ask_for_completions() -> None:
    script = Path(__file__).parents[2] / "deploy/krew/kubectl_complete-roster"
    assert script.read_text().splitlines()[-1] == 'exec roster __complete -- "$@"'
    asked = [sys.executable, "-m", "roster_operator.cli", "__complete", "--", "appr"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("approve\t")
    assert lines[-1] == ":4"
    flags = subprocess.run(
        [*asked[:-1], "approve", "x", "--pl"], capture_output=True, text=True, timeout=60, check=True
    )
    assert flags.stdout.splitlines()[0].startswith("--plan")
