"""The chart's admission policies and roles on the tests' API server, and requests as different people.

The policies are bound to namespaces of the test's own, so other tests on the same server do not meet them.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import yaml
from deploy.local import toolchain
from tests.support.apiserver import ROOT, ApiServer, _die_with_parent
from tests.support.jobs import PATIENCE, until

Body = dict[str, Any]
CHART = ROOT / "charts" / "roster-operator"
POLICIES = frozenset(
    {
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    }
)
ROOTS = {
    "secrets": "/api/v1",
    "jobs": "/apis/batch/v1",
    "rostersyncs": "/apis/roster-operator.io/v1alpha1",
    "rosterconnections": "/apis/roster-operator.io/v1alpha1",
}


def rendered(release_namespace: str, *settings: str) -> list[Body]:
    """What the chart installs in `release_namespace`; `settings` as helm's --set-json takes them."""
    helm = toolchain.provide(("helm",)) / "helm"
    command = [helm, "template", "roster-operator", CHART, "--namespace", release_namespace, "--kube-version", "1.36"]
    command += [part for one in ('database.ownerSecret.name="owner"', *settings) for part in ("--set-json", one)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


@dataclass(frozen=True)
class Answer:
    """What the API server said: its code, and the object, or why not."""

    code: int
    body: Body

    @property
    def message(self) -> str:
        """Empty where it was allowed."""
        return "" if self.code < 300 else str(self.body.get("message", ""))


class Person:
    """A user or service account in one namespace."""

    def __init__(self, http: httpx.Client, namespace: str, name: str) -> None:
        self._http, self._namespace, self.name = http, namespace, name

    def create(self, plural: str, body: Body, *, dry: bool = False) -> Answer:
        return self._ask("POST", self._path(plural), body, dry=dry)

    def read(self, plural: str, name: str) -> Answer:
        return self._ask("GET", self._path(plural, name))

    def replace(self, plural: str, body: Body) -> Answer:
        return self._ask("PUT", self._path(plural, body["metadata"]["name"]), body)

    def delete(self, plural: str, name: str) -> Answer:
        return self._ask("DELETE", self._path(plural, name))

    def patch(self, plural: str, name: str, patch: Body, subresource: str = "", *, dry: bool = False) -> Answer:
        kind = "application/merge-patch+json"
        return self._ask("PATCH", self._path(plural, name, subresource), patch, kind=kind, dry=dry)

    def apply(self, plural: str, body: Body, manager: str = "pipeline") -> Answer:
        """Server-side apply, as Flux and Argo CD do it."""
        path = self._path(plural, body["metadata"]["name"])
        kind, query = "application/apply-patch+yaml", {"fieldManager": manager, "force": "true"}
        return self._ask("PATCH", path, body, kind=kind, query=query)

    def _path(self, plural: str, name: str = "", subresource: str = "") -> str:
        parts = (ROOTS[plural], "namespaces", self._namespace, plural, name, subresource)
        return "/".join(part for part in parts if part)

    def _ask(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        kind: str = "application/json",
        dry: bool = False,
        query: dict[str, str] | None = None,
    ) -> Answer:
        headers = {"Content-Type": kind} | ({"Impersonate-User": self.name} if self.name else {})
        params = dict(query or {}) | ({"dryRun": "All"} if dry else {})
        content = json.dumps(body) if body is not None else None
        answer = self._http.request(method, path, content=content, headers=headers, params=params)
        return Answer(answer.status_code, answer.json())


class People:
    """Everybody on one server; a name of "" is the administrator."""

    def __init__(self, server: ApiServer) -> None:
        config = yaml.safe_load(server.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._server = server
        self._http = httpx.Client(
            base_url=cluster["server"],
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            verify=ssl.create_default_context(cafile=cluster["certificate-authority"]),
            timeout=30,
        )

    def close(self) -> None:
        self._http.close()

    def who(self, namespace: str, name: str = "") -> Person:
        return Person(self._http, namespace, name)

    def bind(self, namespace: str, name: str, *roles: str) -> Person:
        """Bind cluster roles to a user or a service account."""
        group = "rbac.authorization.k8s.io"
        if name.startswith("system:serviceaccount:"):
            _, _, home, account = name.split(":")
            subject = {"kind": "ServiceAccount", "name": account, "namespace": home}
        else:
            subject = {"kind": "User", "name": name, "apiGroup": group}
        self._server.apply(
            *(
                {
                    "apiVersion": f"{group}/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": f"{name.replace(':', '-')}.{role}", "namespace": namespace},
                    "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
                    "subjects": [subject],
                }
                for role in roles
            )
        )
        return self.who(namespace, name)


@contextmanager
def controllers(server: ApiServer, *names: str) -> Iterator[None]:
    """These controllers of Kubernetes run beside the API server."""
    programs = toolchain.provide(("kube-controller-manager",))
    command = [programs / "kube-controller-manager", "--kubeconfig", server.kubeconfig, "--leader-elect=false"]
    command += [f"--controllers={','.join(names)}", "--secure-port=0"]
    with (server.folder / "kube-controller-manager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def wait_for_types(server: ApiServer, policies: list[str]) -> dict[str, list[Body]]:
    """What the API server's own type checker says against the expressions of each policy."""

    def read(name: str) -> Body:
        found = server.read("validatingadmissionpolicy", name) or {}
        status = found.get("status", {})
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}

    def checked(name: str) -> Body:
        return until(lambda: read(name), PATIENCE, f"the types of {name} to be checked")

    return {name: checked(name).get("typeChecking", {}).get("expressionWarnings", []) for name in policies}
