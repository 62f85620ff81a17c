"""The alert rules, as promtool judges them, and that each has a runbook and tests of its own name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from roster_operator.oneroster.errors import Reason

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "alerts"
RUNBOOKS = ROOT / "docs" / "runbooks"
HERE = Path(__file__).parent

FILES = sorted(RULES.glob("*.yaml"))
RULE_OF = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
}
ALERTS = sorted(RULE_OF)


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool") or ROOT / ".local" / "tools" / "promtool"
    if not Path(found).is_file():
        pytest.fail("promtool is missing: make system-packages", pytrace=False)
    return str(found)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """promtool says what it tests on one output and what failed on the other: both in one, in their order."""
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=HERE,
    )


def test_there_are_the_alerts_that_the_design_names() -> None:
    modes = {
        *("RosterSyncFailed", "RosterSyncWaiting", "RosterSyncBlocked", "RosterDataStale", "RosterConnectionNotReady"),
        *("RosterCertificateExpiring", "RosterCredentialsExpiring", "RosterScheduleMissed", "RosterDatabaseRewound"),
        *("RosterOperatorWithoutLeader", "RosterOperatorDown", "RosterWatchSilent"),
    }
    assert modes == set(ALERTS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_promtool_accepts_the_rules(promtool: str, file: Path) -> None:
    done = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", file)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(promtool: str, alert: str) -> None:
    done = run(promtool, "test", "rules", HERE / f"{alert}.test.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("alert", ALERTS)
def test_the_tests_of_an_alert_see_it_both_fire_and_stay_silent(alert: str) -> None:
    tests = yaml.safe_load((HERE / f"{alert}.test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases} == {alert}
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


def changed(rule: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """The rule with one of its numbers or its operator changed."""
    out: list[tuple[str, dict[str, str]]] = []
    text = rule["expr"]
    for match in re.finditer(r"\b\d+(h|m)?\b(?! =)|==|[<>](?!=)|\bor\b|\bunless\b", text):
        old = match.group()
        new = {"==": "!=", ">": "<", "<": ">", "or": "unless", "unless": "or"}.get(old)
        if new is None:
            digits = re.match(r"\d+", old)
            assert digits
            new = f"{int(digits.group()) * 3 + 1}{match.group(1) or ''}"
        out.append((f"{old} -> {new}", {**rule, "expr": text[: match.start()] + new + text[match.end() :]}))
    if "for" in rule:
        out.append(("for: 0s", {**rule, "for": "0s"}))
        out.append(("for: 3h", {**rule, "for": "3h"}))
    return out


@pytest.mark.parametrize("alert", ALERTS)
def test_a_changed_rule_is_found_out(promtool: str, tmp_path: Path, alert: str) -> None:
    """The tests' own test: no number and no operator of a rule can be changed without one of them failing."""
    tests = yaml.safe_load((HERE / f"{alert}.test.yaml").read_text())
    variants = changed(RULE_OF[alert])
    for number, (_, rule) in enumerate(variants):
        rules = tmp_path / f"rules-{number}.yaml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "changed", "rules": [rule]}]}))
        tests["rule_files"] = [str(rules)]
        (tmp_path / f"{number}.test.yaml").write_text(yaml.safe_dump(tests))
    said = run(promtool, "test", "rules", *(tmp_path / f"{number}.test.yaml" for number in range(len(variants)))).stdout
    verdicts = re.findall(r"(\d+)\.test\.yaml\s+(SUCCESS|FAILED)", said)
    assert len(verdicts) == len(variants) >= 3
    assert [variants[int(number)][0] for number, verdict in verdicts if verdict == "SUCCESS"] == []


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(page.stem for page in RUNBOOKS.glob("*.md")) == ALERTS


def test_every_alert_has_tests_and_every_test_an_alert() -> None:
    assert sorted(file.name.removesuffix(".test.yaml") for file in HERE.glob("*.test.yaml")) == ALERTS


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_how_bad_and_where_to_read(alert: str) -> None:
    rule = RULE_OF[alert]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"runbooks/{alert}.md"
    assert (ROOT / "docs" / rule["annotations"]["runbook_url"]).is_file()


@pytest.mark.parametrize("alert", ALERTS)
def test_a_runbook_says_how_to_look_what_to_do_and_when_it_is_over(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "Look"
    assert any(heading.startswith("What to do") for heading in headings)
    assert headings[-1] == "It is over when"
    assert "kubectl" in text


def test_the_documentation_lists_every_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", (ROOT / "docs/README.md").read_text(), re.M)
    assert dict(rows) == {alert: RULE_OF[alert]["labels"]["severity"] for alert in ALERTS}


def reasons_of_workers() -> set[str]:
    """Every reason that a failed sync can have: the source's, and those that the code gives by name."""
    found = {str(reason) for reason in Reason}
    for room in ("worker", "store", "controller"):
        for file in (ROOT / "operator" / "roster_operator" / room).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                first = node.args[0] if node.args else None
                told = name in {"StoreError", "WorkerError", "failure"} or _is_super_init(node.func)
                if told and isinstance(first, ast.Constant):
                    found.add(str(first.value))
                if name in {"JobState", "Failure"}:
                    found |= {
                        str(keyword.value.value)
                        for keyword in node.keywords
                        if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant) and keyword.value.value
                    }
    return found


def _is_super_init(called: ast.expr) -> bool:
    """An error of its own class gives its reason to the class above it."""
    return isinstance(called, ast.Attribute) and called.attr == "__init__" and ast.unparse(called.value) == "super()"


# Met only by people, at the command line or in the console, never by a sync.
AT_THE_COMMAND_LINE = {
    "AddressMissing",
    "InvitationUnknown",
    "InvitationUsed",
    "InvitedTooOften",
    "AccessUnknown",
    "ClassUnknown",
    "ConsoleExists",
    "ConsoleNameInvalid",
    "ConsoleUnknown",
    "EntityUnknown",
    "FieldNotPinnable",
    "IdentifierTaken",
    "MatchUnknown",
    "UploadsRest",
    "MigrationChanged",
    "NotTheConsole",
    "NotWaiting",
    "NothingStaged",
    "PermissionsInvalid",
    "PersonUnknown",
    "PinInvalid",
    "PinUnknown",
    "ReaderExists",
    "ReaderNameInvalid",
    "ReaderUnknown",
    "RecordUnknown",
    "SchoolUnknown",
    "StagedSyncsWait",
    "StudentInvalid",
    "TenantExists",
    "TenantNotOpen",
    "TenantUnknown",
    "UploadMalformed",
    "UploadTooLarge",
    "UploadsFull",
}


# Met by a notice to a webhook alone; docs/how-to/notices.md says what to do.
OF_NOTICES = {"SigningKeyMalformed", "SigningKeyTooShort", "WebhookGone", "WebhookRefused", "WebhookUnavailable"}


def test_the_runbook_of_a_failed_sync_knows_every_reason() -> None:
    told = set(re.findall(r"^\| (\w+) \|", (RUNBOOKS / "RosterSyncFailed.md").read_text(), re.M)) - {"reason"}
    assert reasons_of_workers() - AT_THE_COMMAND_LINE - OF_NOTICES - told == set()


def test_the_page_on_notices_knows_every_reason_of_a_webhook() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/how-to/notices.md").read_text(), re.M))
    assert OF_NOTICES - told == set()
    assert OF_NOTICES - reasons_of_workers() == set()
