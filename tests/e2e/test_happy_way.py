"""A district from YAML to merged rows, and what may be seen of it on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deploy.demo import parts
from deploy.demo.shell import apply, kubectl
from tests.e2e import expected
from tests.e2e.districts import STEP, District, Sync
from tests.e2e.watching import Body, condition, is_true

from roster_sample_sis.variants import one_percent_changed

pytestmark = pytest.mark.cluster


def test_a_district_goes_from_yaml_to_merged_rows(district: District) -> None:
    district.open(users=400)
    # Both at once, as from a folder of a Git repository: the sync waits for its connection by itself.
    manifests = [district.connection_manifest(), district.sync_manifest("first")]
    apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
    sync = Sync(district, "first")

    connection = district.until_ready("True", "Tested")
    for kind in ("Reachable", "Authenticated", "TenantClaimed"):
        assert is_true(connection, kind), district.tell(connection)
    assert connection["status"]["version"] == "1.2"
    assert connection["status"]["counts"]["users"] == 400

    waiting = sync.until("AwaitingApproval")
    for kind in ("Staged", "Valid", "WithinLimits"):
        assert is_true(waiting, kind), district.tell(waiting)
    assert condition(waiting, "Approved")["reason"] == "WaitingForApproval"
    # For kstatus nothing is wrong and nothing is under way while a person is waited for.
    assert not {"Stalled", "Ready", "Reconciling", "Failed"} & {one["type"] for one in waiting["status"]["conditions"]}
    assert waiting["status"]["plan"]["entities"]["users"]["create"] == 400
    assert waiting["status"]["plan"]["complete"]
    assert sync.staged_tables() > 0
    assert district.count("users") == 0, "rows were merged without an approval"
    _pending_plan_is_told(district, sync)

    sync.patch(approved=True)
    merged = sync.until("Merged")
    assert condition(merged, "Complete")["reason"] == "Merged"
    assert merged["status"]["approval"]["via"] == "approved"
    assert merged["status"]["approval"]["digest"] == waiting["status"]["plan"]["digest"]
    assert merged["status"]["dataVersion"] == district.data_version() == 1
    _rows_are_those_of(district, district.sample)
    assert sync.staged_tables() == 0
    sync.until_holds("without a finalizer", lambda body: not body["metadata"].get("finalizers"))

    district.until_event("Merged", "RosterSync", sync.name)
    reasons = sync.reasons()
    assert [reason for reason in reasons if reason in {"Staging", "Staged", "Approved", "Merged"}] == [
        "Staging",
        "Staged",
        "Approved",
        "Merged",
    ], reasons
    district.until_event("TestSucceeded", "RosterConnection", "district")
    _tables_show(district, merged)

    # The next night.
    district.becomes("one-percent")
    second = district.sync("second")
    plan = second.until("AwaitingApproval")["status"]["plan"]
    assert 0 < plan["totals"]["update"] < plan["totals"]["unchanged"]
    second.patch(approved=True)
    second.until("Merged")
    assert district.data_version() == 2
    _rows_are_those_of(district, one_percent_changed(district.sample))
    _nothing_personal_is_seen(district)


def _pending_plan_is_told(district: District, sync: Sync) -> None:
    digest = sync.digest
    pending = {"sync": sync.name, "digest": digest}

    def holds(body: Body) -> bool:
        return pending.items() <= body["status"].get("pendingPlan", {}).items()

    district.until_connection("its pending plan", holds)


def _rows_are_those_of(district: District, sample: Any) -> None:
    for entity in expected.FIELDS:
        found = {
            (row[0], *map(expected.plain, row[1:]))
            for row in district.ground.database.rows(expected.query(entity), district.tenant)
        }
        wanted = expected.rows(sample, entity)
        assert len(wanted) > 0
        assert len(found) == len(wanted), f"{entity}: {len(found)} rows, the SIS has {len(wanted)}"
        assert sorted(found - wanted, key=str)[:3] == sorted(wanted - found, key=str)[:3], entity


def _tables_show(district: District, sync: Body) -> None:
    """`kubectl get` with the category that shows both."""
    connections = kubectl("-n", district.namespace, "get", "rconn").splitlines()
    assert " ".join(connections[0].split()) == "NAME PROVIDER VERSION READY REASON LAST SYNC NEXT SYNC PENDING AGE"
    assert connections[1].split()[:5] == ["district", "Generic", "1.2", "True", "Tested"]
    syncs = kubectl("-n", district.namespace, "get", "rsync").splitlines()
    assert " ".join(syncs[0].split()) == "NAME CONNECTION MODE PHASE CREATE UPDATE REMOVE INVALID DIGEST AGE"
    totals = sync["status"]["plan"]["totals"]
    assert syncs[1].split()[:5] == ["first", "district", "Full", "Merged", str(totals["create"])]
    both = kubectl("-n", district.namespace, "get", "roster", "-o", "name").split()
    assert len(both) == 2


def _nothing_personal_is_seen(district: District) -> None:
    """Neither people nor secrets in objects, events and logs."""
    seen = {
        "objects": kubectl("-n", district.namespace, "get", "rconn,rsync,jobs,events", "-o", "json"),
        "pods": json.dumps(district.pods()),
        "the operator's log": district.ground.operator_log(),
    }
    for pod in district.pods():
        seen[f"the log of {pod['metadata']['name']}"] = district.ground.api.log(
            district.namespace, pod["metadata"]["name"]
        )
    assert {pod["metadata"]["labels"][STEP] for pod in district.pods()} >= {"test", "stage", "merge"}
    secret = {
        parts.decoded(district.namespace, "sis-client", "SIS_CLIENT_SECRET"),
        *(district.database_login(key)[1] for key in ("stage-url", "merge-url")),
    }
    people = expected.personal(district.sample) | expected.personal(one_percent_changed(district.sample))
    for place, text in seen.items():
        assert not [word for word in secret if word in text], f"a secret stands in {place}"
        found = [word for word in people if word in text]
        assert not found, f"{len(found)} personal values stand in {place}, such as {found[0]}"
