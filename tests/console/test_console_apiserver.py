"""Two service accounts of different rights, on a real API server."""

from __future__ import annotations

import pytest
from tests.console.conftest import Browser
from tests.support.apiserver import ApiServer

from roster_operator.console.settings import load

GROUP = "rbac.authorization.k8s.io"


def reader(namespace: str) -> list[dict[str, object]]:
    rules = [
        {
            "apiGroups": ["roster-operator.io"],
            "resources": ["rosterconnections", "rostersyncs"],
            "verbs": ["get", "list"],
        }
    ]
    account = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    where = {"name": "reader", "namespace": namespace}
    return [
        {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": where, "rules": rules},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": where,
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "reader"},
            "subjects": [account],
        },
        {
            "apiVersion": "roster-operator.io/v1alpha1",
            "kind": "RosterConnection",
            "metadata": {"name": "springfield", "namespace": namespace},
            "spec": {
                "api": {
                    "endpoint": "https://sis.example",
                    "auth": {"tokenURL": "https://sis.example/token", "secretRef": {"name": "sis"}},
                }
            },
        },
        {
            "apiVersion": "roster-operator.io/v1alpha1",
            "kind": "RosterSync",
            "metadata": {"name": "springfield-1", "namespace": namespace},
            "spec": {"connectionRef": {"name": "springfield"}},
        },
    ]


@pytest.mark.apiserver
async def test_each_person_sees_what_the_api_server_lets_them_see(apiserver: ApiServer, namespace: str) -> None:
    for name in ("reader", "stranger"):
        apiserver.kubectl("-n", namespace, "create", "serviceaccount", name)
    apiserver.apply(*reader(namespace))
    tokens = {
        name: apiserver.kubectl("-n", namespace, "create", "token", name).stdout.strip()
        for name in ("reader", "stranger")
    }
    browser = Browser(load({"KUBECONFIG": str(apiserver.kubeconfig)}))
    try:
        await browser.sign_in(tokens["reader"], namespace)
        districts = await browser.get("/")
        assert districts.status_code == 200
        assert "springfield" in districts.text
        assert f"system:serviceaccount:{namespace}:reader" in districts.text
        paths = ("connections/springfield", "syncs/springfield-1")
        for path in paths:
            assert (await browser.get(f"/namespaces/{namespace}/{path}")).status_code == 200
        assert (await browser.get(f"/namespaces/{namespace}/syncs/absent")).status_code == 404
        assert (await browser.get("/?namespaces=default")).status_code == 403

        await browser.sign_in(tokens["stranger"], namespace)
        for path in ("/", *(f"/namespaces/{namespace}/{path}" for path in paths)):
            answer = await browser.get(path)
            assert answer.status_code == 403
            assert "You may not" in answer.text

        for name, status in (("reader", 200), ("stranger", 403)):
            for path in (*paths, "connections", "syncs"):
                bearer = f"Bearer {tokens[name]}"
                answer = await browser.get(f"/api/namespaces/{namespace}/{path}", Authorization=bearer)
                assert answer.status_code == status

        wrong = await browser.sign_in(tokens["reader"][:-8] + "AAAAAAAA", namespace)
        assert wrong.status_code == 401
    finally:
        await browser.close()
