"""Connect: what is typed becomes a Secret and a RosterConnection of the person, or YAML without the secret."""

from __future__ import annotations

import pytest
import trustme
import yaml
from tests.console.conftest import Browser
from tests.console.world import World

from roster_operator.console.connecting import UPLOAD, manifests_of
from roster_operator.console.problems import Problem
from roster_operator.console.standard import vendors

CAMPUS = {
    "vendor": "InfiniteCampus", "namespace": "k12", "name": "shelbyville", "endpoint": "https://sis.example",
    "parameter-appName": "shelby", "client-id": "me", "client-secret": "geheim-4711",
}  # fmt: skip


def test_each_vendors_form_makes_what_the_vendor_needs() -> None:
    made = manifests_of(CAMPUS, printed=False)
    assert made.spec == {
        "api": {
            "provider": "InfiniteCampus",
            "endpoint": "https://sis.example",
            "auth": {"type": "OAuth2", "secretRef": {"name": "shelbyville-sis"}},
            "parameters": {"appName": "shelby"},
        }
    }
    assert made.secret == {"client-id": "me", "client-secret": "geheim-4711"}
    for name, profile in vendors().items():
        for kind, way in profile.auth.items():
            form = CAMPUS | {"vendor": name, "auth": kind, "token": "t", "token_url": "https://sis.example/token"}
            form |= {f"parameter-{each}": "x" for each in (*profile.parameters, *way.parameters)}
            assert manifests_of(form, printed=False).spec["api"]["provider"] == name
    upload = manifests_of({"vendor": UPLOAD, "namespace": "k12", "name": "csv"}, printed=False)
    assert (upload.spec, upload.secret) == ({"csv": {"upload": {}}}, {})


def test_an_authority_of_the_districts_own_is_taken_as_browsers_send_it() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    made = manifests_of(CAMPUS | {"ca_bundle": pem.replace("\n", "\r\n")}, printed=False)
    assert made.spec["api"]["caBundle"] == pem


def test_what_is_printed_holds_no_secret() -> None:
    made = manifests_of(CAMPUS | {"tenant": "shelby", "database_secret": "db"}, printed=True)
    text = made.to_yaml()
    assert "geheim" not in text + repr(made)
    secret, connection = yaml.safe_load_all(text)
    assert secret["stringData"] == {"client-id": "fill in", "client-secret": "fill in"}
    assert connection["spec"]["tenant"] == "shelby"
    assert connection["spec"]["databaseSecretRef"] == {"name": "db"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"vendor": "Nobody"},
        {"vendor": ""},
        {"auth": "OAuth1"},
        {"auth": "<b>"},
        {"parameter-appName": ""},
        {"client-secret": ""},
        {"endpoint": "ftp://x"},
        {"endpoint": "javascript:alert(1)"},
        {"name": "../x"},
        {"name": "x" * 64},
        {"namespace": "Kube"},
        {"tenant": "-"},
    ],
)
def test_what_makes_no_sense_is_told_and_not_repeated(wrong: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        manifests_of(CAMPUS | wrong, printed=False)
    assert refused.value.status == 422
    assert "geheim" not in refused.value.body.message
    assert "javascript" not in refused.value.body.message


@pytest.mark.apiserver
@pytest.mark.store
async def test_it_is_written_with_the_persons_own_rights_or_not_at_all(world: World, visitor: Browser) -> None:
    form = CAMPUS | {"namespace": world.namespace, "do": "write"}
    page = "/connect?vendor=InfiniteCampus"
    for name, role in (("vera", "roster-viewer"), ("ed", "roster-editor")):
        await visitor.sign_in(world.person(name, role), world.namespace)
        refused = await visitor.send(page, "/connect", **form)
        assert refused.status_code == 403
        assert "Not connected." in refused.text
        assert "geheim-4711" not in refused.text
        assert 'value="https://sis.example"' in refused.text
        assert world.server.read("secret", "shelbyville-sis", world.namespace) is None
        assert world.server.read("rosterconnection", "shelbyville", world.namespace) is None
    await visitor.sign_in(world.person("boss", "cluster-admin"), world.namespace)
    printed = await visitor.send(page, "/connect", **(form | {"do": "print"}))
    assert "appName: shelby" in printed.text
    assert "geheim-4711" not in printed.text
    done = await visitor.send(page, "/connect", **form)
    assert done.headers["location"] == f"/namespaces/{world.namespace}/connections/shelbyville?done=connected"
    assert (await visitor.get(done.headers["location"])).status_code == 200
    made = world.server.read("rosterconnection", "shelbyville", world.namespace)
    assert made is not None
    assert made["spec"]["api"]["auth"]["secretRef"]["name"] == "shelbyville-sis"
    assert world.server.read("secret", "shelbyville-sis", world.namespace) is not None
    assert (await visitor.send(page, "/connect", **form)).status_code == 409
