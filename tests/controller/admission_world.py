"""Two namespaces under the chart's admission policies on a real API server, and different people in them."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.controller.values import SETTINGS
from tests.support import admission
from tests.support.admission import Answer, Body, People, Person
from tests.support.apiserver import ApiServer
from tests.support.jobs import PATIENCE, until

from roster_operator.api.kinds import CONNECTION
from roster_operator.api.task import Step
from roster_operator.controller.jobs import Owner, build
from roster_operator.controller.objects import Connection
from roster_operator.controller.tasks import task_of_test

BY = "roster-operator.io/approved-by"
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
IMAGE = "localhost/roster-operator:test"


@dataclass
class Place:
    """A namespace under the policies, and the people in it."""

    admin: Person
    operator: Person
    viewer: Person
    editor: Person
    approver: Person
    other: Person  # a second approver
    manager: Person
    boss: Person  # the cluster's own role admin
    deployer: Person  # the cluster's own role edit
    pipeline: Person  # a service account that applies what Git says


class World:
    """Both places on one server: with the stamp, and as on a server without MutatingAdmissionPolicy."""

    def __init__(self, server: ApiServer, people: People) -> None:
        self.server, self.people = server, people
        self.policies: list[str] = []
        self._made: list[Body] = []
        self.stamped = self._place("stamped", stamp=True)
        self.plain = self._place("plain", stamp=False)

    def _place(self, name: str, *, stamp: bool) -> Place:
        namespace, home = f"{name}-{os.getpid()}", f"roster-{name}"
        self.server.kubectl("create", "namespace", namespace)
        objects = admission.rendered(
            home,
            f'watchNamespaces=["{namespace}"]',
            f"admission.stamp={json.dumps(stamp)}",
            'image={"repository":"localhost/roster-operator","tag":"test"}',
        )
        roles = [one for one in objects if one["kind"] == "ClusterRole"]
        made = [one for one in objects if one["kind"] in admission.POLICIES]
        self.server.apply(*roles, *made)
        self._made += [*made, *(role for role in roles if home in role["metadata"]["name"])]
        self.policies += [one["metadata"]["name"] for one in made if one["kind"] == "ValidatingAdmissionPolicy"]
        bind, watched = self.people.bind, f"{home}-roster-operator-watched"
        place = Place(
            admin=self.people.who(namespace),
            operator=bind(namespace, f"system:serviceaccount:{home}:roster-operator", watched),
            viewer=bind(namespace, "vera", "roster-viewer"),
            editor=bind(namespace, "ed", "roster-editor"),
            approver=bind(namespace, "anna", "roster-approver"),
            other=bind(namespace, "otto", "roster-approver"),
            manager=bind(namespace, "mona", "roster-data-manager"),
            boss=bind(namespace, "boss", "admin"),
            deployer=bind(namespace, "dora", "edit"),
            pipeline=bind(
                namespace, "system:serviceaccount:flux-system:kustomize-controller", "edit", "roster-approver"
            ),
        )
        self._wait_until_they_hold(place, stamp=stamp)
        return place

    def _wait_until_they_hold(self, place: Place, *, stamp: bool) -> None:
        """Policies and roles reach the API server's own copies within a second or two."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sis"}}
        assert place.admin.create("secrets", secret).code == 201
        probe = sync("probe")
        until(lambda: place.editor.create("rostersyncs", probe).code == 201, PATIENCE, "the editor to have rights")
        until(lambda: place.operator.read("rostersyncs", "probe").code == 200, PATIENCE, "the operator to have rights")
        until(lambda: place.deployer.read("rostersyncs", "probe").code == 200, PATIENCE, "edit to be aggregated")
        until(lambda: place.boss.read("rostersyncs", "probe").code == 200, PATIENCE, "admin to be aggregated")
        foreign = {"metadata": {"annotations": {BY: "somebody"}}}
        probes = {
            "approvals": lambda: place.editor.create("rostersyncs", sync("x", approved=True), dry=True).code == 403,
            "status": lambda: place.admin.patch("rostersyncs", "probe", {"status": {}}, "status", dry=True).code == 403,
            "connections": lambda: place.editor.create("rosterconnections", connection(), dry=True).code == 403,
            "jobs": lambda: place.operator.create("jobs", job() | {"metadata": {"name": "x"}}, dry=True).code == 403,
            "stamp": lambda: not stamp or place.admin.patch("rostersyncs", "probe", foreign, dry=True).code == 200,
        }  # fmt: skip
        for name, holds in probes.items():
            until(holds, PATIENCE, f"the policy {name}")

    def close(self) -> None:
        for one in self._made:
            self.server.kubectl("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session")
def world(apiserver: ApiServer) -> Iterator[World]:
    people = People(apiserver)
    names = ("clusterrole-aggregation-controller", "validatingadmissionpolicy-status-controller")
    with admission.controllers(apiserver, *names):
        made = World(apiserver, people)
        try:
            yield made
        finally:
            made.close()
            people.close()


@pytest.fixture(params=["stamped", "plain"])
def place(request: pytest.FixtureRequest, world: World) -> Place:
    return getattr(world, request.param)


@pytest.fixture
def stamped(world: World) -> Place:
    return world.stamped


@pytest.fixture
def plain(world: World) -> Place:
    return world.plain


_names = iter(range(10_000))


def fresh(kind: str = "s") -> str:
    return f"{kind}{next(_names)}"


def sync(name: str, by: str | None = None, **spec: Any) -> Body:
    meta: Body = {"name": name} | ({"annotations": {BY: by}} if by else {})
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterSync",
        "metadata": meta,
        "spec": {"connectionRef": {"name": "springfield"}} | spec,
    }


def connection(name: str = "springfield", **spec: Any) -> Body:
    auth = {"tokenURL": "https://sis.example.org/token", "secretRef": {"name": "sis"}}
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterConnection",
        "metadata": {"name": name},
        "spec": {"api": {"endpoint": "https://sis.example.org", "auth": auth}} | spec,
    }


def job(step: Step = Step.TEST) -> Body:
    """The Job as the operator builds it."""
    body = connection()
    body["metadata"] |= {
        "namespace": "k12", "uid": "u", "generation": 1, "resourceVersion": "1", "creationTimestamp": "2026-11-24T12:00:00Z",
    }  # fmt: skip
    one = Connection.of(body)
    made = build(
        task_of_test(one, "c", SETTINGS), fresh("job"), Owner(CONNECTION, one.meta), "roster-database", SETTINGS
    )
    del made["metadata"]["namespace"]
    return made


def there(place: Place, **spec: Any) -> str:
    """The name of a new sync that the editor made."""
    name = fresh()
    assert place.editor.create("rostersyncs", sync(name, **spec)).code == 201
    return name


def signed(answer: Answer) -> str | None:
    assert answer.code < 300, answer.body
    return answer.body["metadata"].get("annotations", {}).get(BY)


def merged(place: Place, **spec: Any) -> str:
    """The name of a connection that has merged."""
    name = fresh("c")
    assert place.boss.create("rosterconnections", connection(name, **spec)).code == 201
    moment = {"status": {"lastMergedTime": "2026-11-24T12:00:00Z"}}
    assert place.operator.patch("rosterconnections", name, moment, "status").code == 200
    return name
