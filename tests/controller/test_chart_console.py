"""The console in the chart: off until it is asked for, and without rights of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.controller.test_chart import CHART, of, template

from roster_operator.console.oidc_settings import Oidc
from roster_operator.console.settings import load

pytestmark = pytest.mark.apiserver  # as test_chart.py
OWNER = "database.ownerSecret.name=o"
NAME = "roster-operator-console"


def console(*settings: str) -> list[dict[str, Any]]:
    """What the chart makes for a console."""
    made = template("--set", ",".join((OWNER, "console.enabled=true", *settings)))
    return [one for one in made if one["metadata"]["name"] == NAME]


@pytest.fixture(scope="module")
def everything() -> list[dict[str, Any]]:
    return template("--values", str(CHART / "ci" / "zz-everything-values.yaml"))


class Asked(Mapping[str, str]):
    """An environment that remembers what was looked for in it."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values_ = values
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return self.values_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def test_it_is_off_until_it_is_asked_for() -> None:
    assert [one for one in template("--set", OWNER) if "console" in one["metadata"]["name"]] == []
    off = template("--set", f"{OWNER},console.ingress.enabled=true,console.httpRoute.enabled=true")
    assert of(off, "Ingress") == of(off, "HTTPRoute") == []


def test_only_what_is_named_comes() -> None:
    assert sorted(one["kind"] for one in console()) == ["Deployment", "Service", "ServiceAccount"]


def test_its_account_may_nothing_and_its_pod_has_no_token(everything: list[dict[str, Any]]) -> None:
    bindings = [*of(everything, "RoleBinding"), *of(everything, "ClusterRoleBinding")]
    assert bindings
    assert not [one for one in bindings for subject in one["subjects"] if subject["name"] == NAME]
    (account,) = (one for one in of(everything, "ServiceAccount") if one["metadata"]["name"] == NAME)
    assert account["automountServiceAccountToken"] is False
    pod = _pod(everything)
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == NAME
    assert not [one for one in pod["volumes"] if "projected" in one]


def test_it_has_its_own_secrets_as_files_and_no_other(everything: list[dict[str, Any]]) -> None:
    pod = _pod(everything)
    secrets = [one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one]
    assert secrets == ["roster-console", "console-tls", "roster-identity", "roster-mail"]
    (container,) = pod["containers"]
    assert all("valueFrom" not in one for one in container["env"])
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    assert all(mounts[one["name"]].get("readOnly") for one in pod["volumes"] if one["name"] != "tmp")


@pytest.mark.parametrize("tls", [False, True])
def test_it_understands_every_variable_that_it_is_given(tmp_path: Path, tls: bool) -> None:
    settings = ["console.support=the roster team", "console.clusterId=c-1"]
    objects = console(*settings, *(["console.tls.secretName=t"] if tls else []))
    (container,) = _pod(objects)["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    files = {"API_CA": "ca.crt", "DATABASE_URL_FILE": "url", "SESSION_KEY_FILE": "session-key"}
    contents = {
        "ca.crt": trustme.CA().cert_pem.bytes().decode(),
        "url": "postgresql://c:p@db/roster\n",
        "session-key": "k" * 64,
    }
    for variable, file in files.items():
        assert given[f"ROSTER_CONSOLE_{variable}"].endswith(f"/{file}")
        (tmp_path / file).write_text(contents[file])
        given[f"ROSTER_CONSOLE_{variable}"] = str(tmp_path / file)
    # A pod is always given these two.
    environment = Asked(given | {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"})
    found = load(environment)
    assert given.keys() <= environment.asked
    assert (found.server, found.database) == ("https://10.96.0.1:443", "postgresql://c:p@db/roster")
    assert (found.support, found.cluster, found.listen) == ("the roster team", "c-1", "0.0.0.0")
    assert found.session_keys == (b"k" * 64,)
    assert (found.certificate is not None) == tls
    assert {one["containerPort"] for one in container["ports"]} == {found.port}


OIDC = (
    *("console.oidc.issuer=https://login.example.org/realms/district", "console.oidc.clientId=roster-console"),
    *("console.oidc.clientSecret.name=roster-identity", "console.oidc.clientSecret.key=secret"),
    *("console.oidc.scopes={openid,email}", "console.oidc.caConfigMap=identity-ca"),
)


def test_it_understands_its_identity_provider(tmp_path: Path) -> None:
    pod = _pod(console(*OIDC, "console.oidc.url=https://roster.example", "console.tokenLogin=false"))
    given, authority = _environment(pod), trustme.CA().cert_pem.bytes().decode()
    files = {"API_CA": authority, "DATABASE_URL_FILE": "postgresql://c@db/roster", "SESSION_KEY_FILE": "k" * 64}
    files |= {"OIDC_CLIENT_SECRET_FILE": "s3cret\n", "OIDC_CA": authority}
    mounted = set(_files(pod))
    for variable, content in files.items():
        assert given[f"ROSTER_CONSOLE_{variable}"] in mounted
        (tmp_path / variable).write_text(content)
        given[f"ROSTER_CONSOLE_{variable}"] = str(tmp_path / variable)
    environment = Asked(given | {"KUBERNETES_SERVICE_HOST": "10.96.0.1"})
    found = load(environment)
    assert given.keys() <= environment.asked
    assert found.token_login is False
    assert found.oidc == Oidc(
        "https://login.example.org/realms/district",
        "roster-console",
        "https://roster.example",
        "s3cret",
        "openid email",
        authority.strip(),
    )


def test_its_own_address_is_that_of_the_way_in() -> None:
    ingress = ("console.ingress.enabled=true", "console.ingress.host=roster.example")
    assert _environment(_pod(console(*OIDC, *ingress)))["ROSTER_CONSOLE_URL"] == "https://roster.example"
    route = (
        "console.httpRoute.enabled=true",
        "console.httpRoute.parentRefs[0].name=g",
        "console.httpRoute.hostnames={r.example}",
    )
    assert _environment(_pod(console(*OIDC, *route)))["ROSTER_CONSOLE_URL"] == "https://r.example"
    named = "console.oidc.url=https://other.example:8443"
    assert _environment(_pod(console(*OIDC, *ingress, named)))["ROSTER_CONSOLE_URL"] == "https://other.example:8443"


def test_without_an_identity_provider_nothing_of_one_comes() -> None:
    pod = _pod(console("networkPolicy.enabled=true", "networkPolicy.identityPorts={8443}"))
    assert not [name for name in _environment(pod) if "OIDC" in name or name == "ROSTER_CONSOLE_URL"]
    assert not [one for one in pod["volumes"] if "identity" in one["name"]]
    (policy,) = of(console("networkPolicy.enabled=true", "networkPolicy.identityPorts={8443}"), "NetworkPolicy")
    assert 8443 not in {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (OIDC, "console.oidc.url is needed: the console's own address as browsers ask for it"),
        (OIDC[:1], "console.oidc.clientId is needed: the id that the identity provider gave the console"),
        (OIDC[1:], "console.oidc.issuer is needed: the identity provider's address"),
        (("console.tokenLogin=false",), "nobody could sign in"),
        ((*OIDC, "console.oidc.url=https://roster.example/path"), "/console/oidc/url"),
        ((*OIDC, "console.oidc.url=http://roster.example"), "/console/oidc/url"),
        ((*OIDC, "console.oidc.scopes={email}"), "/console/oidc/scopes"),
        (("console.oidc.issuer=http://login.example.org",), "/console/oidc/issuer"),
        (("console.oidc.clientsecret=s",), "clientsecret"),
        (
            (
                *(*OIDC, "console.httpRoute.enabled=true", "console.httpRoute.parentRefs[0].name=g"),
                "console.httpRoute.hostnames={*.example}",
            ),
            "console.oidc.url is needed",
        ),
    ],
)
def test_half_an_identity_provider_is_refused(settings: tuple[str, ...], said: str) -> None:
    assert said in template("--set", ",".join((OWNER, "console.enabled=true", *settings)), check=False)


def test_with_a_certificate_everything_that_comes_to_it_speaks_tls() -> None:
    plain, tls = console(), console("console.tls.secretName=t")
    for objects, scheme, port in ((plain, "HTTP", 80), (tls, "HTTPS", 443)):
        (container,) = _pod(objects)["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"] == {"path": "/healthz", "port": "console", "scheme": scheme}
        (service,) = of(objects, "Service")
        assert [(one["port"], one["name"]) for one in service["spec"]["ports"]] == [(port, scheme.lower())]


def test_the_ways_in_lead_to_its_service(everything: list[dict[str, Any]]) -> None:
    (ingress,), (route,) = of(everything, "Ingress"), of(everything, "HTTPRoute")
    ((rule,),) = (ingress["spec"]["rules"],)
    assert rule["host"] == "roster.district.example"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": NAME, "port": {"number": 443}}
    assert ingress["spec"]["tls"] == [{"hosts": ["roster.district.example"], "secretName": "roster-tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert route["spec"]["hostnames"] == ["roster.district.example"]
    assert route["spec"]["parentRefs"][0]["sectionName"] == "https"
    assert route["spec"]["rules"] == [{"backendRefs": [{"name": NAME, "port": 443}]}]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("console.ingress.enabled=true", "console.ingress.host is needed"),
        ("console.httpRoute.enabled=true", "console.httpRoute.parentRefs is needed"),
        ("console.ingress.host=https://roster.example", "console"),
        ("console.tls.secretname=t", "secretname"),
        ("console.replicas=-1", "replicas"),
    ],
)
def test_a_way_in_that_leads_nowhere_is_refused(setting: str, said: str) -> None:
    assert said in template("--set", f"{OWNER},console.enabled=true,{setting}", check=False)


def test_selectors_find_the_console_and_never_the_operator(everything: list[dict[str, Any]]) -> None:
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in of(everything, "Deployment")
    }
    assert len(labels) == 2
    selecting = [one for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget") for one in of(everything, kind)]
    assert len(selecting) == 6
    for one in selecting:
        spec = one["spec"]
        wanted = (spec.get("podSelector") or spec["selector"]).get("matchLabels") or spec["selector"]
        chosen = [name for name, given in labels.items() if wanted.items() <= given.items()]
        assert chosen == [NAME if "console" in one["metadata"]["name"] else "roster-operator"]


def test_the_network_lets_it_reach_the_api_server_the_database_and_names(everything: list[dict[str, Any]]) -> None:
    (policy,) = (one for one in of(everything, "NetworkPolicy") if one["metadata"]["name"] == NAME)
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ports == {443, 6443, 5432, 6432, 53, 8443, 25, 465, 587}  # 8443: identity provider; mail's for invitations
    assert policy["spec"]["ingress"] == [
        {"ports": [{"port": "console", "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}
    ]


def _environment(pod: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod["containers"][0]["env"]}


def _files(pod: dict[str, Any]) -> Iterator[str]:
    """Every path that a volume puts a named key at, or may put a key of its Secret or ConfigMap at."""
    at = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    whole = {"roster-console": ("url", "session-key"), "kube-root-ca.crt": ("ca.crt",)}
    for volume in pod["volumes"]:
        source = volume.get("secret") or volume.get("configMap") or {}
        keys = whole.get(source.get("secretName") or source.get("name"), ())
        for path in (*keys, *(item["path"] for item in source.get("items", ()))):
            yield f"{at[volume['name']]}/{path}"


def _pod(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (one for one in of(objects, "Deployment") if one["metadata"]["name"] == NAME)
    return found["spec"]["template"]["spec"]
