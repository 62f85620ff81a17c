"""`kubectl roster upload`: through a real console, with the rights of the kubeconfig's person."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
import trustme
from tests.cli import kubectl_people as people
from tests.cli.kubectl_console import Standing, standing
from tests.cli.kubectl_people import Person
from tests.console.world import DISTRICT
from tests.worker.bundles import bundle

pytestmark = [pytest.mark.apiserver, pytest.mark.store]

__all__ = ["standing"]


@pytest.fixture(scope="module")
def manager(standing: Standing) -> Person:
    """A data manager, where the connection takes uploads."""
    world = standing.world
    world.server.kubectl(
        "-n", world.namespace, "patch", "rosterconnection", DISTRICT, "--type=json",
        "-p", '[{"op":"remove","path":"/spec/api"},{"op":"add","path":"/spec/csv","value":{"upload":{}}}]',
    )  # fmt: skip
    return standing.person("mona", "roster-data-manager")


def written(folder: Path, data: bytes) -> str:
    path = folder / "roster.zip"
    path.write_bytes(data)
    return str(path)


def test_a_zip_is_sent_and_a_sync_of_it_begun(standing: Standing, manager: Person, tmp_path: Path) -> None:
    data, world = bundle(), standing.world
    file, digest = written(tmp_path, data), f"sha256:{hashlib.sha256(bundle()).hexdigest()}"
    told = manager("upload", file, DISTRICT).stdout
    assert f"Digest   {digest}\n" in told
    assert f"next: roster upload {file} {DISTRICT} --sync\n" in told
    sent = manager.json("upload", file, DISTRICT, "--sync")
    assert (sent["digest"], sent["size"], sent["before"]) == (digest, len(data), True)
    body = world.server.read("rostersync", sent["sync"], world.namespace)
    assert body is not None
    assert body["spec"]["source"] == {"upload": digest}
    assert (world.who("mona"), "uploads") in world.readings()
    # Without an operator nothing comes of it: the wait ends, and says so.
    late = manager("upload", file, DISTRICT, "--sync", "--wait", "--timeout", "1", code=1)
    assert "StillRunning" in late.stderr


def test_what_no_sync_could_be_made_of_is_not_sent(standing: Standing, manager: Person, tmp_path: Path) -> None:
    count = "select count(*) from roster.upload"
    before = standing.world.roster.ask(count)
    refused = manager("upload", written(tmp_path, b"no zip, canary"), DISTRICT, code=1)
    assert "BundleRefused" in refused.stderr
    assert "canary" not in refused.stdout + refused.stderr
    assert refused.stdout == ""
    assert standing.world.roster.ask(count) == before


def test_without_the_right_or_a_token_it_is_refused(standing: Standing, manager: Person, tmp_path: Path) -> None:
    file = written(tmp_path, bundle())
    anna = standing.person("anna", "roster-approver")
    assert "Forbidden: You may not" in anna("upload", file, DISTRICT, code=1).stderr
    assert "NotFound" in manager("upload", file, "springfeld", code=1).stderr
    authority = trustme.CA()
    pair = authority.issue_cert("ada")
    data = {
        "client-certificate-data": base64.b64encode(pair.cert_chain_pems[0].bytes()).decode(),
        "client-key-data": base64.b64encode(pair.private_key_pem.bytes()).decode(),
    }
    world = standing.world
    file_of = people.kubeconfig_of(world.server, world.namespace, tmp_path / "certificate.kubeconfig", data)
    nobody = Person(file_of, manager.environment)("upload", file, DISTRICT, code=1)
    assert nobody.stderr.startswith("NoToken: ")
    assert "kubectl create token" in nobody.stderr
    for wrong in ((), (DISTRICT, "--wait"), (DISTRICT, "-f", people.__file__)):
        manager("upload", file, *wrong, code=2)
