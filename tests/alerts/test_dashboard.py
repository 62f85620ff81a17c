"""The Grafana dashboard asks for what the operator really exports, in words that Prometheus understands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from roster_operator.controller.metrics import Metrics
from roster_operator.controller.view import View

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "dashboards" / "roster-operator.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(f"{panel['title']} {target['refId']}", target["expr"]) for panel in PANELS for target in panel["targets"]]
_QUERY = pytest.mark.parametrize("query", [row[1] for row in QUERIES], ids=[row[0] for row in QUERIES])
_OURS = r"(?:roster_|controller_runtime_|workqueue_|rest_client_)\w+"


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """Each sample's name that a busy operator exports, and its labels."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def condition(kind: str, status: str) -> dict[str, str]:
        return {"type": kind, "status": status, "reason": "WaitingForApproval", "lastTransitionTime": moment}

    meta = {
        "namespace": "k12",
        "name": "x",
        "uid": "u",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": moment,
    }
    view = View()
    metrics = Metrics(view)
    view.connection_seen(
        {
            "metadata": meta,
            "spec": {},
            "status": {
                "conditions": [condition("Ready", "True")],
                **dict.fromkeys(("lastMergedTime", "nextSync", "certificateExpires", "credentialsExpire"), moment),
            },
        }
    )
    status = {
        "phase": "AwaitingApproval",
        "conditions": [condition("Approved", "False")],
        "plan": {"digest": "sha256:" + "a" * 64},
    }
    view.sync_seen({"metadata": meta, "spec": {"connectionRef": {"name": "x"}}, "status": status})
    metrics.count_failure("WorkerLost")
    metrics.reconciles.labels("RosterSync", "success").inc()
    metrics.reconcile_errors.labels("RosterSync").inc()
    metrics.reconcile_time.labels("RosterSync").observe(1)
    metrics.active_workers.labels("RosterSync").set(1)
    metrics.depth.labels("RosterSync").set(1)
    metrics.adds.labels("RosterSync").inc()
    metrics.retries.labels("RosterSync").inc()
    metrics.queue_time.labels("RosterSync").observe(1)
    metrics.requests.labels("200", "GET").inc()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@_QUERY
def test_a_query_asks_for_what_is_exported(exported: dict[str, set[str]], query: str) -> None:
    names = set(re.findall(_OURS, query))
    assert names
    assert names <= exported.keys()
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query))
    for grouping in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", query):
        labels |= {label.strip() for label in grouping.split(",")}
    assert labels <= set().union(*(exported[name] for name in names))


def test_the_namespace_is_chosen_from_what_is_exported(exported: dict[str, set[str]]) -> None:
    (variable,) = (one for one in DASHBOARD["templating"]["list"] if one["type"] == "query")
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert found
    assert found[2] in exported[found[1]]


def test_a_legend_names_labels_that_the_query_leaves() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (panel["title"], label)


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool") or ROOT / ".local" / "tools" / "promtool"
    if not Path(promtool).is_file():
        pytest.fail("promtool is missing: make system-packages", pytrace=False)
    rules: list[dict[str, Any]] = []
    for number, (_, query) in enumerate(QUERIES):
        expr = query.replace("$__rate_interval", "5m").replace("$namespace", "k12")
        assert "$" not in expr
        rules.append({"record": f"query:{number}", "expr": expr})
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


def test_panels_do_not_lie_on_each_other_and_each_says_what_it_shows() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["description"] for panel in PANELS)
