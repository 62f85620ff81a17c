"""Every command of every runbook, as it is written there, on a real API server with a district in trouble.

Only the words in capitals that a runbook explains are replaced. What follows a log or a wait is cut off after a moment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.controller import values
from tests.support.apiserver import ROOT, ApiServer, _free_port, operator_rights
from tests.support.jobs import DIGESTS, Cluster

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
BLOCKS = [
    (page.stem, number, block)
    for page in RUNBOOKS
    for number, block in enumerate(re.findall(r"^```\n(.*?)^```$", page.read_text(), re.M | re.S), 1)
]
CUT_OFF = 124  # what `timeout` says
pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]
Body = dict[str, Any]


@pytest.fixture(scope="module")
def trouble(apiserver: ApiServer) -> Iterator[Cluster]:
    """A connection whose database was put back, one whose test failed, syncs that are blocked and failed; an operator
    with its lease."""
    namespace = f"runbooks-{os.getpid()}-{_free_port()}"
    apiserver.kubectl("create", "namespace", namespace)
    cluster = Cluster(apiserver, namespace)
    cluster.connect("springfield", databaseSecretRef={"name": "sis"})
    apiserver.kubectl("-n", namespace, "create", "secret", "generic", "sis", "--from-literal=expires=2027-06-30")
    moment = values.stamp()

    def condition(kind: str, status: str, reason: str) -> Body:
        return {"type": kind, "status": status, "reason": reason, "message": "Why.", "lastTransitionTime": moment}

    cluster.patch(
        "rosterconnections",
        "springfield",
        {
            "status": {
                "conditions": [
                    condition("Ready", "True", "Tested"),
                    condition("Scheduled", "True", "Scheduled"),
                    condition("DatabaseRewound", "True", "DatabaseRewound"),
                ],
                "ledger": {"database": "d0d0d0d0", "dataVersion": 8, "run": "run-8"},
                **dict.fromkeys(
                    ("lastMergedTime", "nextSync", "certificateExpires", "credentialsExpire", "databaseRewoundTime"),
                    moment,
                ),
            }
        },
        "status",
    )
    cluster.connect("shelbyville")
    refused = {"status": {"conditions": [condition("Ready", "False", "TokenRejected")]}}
    cluster.patch("rosterconnections", "shelbyville", refused, "status")
    for name, phase, kind in (("blocked", "Blocked", "Stalled"), ("failed", "Failed", "Failed")):
        cluster.sync(name)
        plan = values.published(limits=[values.hit()]).to_dict()
        status = {"phase": phase, "plan": plan, "conditions": [condition(kind, "True", "BeyondLimits")]}
        cluster.patch("rostersyncs", name, {"status": status}, "status")
    labels = {"app.kubernetes.io/name": "roster-operator"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "operator", "image": "x"}]}}
    apiserver.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "roster-operator", "namespace": namespace, "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "roster-operator", "namespace": namespace},
            "spec": {"holderIdentity": "operator-1", "renewTime": "2026-11-24T12:00:00.000000Z"},
        },
    )
    account = {"kind": "ServiceAccount", "name": "roster-operator", "namespace": namespace}
    everywhere, own = operator_rights()[1], operator_rights()[2:]
    apiserver.apply(
        everywhere | {"metadata": {"name": namespace}, "subjects": [account]},
        own[0] | {"metadata": {"name": "roster-operator", "namespace": namespace}},
        own[1] | {"metadata": {"name": "roster-operator", "namespace": namespace}, "subjects": [account]},
    )
    try:
        yield cluster
    finally:
        cluster.close()


def words(page: str, namespace: str) -> dict[str, str]:
    """What stands for the words in capitals. In a runbook about a sync NAME is the sync's."""
    about_sync = page.startswith("RosterSync")
    sync = "failed" if page == "RosterSyncFailed" else "blocked"
    return {
        "NAMESPACE": namespace,
        "NAME": sync if about_sync else "springfield",
        "SYNC": sync,
        "CONNECTION": "springfield",
        "OPERATOR": namespace,
        "SERVICEACCOUNT": "roster-operator",
        "LEASE": "roster-operator",
        "SECRET": "sis",
        "DIGEST": DIGESTS["a"],
        "sha256:...": DIGESTS["a"],
    }


@pytest.mark.parametrize(("page", "number", "block"), BLOCKS, ids=[f"{page}-{number}" for page, number, _ in BLOCKS])
def test_the_commands_of_a_runbook_work(
    apiserver: ApiServer, trouble: Cluster, tmp_path: Path, page: str, number: int, block: str
) -> None:
    del number
    # Not where it heads a column: NAME:.metadata.name.
    for word, value in words(page, trouble.namespace).items():
        block = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])(?!:\.)", value, block)
    # Long enough for an answer, and no longer: two of them follow what happens, as a person does.
    script = f'set -e -o pipefail\ntimeout() {{ command timeout 3 "${{@:2}}" || test $? = {CUT_OFF}; }}\n{block}'
    environment = os.environ | {
        "PATH": f"{apiserver.programs}:{os.environ['PATH']}",
        "KUBECONFIG": str(apiserver.kubeconfig),
        "HOME": str(tmp_path),
    }
    follows = re.search(r" (-w|--watch)$", block.strip(), re.M)
    command = ["timeout", "3" if follows else "30", "bash", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (CUT_OFF if follows else 0), f"{block}\n{done.stdout}\n{done.stderr}"
    assert "rror" not in done.stderr, done.stderr


def test_the_runbooks_have_commands_and_no_word_that_nobody_explains() -> None:
    assert {page for page, _, _ in BLOCKS} == {page.stem for page in RUNBOOKS}
    known = set(words("", "")) | {"EOF", "RENEWED", "HOLDER", "SECONDS", "EXPIRES"}
    for page, number, block in BLOCKS:
        found = set(re.findall(r"(?<![A-Za-z%+:])\b[A-Z]{4,}\b", re.sub(r"custom-columns=\S+", "", block)))
        assert found <= known, (page, number, json.dumps(sorted(found - known)))
