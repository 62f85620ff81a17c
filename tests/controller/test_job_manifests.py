"""The Jobs' manifests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.values import NOW, SETTINGS, A, connection, sync

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.job_template import JobTemplate
from roster_operator.api.kinds import CONNECTION, SYNC
from roster_operator.api.notices import Occasion, Webhook
from roster_operator.api.sync import Approval
from roster_operator.api.task import Step, WorkerTask
from roster_operator.controller.jobs import (
    Owner,
    build,
    job_name,
    job_name_of_notice,
    job_name_of_test,
    label_value,
)
from roster_operator.controller.notices import Occurrence
from roster_operator.controller.objects import Meta
from roster_operator.controller.settings import SettingsError, load
from roster_operator.controller.tasks import notify_task, sync_task, task_of_test

Body = dict[str, Any]


def manifest(step: Step, **spec: Any) -> Body:
    conn = connection()
    status = {"tenant": "springfield", "database": {"name": "db"}}
    one = sync(status=status, **spec)
    one.status.approval = Approval(digest=A, at=NOW, via="approved", by="jane")
    if step is Step.TEST:
        return build(task_of_test(conn, "cluster", SETTINGS), "n", Owner(CONNECTION, conn.meta), "db", SETTINGS)
    task = sync_task(one, conn, step, 2, "cluster", SETTINGS)
    return build(task, "n", Owner(SYNC, one.meta), "db", SETTINGS)


def task_of(job: Body) -> WorkerTask:
    (variable,) = job["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variable["name"] == "ROSTER_TASK"
    return WorkerTask.from_dict(json.loads(variable["value"]))


@pytest.mark.parametrize(
    ("step", "volumes"),
    [
        (Step.TEST, {"sis": ["client-id", "client-secret", "expires"], "database": ["stage-url"]}),
        (Step.STAGE, {"sis": ["client-id", "client-secret"], "database": ["stage-url"]}),
        (Step.MERGE, {"database": ["merge-url"]}),
        (Step.DISCARD, {"database": ["stage-url"]}),
    ],
)
def test_a_step_mounts_the_keys_it_needs_and_no_more(step: Step, volumes: dict[str, list[str]]) -> None:
    pod = manifest(step)["spec"]["template"]["spec"]
    found = {
        volume["name"]: [item["path"] for item in volume["secret"]["items"]]
        for volume in pod["volumes"]
        if "secret" in volume
    }
    assert found == volumes
    assert all(volume["secret"]["optional"] for volume in pod["volumes"] if "secret" in volume)
    assert not any(entry.get("valueFrom") for entry in pod["containers"][0]["env"])


def test_a_notice_gets_the_signing_key_and_nothing_of_source_or_database() -> None:
    conn = connection(databaseSecretRef={"name": "db"})
    hook = Webhook.from_dict({"url": "https://hooks.example.org", "secretRef": {"name": "hook", "key": "k"}})
    one = Occurrence(Occasion.FAILED, "u1", NOW, "first", A, "TokenRejected")
    task = notify_task(conn, hook, one, 3, "cluster", SETTINGS)
    job = build(task, "n", Owner(CONNECTION, conn.meta), "", SETTINGS)
    secrets = [volume["secret"] for volume in job["spec"]["template"]["spec"]["volumes"] if "secret" in volume]
    assert [(secret["secretName"], secret["items"]) for secret in secrets] == [
        ("hook", [{"key": "k", "path": "signing-key"}])
    ]
    told = task_of(job)
    assert told.spec is None
    assert told.notice is not None
    assert told.notice.id == notify_task(conn, hook, one, 4, "cluster", SETTINGS).notice.id  # pyright: ignore[reportOptionalMemberAccess]
    assert "." not in told.notice.id, "a signature's parts are told apart by full stops"
    assert job["spec"]["backoffLimit"] == 0
    names = {job_name_of_notice(conn.meta, one.key, attempt) for attempt in (1, 2)}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


@pytest.mark.parametrize("step", list(Step))
def test_restricted_pod_security(step: Step) -> None:
    pod = manifest(step)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["terminationMessagePolicy"] == "File"
    assert container["image"] == SETTINGS.image
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_a_permanent_error_ends_the_job_and_a_drain_does_not_count() -> None:
    spec = manifest(Step.STAGE)["spec"]
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert fail == {
        "action": "FailJob",
        "onExitCodes": {"containerName": "worker", "operator": "In", "values": [65]},
    }
    assert spec["backoffLimit"] == 3
    assert manifest(Step.TEST)["spec"]["backoffLimit"] == 0


def test_a_job_goes_with_its_owner_and_never_holds_it() -> None:
    (reference,) = manifest(Step.MERGE)["metadata"]["ownerReferences"]
    assert reference["kind"] == "RosterSync"
    assert reference["controller"] is True
    assert reference["blockOwnerDeletion"] is False


def test_the_task_of_each_step_says_what_that_step_needs() -> None:
    stage, merge, discard = (
        task_of(manifest(step, rejected={"reason": "no"})) for step in (Step.STAGE, Step.MERGE, Step.DISCARD)
    )
    assert stage.spec is not None
    assert stage.order is None
    assert stage.attempt == 2
    assert merge.spec is None
    assert merge.order is not None
    assert (merge.order.digest, merge.order.by) == (A, "jane")
    assert discard.discard_reason == "no"
    assert discard.spec is None
    assert merge.discard_reason is None


@pytest.mark.parametrize("spec", [{"approved": True}, {"approvedPlan": A}])
def test_a_sync_that_comes_with_an_approval_is_not_pulled_where_it_was_merged_before(spec: Body) -> None:
    assert task_of(manifest(Step.STAGE, **spec)).unless_merged
    assert not task_of(manifest(Step.STAGE)).unless_merged


def test_a_connection_that_is_gone_can_still_be_discarded() -> None:
    one = sync(status={"tenant": "springfield", "database": {"name": "db"}})
    task = sync_task(one, None, Step.DISCARD, 1, "cluster", SETTINGS)
    assert (task.tenant, task.connection.name, task.connection.uid) == ("springfield", "springfield", "")


def test_the_largest_connection_fits_an_environment_variable() -> None:
    conn = connection()
    big = conn.spec.model_dump(by_alias=True)
    big["api"]["caBundle"] = "x" * 32768
    big["api"]["auth"]["scopes"] = ["s" * 256] * 16
    spec = RosterConnectionSpec.from_dict(big)
    task = WorkerTask(
        step=Step.STAGE, cluster="c", tenant="t", connection=task_of(manifest(Step.TEST)).connection, spec=spec
    )
    assert len(json.dumps(task.to_dict())) < 100_000


names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)


@given(names, st.sampled_from(list(Step)), st.integers(1, 999))
def test_names_fit_and_are_the_same_again(name: str, step: Step, attempt: int) -> None:
    meta = Meta("k12", name, "uid", 1, "1", NOW, None, (), {}, {})
    found = job_name(meta, step, attempt)
    assert found == job_name(meta, step, attempt)
    assert len(found) <= 63
    assert found[0].isalnum()
    assert found[-1].isalnum()
    assert "." not in found
    assert len(label_value(name)) <= 63


def test_names_differ_by_owner_step_attempt_and_trigger() -> None:
    long = "x" * 253
    metas = [Meta("k12", long, uid, 1, "1", NOW, None, (), {}, {}) for uid in ("a", "b")]
    found = {job_name(meta, step, attempt) for meta in metas for step in Step for attempt in (1, 2, 11)}
    found |= {job_name_of_test(meta, trigger) for meta in metas for trigger in ("1//", "2//")}
    assert len(found) == 2 * len(Step) * 3 + 4


TEMPLATE: Body = {
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    "nodeSelector": {"pool": "batch"},
    "tolerations": [{"key": "batch", "operator": "Exists"}],
    "labels": {"kueue.x-k8s.io/queue-name": "rosters", "roster-operator.io/step": "merge"},
}


def asked(operators: Body, connections: Body | None) -> Body:
    settings = replace(SETTINGS, job_template=JobTemplate.from_dict(operators))
    conn = connection()
    own = JobTemplate.from_dict(connections) if connections is not None else None
    task = task_of_test(conn, "cluster", settings)
    return build(task, "n", Owner(CONNECTION, conn.meta), "db", settings, template=own)


@pytest.mark.parametrize(("operators", "connections"), [(TEMPLATE, None), (TEMPLATE, {}), ({}, TEMPLATE)])
def test_a_template_says_what_a_job_asks_for_and_where_it_runs(operators: Body, connections: Body | None) -> None:
    job = asked(operators, connections)
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "batch"}
    assert pod["tolerations"] == [{"key": "batch", "operator": "Exists"}]
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "1", "memory": SETTINGS.job_memory},
        "limits": {"memory": "1Gi"},
    }
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert labels["kueue.x-k8s.io/queue-name"] == "rosters"
        assert labels["roster-operator.io/step"] == "test"


def test_a_connections_template_stands_above_the_operators() -> None:
    own = {
        "resources": {"limits": {"memory": "2Gi", "ephemeralStorage": "1Gi"}},
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "slow", "value": "yes", "effect": "NoSchedule"}],
        "labels": {"app.kubernetes.io/managed-by": "someone", "cost": "k12"},
    }
    job = asked(TEMPLATE, own)
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "batch", "zone": "a"}
    assert [one["key"] for one in pod["tolerations"]] == ["batch", "slow"]
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "2Gi", "ephemeral-storage": "1Gi"}
    assert pod["containers"][0]["resources"]["requests"]["cpu"] == "1"
    assert job["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "roster-operator"
    assert job["metadata"]["labels"]["cost"] == "k12"


def test_without_a_template_nothing_is_added() -> None:
    pod = asked({}, {})["spec"]["template"]["spec"]
    assert not {"nodeSelector", "tolerations"} & pod.keys()


def test_a_template_in_the_operators_settings_is_json_and_what_is_wrong_with_it_is_said() -> None:
    found = load([], {"ROSTER_IMAGE": "x", "ROSTER_JOB_TEMPLATE": json.dumps(TEMPLATE)})
    assert found.job_template.node_selector == {"pool": "batch"}
    for wrong in ("{", '{"hostNetwork": true}', '{"resources": {"limits": {"memory": "much"}}}'):
        with pytest.raises(SettingsError, match="job_template"):
            load([], {"ROSTER_IMAGE": "x", "ROSTER_JOB_TEMPLATE": wrong})
