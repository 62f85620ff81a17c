"""Sources that do not let us in, cannot be found, or break off."""

from __future__ import annotations

import json

import pytest
from deploy.demo.shell import apply, kubectl
from tests.e2e.districts import USERS, District
from tests.e2e.watching import condition, is_true, until

pytestmark = pytest.mark.cluster


def test_a_missing_and_a_wrong_secret_are_told_and_heal(district: District) -> None:
    district.open(credentials=False).connect()
    sync = district.sync("first")
    missing = district.until_ready("False", "SecretMissing")
    assert "sis-for-roster" in condition(missing, "Ready")["message"], "it must name the Secret"
    waiting = sync.until("Pending")
    assert condition(waiting, "Staged")["reason"] == "ConnectionNotReady"

    district.give_credentials(client_secret="not-the-secret")
    # Whoever corrects something need not wait for the next round.
    note = "roster-operator.io/test-requested-at=now"
    kubectl("-n", district.namespace, "annotate", "rosterconnection", "district", note)
    wrong = district.until_ready("False", "TokenRejected")
    assert is_true(wrong, "Reachable")
    assert condition(wrong, "Authenticated")["status"] == "False"
    assert wrong["status"]["lastHandledTestRequest"] == "now"
    assert "not-the-secret" not in json.dumps(wrong)
    district.until_event("TestFailed", "RosterConnection", "district")

    # Nobody asks this time: it comes round by itself, and then the sync that waited goes on.
    district.give_credentials()
    district.until_ready("True", "Tested", seconds=240)
    sync.until("AwaitingApproval")


def test_an_endpoint_that_cannot_be_reached_says_why(district: District) -> None:
    district.open()
    closed = {"selector": {"app": "nobody"}, "ports": [{"port": 443}]}
    meta = {"name": "closed", "namespace": district.namespace}
    apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": closed}))
    for name in ("nowhere", "closed"):
        host = f"https://{name}.{district.namespace}.svc"
        auth = {"type": "OAuth2", "tokenURL": f"{host}/oauth/token", "secretRef": {"name": "sis-for-roster"}}
        district.connect(name, api={"endpoint": host, "auth": auth}, tenant=f"{district.tenant}-{name}")
    nowhere = district.until_ready("False", "DNSFailed", "nowhere")
    refused = district.until_ready("False", "ConnectFailed", "closed")
    for body in (nowhere, refused):
        assert condition(body, "Reachable")["status"] == "False"
        assert condition(body, "Authenticated")["status"] == "Unknown"
        assert len(condition(body, "Ready")["message"]) > 20
        district.until_event("TestFailed", "RosterConnection", body["metadata"]["name"])


def test_a_source_that_dies_in_mid_pull_heals_by_itself(district: District) -> None:
    district.open().connect(api={"pageSize": 10})
    district.until_ready("True", "Tested")
    # Slow, so that there is a middle of the pull to die in.
    district.sis("PUT", "faults", [{"fault": "slow", "seconds": 1.0}])
    pages = district.pages_served()
    sync = district.sync("first")
    until("the pull is under way", lambda: district.pages_served() > pages + 3, lambda: district.tell(sync.body))
    kubectl("-n", district.namespace, "scale", "deployment", "sis", "--replicas=0")
    kubectl("-n", district.namespace, "delete", "pod", "-l", "app=sis", "--force", "--grace-period=0")
    assert sync.body["status"]["phase"] == "Staging"
    assert not sync.body["status"].get("plan")
    assert sync.run()["state"] in {"Staging", "Failed"}
    assert district.count("orgs") == 0
    assert district.data_version() == 0

    kubectl("-n", district.namespace, "scale", "deployment", "sis", "--replicas=1")
    waiting = sync.until("AwaitingApproval", seconds=300)
    assert waiting["status"]["plan"]["complete"], "what was pulled must be proved complete"
    assert waiting["status"]["plan"]["entities"]["users"]["create"] == USERS
    sync.patch(approved=True)
    sync.until("Merged")
    assert district.count("users") == USERS
    assert district.data_version() == 1


def test_a_pull_that_broke_for_good_leaves_nothing_and_the_next_one_heals(district: District) -> None:
    district.open().connect(api={"pageSize": 10})
    district.until_ready("True", "Tested")
    district.sis("PUT", "faults", [{"fault": "html", "after": 8}])
    sync = district.sync("first")
    failed = sync.until("Failed")
    failure = failed["status"]["failure"]
    assert failure["reason"] in {"EndpointNotOneRoster", "MalformedResponse"}
    assert condition(failed, "Failed")["reason"] == condition(failed, "Stalled")["reason"] == failure["reason"]
    assert not failed["status"].get("plan")
    until("staged tables gone", lambda: sync.staged_tables() == 0, lambda: district.tell(sync.body))
    assert district.data_version() == 0

    district.sis("DELETE", "faults")
    district.merged("second")
    assert district.count("users") == USERS
