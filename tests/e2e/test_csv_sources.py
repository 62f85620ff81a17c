"""CSV files, from a folder on an SFTP server and from a person's hand, to merged rows."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from deploy.demo import parts
from deploy.demo.shell import apply, forwarded, run
from tests.e2e import sftp_server
from tests.e2e.districts import District
from tests.e2e.ground import LABEL
from tests.e2e.watching import Body, condition
from tests.worker.bundles import FAULTS, FAULTS_TOLD, bundle, touched

pytestmark = pytest.mark.cluster
MONDAY, DAY = 1_764_039_600, 86_400


def opened(district: District) -> District:
    """A namespace and a tenant, and no SIS in it."""
    parts.namespace(district.namespace, **{LABEL: district.slug})
    parts.tenant(district.tenant, district.namespace)
    return district


def manifest(district: District, csv: dict[str, Any]) -> Body:
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterConnection",
        "metadata": {"name": "district", "namespace": district.namespace},
        "spec": {"tenant": district.tenant, "csv": csv},
    }


def upload(district: District, data: bytes) -> Body:
    """`roster upload`, as a data manager runs it."""
    url = parts.decoded(district.namespace, "roster-database", "stage-url")
    with (
        tempfile.TemporaryDirectory() as folder,
        forwarded(parts.SYSTEM, "deployment/postgres", 5432) as port,
    ):
        connection, zipped = Path(folder, "connection.yaml"), Path(folder, "roster.zip")
        connection.write_text(json.dumps(manifest(district, {"upload": {}})))
        zipped.write_bytes(data)
        answer = run(
            [
                sys.executable, "-m", "roster_operator.cli", "upload", str(zipped), "-f", str(connection),
                "--database", url.replace(parts.DATABASE_HOST, f"127.0.0.1:{port}"), "--output", "json",
            ]
        )  # fmt: skip
    return json.loads(answer)


def test_a_folder_on_an_sftp_server_is_tested_staged_and_merged(district: District) -> None:
    opened(district)
    server = sftp_server.started(district.namespace, district.ground.images["demo"])
    server.put("monday.zip", bundle(5), MONDAY)
    apply(json.dumps(manifest(district, server.spec)))
    tested = district.until_ready("True", "Tested")
    assert tested["status"]["version"] == "1.1"
    assert tested["status"]["counts"]["users"] == 5
    district.merged("monday")
    assert district.count("users") == 5

    server.put("tuesday.zip", bundle(4), MONDAY + DAY)
    tuesday = district.sync("tuesday")
    plan = tuesday.until("AwaitingApproval")["status"]["plan"]
    assert plan["complete"]
    assert plan["entities"]["users"]["deactivate"] == 1
    tuesday.patch(approved=True)
    tuesday.until("Merged")
    assert district.count("users") == 4

    # Somebody tidies up, and an old export is what is left.
    server.put("monday.zip", bundle(3), MONDAY - DAY)
    server.put("tuesday.zip", b"", MONDAY)
    assert district.sync("back").until("Failed")["status"]["failure"]["reason"] == "SourceWentBack"
    assert district.count("users") == 4

    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    changed = {"sftp": server.spec["sftp"] | {"hostKeys": [other]}}
    apply(json.dumps(manifest(district, changed)))
    refused = district.until_ready("False", "HostKeyMismatch")
    assert condition(refused, "Reachable")["status"] == "False"


def test_an_uploaded_zip_is_named_by_its_digest_and_merged(district: District) -> None:
    opened(district)
    apply(json.dumps(manifest(district, {"upload": {}})))
    district.until_ready("True", "Tested")
    sent = upload(district, bundle(6))
    assert upload(district, bundle(6))["before"]

    nothing = district.sync("nothing").until("Failed")
    assert nothing["status"]["failure"]["reason"] == "UploadNotNamed"

    # What is wrong with a bundle's fields is told by status, before anybody approves.
    faulty = upload(district, touched(bundle(6), *FAULTS))
    odd = district.sync("odd", source={"upload": faulty["digest"]})
    told = odd.until("AwaitingApproval")["status"]
    assert [(each["code"], each["severity"], each["entity"], each["count"]) for each in told["issues"]] == FAULTS_TOLD
    assert told["plan"]["entities"]["users"]["invalid"] == 1
    assert "canary" not in json.dumps(told).lower()
    odd.patch(rejected={"reason": "Faulty."})
    odd.until("Rejected")

    sync = district.sync("uploaded", source={"upload": sent["digest"]})
    waiting = sync.until("AwaitingApproval")
    assert waiting["status"]["plan"]["entities"]["users"]["create"] == 6
    sync.patch(approved=True)
    sync.until("Merged")
    assert district.count("users") == 6
    # The zip was personal data, and nobody needs it any more. What was rejected may still be wanted, until it expires.
    left = "select count(*) from roster.upload_chunk where tenant = %s and digest = %s"
    assert district.ground.database.value(left, district.tenant, sent["digest"]) == 0
    assert district.ground.database.value(left, district.tenant, faulty["digest"]) == 1
    again = district.sync("again", source={"upload": sent["digest"]}).until("Failed")
    assert again["status"]["failure"]["reason"] == "UploadMissing"
