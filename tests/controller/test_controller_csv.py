"""What a Job of a CSV source is told and given."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.controller.values import SETTINGS, A, connection, sync

from roster_operator.api.kinds import CONNECTION, SYNC
from roster_operator.api.task import Step, WorkerTask
from roster_operator.controller.jobs import Owner, build
from roster_operator.controller.settings import Settings
from roster_operator.controller.tasks import sync_task, task_of_test

SFTP = {
    "sftp": {
        "host": "sftp.example.org",
        "path": "/out",
        "hostKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"],
        "secretRef": {"name": "springfield-sftp", "passwordKey": "pass.word"},
    }
}
UPLOAD: dict[str, Any] = {"upload": {}}


def job(step: Step, csv: dict[str, Any], settings: Settings = SETTINGS, **spec: Any) -> dict[str, Any]:
    conn = connection(api=None, csv=csv)
    if step is Step.TEST:
        return build(task_of_test(conn, "cluster", settings), "n", Owner(CONNECTION, conn.meta), "db", settings)
    one = sync(status={"tenant": "springfield"}, **spec)
    return build(sync_task(one, conn, step, 1, "cluster", settings), "n", Owner(SYNC, one.meta), "db", settings)


def told(manifest: dict[str, Any]) -> WorkerTask:
    return WorkerTask.from_dict(json.loads(manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]))


def mounted(manifest: dict[str, Any]) -> dict[str, dict[str, str]]:
    volumes = manifest["spec"]["template"]["spec"]["volumes"]
    return {
        v["secret"]["secretName"]: {item["path"]: item["key"] for item in v["secret"]["items"]}
        for v in volumes
        if "secret" in v
    }


def test_a_stage_is_told_which_upload_to_read() -> None:
    assert getattr(told(job(Step.STAGE, UPLOAD, source={"upload": A})).sync, "upload", None) == A
    assert getattr(told(job(Step.STAGE, UPLOAD)).sync, "upload", A) is None


@pytest.mark.parametrize("step", [Step.TEST, Step.STAGE])
def test_sftp_is_given_its_credentials_under_fixed_names(step: Step) -> None:
    given = {
        "username": "username",
        "password": "pass.word",
        "private-key": "private-key",
        "passphrase": "passphrase",
    }
    # Only the test looks at when they end.
    ends = {"expires": "expires"} if step is Step.TEST else {}
    assert mounted(job(step, SFTP)) == {"springfield-sftp": given | ends, "db": {"stage-url": "stage-url"}}


@pytest.mark.parametrize("step", [Step.TEST, Step.STAGE])
def test_an_upload_needs_the_database_only(step: Step) -> None:
    assert mounted(job(step, UPLOAD)) == {"db": {"stage-url": "stage-url"}}


def test_a_merge_and_a_discard_meet_no_source() -> None:
    assert "springfield-sftp" not in mounted(job(Step.MERGE, SFTP)) | mounted(job(Step.DISCARD, SFTP))


def test_the_operators_ranges_go_with_it() -> None:
    settings = replace(SETTINGS, allow_addresses=["10.1.0.0/16"])
    for step in (Step.TEST, Step.STAGE):
        assert told(job(step, SFTP, settings)).policy.allow_addresses == ["10.1.0.0/16"]
