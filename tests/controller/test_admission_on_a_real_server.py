"""Who may, and who did: the chart's policies and roles on a real API server, met by different people."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import copy
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
from tests.support.jobs import until

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.model import Model
from roster_operator.api.sources import ApiSource
from roster_operator.api.sync import RosterSyncSpec
from roster_operator.api.task import Step
from roster_operator.controller.jobs import Owner, build
from roster_operator.controller.objects import CONNECTION, SCHEDULED_AT, Connection
from roster_operator.controller.tasks import task_of_test

pytestmark = pytest.mark.apiserver

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
        until(lambda: place.editor.create("rostersyncs", probe).code == 201, 30, "the editor to have rights")
        until(lambda: place.operator.read("rostersyncs", "probe").code == 200, 30, "the operator to have rights")
        until(lambda: place.deployer.read("rostersyncs", "probe").code == 200, 30, "edit to be aggregated")
        until(lambda: place.boss.read("rostersyncs", "probe").code == 200, 30, "admin to be aggregated")
        foreign = {"metadata": {"annotations": {BY: "somebody"}}}
        probes = {
            "approvals": lambda: place.editor.create("rostersyncs", sync("x", approved=True), dry=True).code == 403,
            "status": lambda: place.admin.patch("rostersyncs", "probe", {"status": {}}, "status", dry=True).code == 403,
            "connections": lambda: place.editor.create("rosterconnections", connection(), dry=True).code == 403,
            "jobs": lambda: place.operator.create("jobs", job() | {"metadata": {"name": "x"}}, dry=True).code == 403,
            "stamp": lambda: not stamp or place.admin.patch("rostersyncs", "probe", foreign, dry=True).code == 200,
        }  # fmt: skip
        for name, holds in probes.items():
            until(holds, 30, f"the policy {name}")

    def close(self) -> None:
        for one in self._made:
            self.server.kubectl("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
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


# Approving

DECISIONS = [
    ("approved", {"approved": True}),
    ("approvedPlan", {"approvedPlan": A}),
    ("rejected", {"rejected": {"reason": "wrong year"}}),
]


@pytest.mark.parametrize("spec", [row[1] for row in DECISIONS], ids=[row[0] for row in DECISIONS])
def test_only_who_has_the_verb_decides(place: Place, spec: Body) -> None:
    name = there(place)
    for person in (place.editor, place.manager, place.deployer):
        assert "verb approve" in person.patch("rostersyncs", name, {"spec": spec}).message
        assert "verb approve" in person.create("rostersyncs", sync(fresh(), **spec)).message
    assert place.viewer.patch("rostersyncs", name, {"spec": spec}).code == 403
    for person in (place.approver, place.boss):
        assert person.patch("rostersyncs", there(place), {"spec": spec}).code == 200


def test_a_decision_is_taken_back_by_who_may_decide(place: Place) -> None:
    name = there(place)
    place.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    assert "verb approve" in place.editor.patch("rostersyncs", name, {"spec": {"approved": False}}).message
    assert place.other.patch("rostersyncs", name, {"spec": {"approved": False}}).code == 200


def test_who_may_only_edit_still_edits_what_is_approved(place: Place) -> None:
    name = there(place)
    place.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    assert place.editor.patch("rostersyncs", name, {"metadata": {"labels": {"team": "x"}}}).code == 200


def test_a_deleted_sync_is_not_created_again_as_approved_by_who_may_not(place: Place) -> None:
    name = there(place)
    place.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    kept = place.editor.read("rostersyncs", name).body
    assert place.editor.delete("rostersyncs", name).code == 200
    again = sync(name, by=signed(Answer(200, kept)), approved=True)
    assert "verb approve" in place.editor.create("rostersyncs", again).message


def test_limits_of_a_syncs_own_need_the_verb(place: Place) -> None:
    wide = {"limits": {"deactivate": {"percent": 100}}}
    assert "verb approve" in place.editor.create("rostersyncs", sync(fresh(), **wide)).message
    assert place.boss.create("rostersyncs", sync(fresh(), **wide)).code == 201


def test_nobody_passes_a_sync_off_as_one_of_the_schedule(place: Place) -> None:
    """Such a sync may be approved by the connection's policy, without a person."""
    mark = {"metadata": {"annotations": {SCHEDULED_AT: "2026-11-24T03:00:00Z"}}}
    body = sync(fresh())
    body["metadata"] |= mark["metadata"]
    for person in (place.editor, place.approver, place.boss):
        assert "only the operator" in person.patch("rostersyncs", there(place), mark).message
    assert "only the operator" in place.editor.create("rostersyncs", body).message
    name = there(place)
    assert place.operator.patch("rostersyncs", name, mark).code == 200
    assert place.editor.patch("rostersyncs", name, {"metadata": {"labels": {"team": "x"}}}).code == 200


def test_a_pipeline_with_the_verb_approves_from_git_and_applies_again(world: World, place: Place) -> None:
    name = fresh()
    assert place.pipeline.apply("rostersyncs", sync(name)).code == 201
    for _ in range(3):
        applied = place.pipeline.apply("rostersyncs", sync(name, approved=True))
        assert signed(applied) == (place.pipeline.name if place is world.stamped else None)


def test_a_pipeline_without_the_verb_does_not(place: Place) -> None:
    assert "verb approve" in place.deployer.apply("rostersyncs", sync(fresh(), approved=True)).message


# Who did


def test_the_stamp_says_who_decided(stamped: Place) -> None:
    name = there(stamped)
    assert signed(stamped.approver.patch("rostersyncs", name, {"spec": {"approved": True}})) == "anna"
    assert signed(stamped.boss.create("rostersyncs", sync(fresh(), approvedPlan=A))) == "boss"
    assert signed(stamped.pipeline.apply("rostersyncs", sync(fresh(), approved=True))) == stamped.pipeline.name


def test_the_stamp_does_not_believe_another_name(stamped: Place) -> None:
    forged = {"metadata": {"annotations": {BY: "otto"}}, "spec": {"approved": True}}
    assert signed(stamped.approver.patch("rostersyncs", there(stamped), forged)) == "anna"
    assert signed(stamped.boss.create("rostersyncs", sync(fresh(), by="anna", approved=True))) == "boss"
    assert signed(stamped.editor.create("rostersyncs", sync(fresh(), by="anna"))) is None


@pytest.mark.parametrize(
    "annotations", [{BY: "ed"}, {BY: "otto"}, {BY: None}, None], ids=["own", "other", "gone", "all gone"]
)
def test_the_stamp_stays_whatever_others_write(stamped: Place, annotations: Body | None) -> None:
    name = there(stamped)
    stamped.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    later = stamped.editor.patch("rostersyncs", name, {"metadata": {"annotations": annotations}})
    assert signed(later) == "anna"


def test_the_stamp_survives_a_replace_without_it(stamped: Place) -> None:
    name = there(stamped)
    body = stamped.approver.patch("rostersyncs", name, {"spec": {"approved": True}}).body
    del body["metadata"]["annotations"]
    assert signed(stamped.editor.replace("rostersyncs", body)) == "anna"


def test_the_stamp_is_of_the_latest_decision_and_goes_when_none_stands(stamped: Place) -> None:
    name = there(stamped)
    stamped.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    assert signed(stamped.other.patch("rostersyncs", name, {"spec": {"approvedPlan": A}})) == "otto"
    assert signed(stamped.approver.patch("rostersyncs", name, {"spec": {"approvedPlan": B}})) == "anna"
    nothing = {"spec": {"approved": False, "approvedPlan": None}}
    assert signed(stamped.approver.patch("rostersyncs", name, nothing)) is None
    assert signed(stamped.other.patch("rostersyncs", name, {"spec": {"approved": True}})) == "otto"


def test_other_annotations_are_left_alone(stamped: Place) -> None:
    name = fresh()
    body = sync(name)
    body["metadata"]["annotations"] = {"note": "mine"}
    stamped.editor.create("rostersyncs", body)
    done = stamped.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    assert done.body["metadata"]["annotations"] == {"note": "mine", BY: "anna"}


def test_without_the_stamp_ones_own_name_or_none(plain: Place) -> None:
    own = {"metadata": {"annotations": {BY: "anna"}}, "spec": {"approved": True}}
    assert signed(plain.approver.patch("rostersyncs", there(plain), own)) == "anna"
    assert signed(plain.approver.patch("rostersyncs", there(plain), {"spec": {"approved": True}})) is None


@pytest.mark.parametrize("who", ["approver", "editor", "boss"])
def test_without_the_stamp_another_name_is_refused(plain: Place, who: str) -> None:
    person: Person = getattr(plain, who)
    forged = {"metadata": {"annotations": {BY: "otto"}}}
    assert "your own user name" in person.patch("rostersyncs", there(plain), forged).message
    if who == "boss":
        assert "your own user name" in person.create("rostersyncs", sync(fresh(), by="otto", approved=True)).message


def test_without_the_stamp_an_old_name_does_not_sign_a_new_decision(plain: Place) -> None:
    name = there(plain)
    plain.approver.patch("rostersyncs", name, {"metadata": {"annotations": {BY: "anna"}}, "spec": {"approved": True}})
    assert plain.other.patch("rostersyncs", name, {"spec": {"approved": False}}).code == 200
    assert "your own user name" in plain.other.patch("rostersyncs", name, {"spec": {"approved": True}}).message
    mine = {"metadata": {"annotations": {BY: "otto"}}, "spec": {"approved": True}}
    assert signed(plain.other.patch("rostersyncs", name, mine)) == "otto"


# The status


@pytest.mark.parametrize("who", ["admin", "boss", "approver", "editor", "pipeline"])
def test_nobody_but_the_operator_writes_a_status(place: Place, who: str) -> None:
    person: Person = getattr(place, who)
    name, approval = there(place), {"digest": A, "at": "2026-11-24T12:00:00Z", "via": "approved"}
    forged = {"status": {"phase": "Merging", "plan": {"digest": A}, "approval": approval}}
    assert person.patch("rostersyncs", name, forged, "status").code == 403
    assert person.patch("rosterconnections", merged(place), {"status": {"conditions": []}}, "status").code == 403
    assert "status" not in place.admin.read("rostersyncs", name).body


def test_nobody_brings_a_status_along(place: Place) -> None:
    made = place.boss.create("rostersyncs", sync(fresh(), approvedPlan=A) | {"status": {"phase": "Merged"}})
    assert made.code == 201
    assert "status" not in made.body


def test_the_operator_does_and_its_hand_does_not_slip_into_the_spec(place: Place) -> None:
    name = there(place)
    patch = {"metadata": {"annotations": {BY: "anna"}}, "spec": {"approved": True}, "status": {"phase": "Staging"}}
    done = place.operator.patch("rostersyncs", name, patch, "status")
    assert done.body["status"]["phase"] == "Staging"
    assert done.body["spec"]["approved"] is False
    assert signed(done) is None


def test_the_operator_sets_its_finalizer(place: Place) -> None:
    name = there(place)
    place.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    done = place.operator.patch("rostersyncs", name, {"metadata": {"finalizers": ["roster-operator.io/staged"]}})
    assert done.code == 200, done.body


# Connections


def test_who_names_a_secret_must_be_able_to_get_it(place: Place) -> None:
    said = place.editor.create("rosterconnections", connection(fresh("c"))).message
    assert "must be able to get it: sis" in said
    for person in (place.deployer, place.boss):
        assert person.create("rosterconnections", connection(fresh("c"))).code == 201


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"databaseSecretRef": {"name": "db"}}, "sis, db"),
        ({"api": None, "csv": {"sftp": {"host": "h", "path": "/p", "hostKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1"], "secretRef": {"name": "box"}}}}, "it: box"),
    ],
    ids=["database", "sftp"],
)  # fmt: skip
def test_every_secret_that_is_named(place: Place, spec: Body, named: str) -> None:
    body = connection(fresh("c"))
    body["spec"] = {key: value for key, value in (body["spec"] | spec).items() if value is not None}
    assert named in place.editor.create("rosterconnections", body).message


def test_an_upload_names_no_secret(place: Place) -> None:
    body = connection(fresh("c"), csv={"upload": {}})
    del body["spec"]["api"]
    assert place.editor.create("rosterconnections", body).code == 201


def test_a_secret_is_not_sent_elsewhere_by_who_cannot_get_it(place: Place) -> None:
    name = fresh("c")
    assert place.deployer.create("rosterconnections", connection(name)).code == 201
    evil = {"spec": {"api": {"endpoint": "https://evil.example.org"}}}
    assert "must be able to get it: sis" in place.editor.patch("rosterconnections", name, evil).message
    assert (
        "must be able to get it: sis"
        in place.editor.patch("rosterconnections", name, {"spec": {"api": {"allowInsecure": True}}}).message
    )
    assert place.editor.patch("rosterconnections", name, {"spec": {"testInterval": "12h"}}).code == 200
    assert place.editor.patch("rosterconnections", name, {"spec": {"api": {"pageSize": 200}}}).code == 200


GUARDED = [
    ("endpoint", {"api": {"endpoint": "https://other.example.org"}}),
    ("provider", {"api": {"provider": "Synergy"}}),
    ("basePath", {"api": {"basePath": "/x", "version": "1.1"}}),
    ("version", {"api": {"version": "1.1"}}),
    ("auth", {"api": {"auth": {"tokenURL": "https://other.example.org/token"}}}),
    ("auth", {"api": {"auth": {"secretRef": {"name": "sis2"}}}}),
    ("parameters", {"api": {"parameters": {"appName": "x"}}}),
    ("query", {"api": {"query": {"x": "y"}}}),
    ("keepCookies", {"api": {"keepCookies": True}}),
    ("caBundle", {"api": {"caBundle": "x"}}),
    ("allowInsecure", {"api": {"allowInsecure": True}}),
    ("csv", {"api": None, "csv": {"upload": {}}}),
    ("databaseSecretRef", {"databaseSecretRef": {"name": "sis"}}),
    ("scope", {"scope": {"roles": ["student"]}}),
    ("fields", {"fields": {"omit": ["users.phone"]}}),
    ("roleMapping", {"roleMapping": {"ext:para": "aide"}}),
    ("retention", {"retention": {"historyDays": 30}}),
]
APPROVING = [
    ("limits", {"limits": {"deactivate": {"percent": 99}}}),
    ("automaticSync", {"automaticSync": {"schedule": "@daily", "approval": "WithinLimits"}}),
    *([("approvedPlan", {"approvedPlan": A})] if "approved_plan" in RosterConnectionSpec.model_fields else []),
]
FREE = [
    ("pageSize", {"api": {"pageSize": 200}}),
    ("maxConcurrency", {"api": {"maxConcurrency": 2}}),
    ("requestsPerSecond", {"api": {"requestsPerSecond": 2}}),
    ("testInterval", {"testInterval": "12h"}),
    ("automaticSync", {"automaticSync": {"schedule": "@daily"}}),
    ("suspend", {"suspend": True}),
]
IMMUTABLE = {"tenant"}
FREE_IN_SYNC = {"connectionRef", "mode", "source", "stagedFor", "ttlAfterFinished", "ignorePause"}


def test_every_field_is_guarded_or_free() -> None:
    """A new field is harmless only when somebody has said so: here, and in the policy where it is not."""

    def fields(model: type[Model]) -> set[str]:
        return {field.alias or name for name, field in model.model_fields.items()}

    judged = {row[0] for row in (*GUARDED, *APPROVING, *FREE)} | IMMUTABLE
    assert fields(RosterConnectionSpec) - {"api"} | fields(ApiSource) == judged
    decisions = {"approved", "approvedPlan", "rejected", "limits"}
    assert fields(RosterSyncSpec) - FREE_IN_SYNC == decisions


@pytest.mark.parametrize(
    "spec", [row[1] for row in GUARDED], ids=[f"{row[0]}{number}" for number, row in enumerate(GUARDED)]
)
def test_what_a_merged_connection_takes_and_where_it_goes_needs_the_verb(stamped: Place, spec: Body) -> None:
    name = merged(stamped)
    assert "verb approve" in stamped.deployer.patch("rosterconnections", name, {"spec": spec}).message
    assert stamped.boss.patch("rosterconnections", name, {"spec": spec}).code == 200


@pytest.mark.parametrize("spec", [row[1] for row in FREE], ids=[row[0] for row in FREE])
def test_the_rest_does_not(stamped: Place, spec: Body) -> None:
    assert stamped.editor.patch("rosterconnections", merged(stamped), {"spec": spec}).code == 200


def test_before_the_first_merge_a_source_is_corrected_freely(stamped: Place) -> None:
    name = fresh("c")
    assert stamped.deployer.create("rosterconnections", connection(name)).code == 201
    for field, spec in GUARDED:
        done = stamped.deployer.patch("rosterconnections", name, {"spec": spec}, dry=True)
        assert "verb approve" not in done.message, (field, done.message)


@pytest.mark.parametrize("spec", [row[1] for row in APPROVING], ids=[row[0] for row in APPROVING])
def test_what_approves_needs_the_verb_also_before_the_first_merge(place: Place, spec: Body) -> None:
    name = fresh("c")
    assert place.deployer.create("rosterconnections", connection(name)).code == 201
    assert "verb approve" in place.deployer.patch("rosterconnections", name, {"spec": spec}).message
    assert "verb approve" in place.deployer.create("rosterconnections", connection(fresh("c"), **spec)).message
    assert place.boss.patch("rosterconnections", name, {"spec": spec}).code == 200
    assert place.boss.create("rosterconnections", connection(fresh("c"), **spec)).code == 201
    # What somebody with the verb has set does not stop others from editing the rest.
    assert place.editor.patch("rosterconnections", name, {"spec": {"testInterval": "12h"}}).code == 200


def test_approval_without_a_person_is_taken_back_by_who_may_edit(stamped: Place) -> None:
    name = merged(stamped, automaticSync={"schedule": "@daily", "approval": "WithinLimits"})
    back = {"spec": {"automaticSync": {"approval": "Manual"}}}
    assert stamped.editor.patch("rosterconnections", name, back).code == 200


def test_a_foreign_name_on_a_connection(stamped: Place, plain: Place) -> None:
    forged = {"metadata": {"annotations": {BY: "otto"}}}
    assert signed(stamped.boss.patch("rosterconnections", merged(stamped), forged)) is None
    assert "your own user name" in plain.boss.patch("rosterconnections", merged(plain), forged).message


def test_limits_on_creation_need_the_verb_unless_they_are_the_defaults(stamped: Place) -> None:
    same = {"deactivate": {"percent": 10, "floor": 20}}
    assert stamped.deployer.create("rosterconnections", connection(fresh("c"), limits=same)).code == 201
    wide = {"deactivate": {"percent": 11}}
    assert "limits decide" in stamped.deployer.create("rosterconnections", connection(fresh("c"), limits=wide)).message
    assert stamped.boss.create("rosterconnections", connection(fresh("c"), limits=wide)).code == 201


def test_the_largest_connection_is_judged_within_the_cost_limits(stamped: Place) -> None:
    name = merged(stamped)
    words = {f"k{number:02}": "x" * 500 for number in range(16)}
    large: Body = {
        "api": {"caBundle": "x" * 32768, "parameters": words, "query": words},
        "scope": {"schools": [f"{number:0255}" for number in range(1000)]},
        "roleMapping": {f"ext:{number:060}": "aide" for number in range(64)},
        "fields": {"omit": [f"users.{chr(97 + number % 26) * 80}" for number in range(26)]},
    }
    assert stamped.boss.patch("rosterconnections", name, {"spec": large}).code == 200
    large["scope"]["schools"][999] = "other"
    assert "verb approve" in stamped.deployer.patch("rosterconnections", name, {"spec": large}).message
    assert stamped.boss.patch("rosterconnections", name, {"spec": large}).code == 200


# The operator's own Jobs


def changed(path: str, value: Any) -> Body:
    """The operator's Job, in which the field at `path` is `value`."""
    body = job()
    *parents, last = path.split(".")
    node: Any = body
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
    if isinstance(node, list):
        node.insert(int(last), value)
    else:
        node[last] = value
    return body


POD = "spec.template.spec"
WORKER = f"{POD}.containers.0"
BAD_JOBS = [
    ("another image", f"{WORKER}.image", "localhost/other:1", "configured image"),
    ("another command", f"{WORKER}.command", ["sh"], "configured image"),
    ("arguments", f"{WORKER}.args", ["-c", "x"], "configured image"),
    ("a second container", f"{POD}.containers.1", {"name": "x", "image": IMAGE}, "configured image"),
    ("an init container", f"{POD}.initContainers", [{"name": "x", "image": "other"}], "configured image"),
    ("a Secret as variables", f"{WORKER}.envFrom", [{"secretRef": {"name": "x"}}], "configured image"),
    ("a Secret as a variable", f"{WORKER}.env.0", {"name": "X", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}, "configured image"),
    ("a hook", f"{WORKER}.lifecycle", {"preStop": {"exec": {"command": ["sh"]}}}, "configured image"),
    ("a token", f"{POD}.automountServiceAccountToken", True, "no service account token"),
    ("another account", f"{POD}.serviceAccountName", "boss", "no service account token"),
    ("a token as a volume", f"{POD}.volumes.0", {"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "no service account token"),
    ("a host path", f"{POD}.volumes.0", {"name": "x", "hostPath": {"path": "/"}}, "no service account token"),
    ("the node's network", f"{POD}.hostNetwork", True, "run restricted"),
    ("the node's processes", f"{POD}.hostPID", True, "run restricted"),
    ("other addresses", f"{POD}.hostAliases", [{"ip": "10.0.0.1", "hostnames": ["sis.example.org"]}], "run restricted"),
    ("root", f"{POD}.securityContext.runAsUser", 0, "run restricted"),
    ("perhaps root", f"{POD}.securityContext.runAsNonRoot", False, "run restricted"),
    ("root in the container", f"{WORKER}.securityContext.runAsUser", 0, "run restricted"),
    ("more rights than its parent", f"{WORKER}.securityContext.allowPrivilegeEscalation", True, "run restricted"),
    ("a capability", f"{WORKER}.securityContext.capabilities.add", ["NET_ADMIN"], "run restricted"),
    ("a writable root", f"{WORKER}.securityContext.readOnlyRootFilesystem", False, "run restricted"),
    ("any system call", f"{POD}.securityContext.seccompProfile", {"type": "Unconfined"}, "run restricted"),
    ("no owner", "metadata.ownerReferences", [], "name their step and their owner"),
    ("another's label", "metadata.labels", {"app": "x"}, "managed-by=roster-operator"),
]  # fmt: skip


def test_the_operator_creates_and_deletes_its_own_jobs(place: Place) -> None:
    body = job()
    done = place.operator.create("jobs", body)
    assert done.code == 201, done.body
    assert place.operator.delete("jobs", body["metadata"]["name"]).code == 200


@pytest.mark.parametrize(("path", "value", "said"), [row[1:] for row in BAD_JOBS], ids=[row[0] for row in BAD_JOBS])
def test_the_operator_creates_no_other_job(stamped: Place, path: str, value: Any, said: str) -> None:
    body = changed(path, value)
    assert stamped.admin.create("jobs", body, dry=True).code == 201, "the API server itself takes it"
    assert said in stamped.operator.create("jobs", body).message


def test_the_operator_deletes_nobody_elses_job(place: Place) -> None:
    body = copy.deepcopy(job())
    body["metadata"]["labels"] = {"app": "x"}
    assert place.deployer.create("jobs", body).code == 201
    assert "managed-by=roster-operator" in place.operator.delete("jobs", body["metadata"]["name"]).message


# The roles

VERBS = {
    "vera": set[str](),
    "ed": set[str](),
    "dora": set[str](),
    "anna": {"approve"},
    "mona": {"upload", "viewrecords", "grantaccess"},
    "boss": {"approve", "upload", "viewrecords", "grantaccess"},
}


@pytest.mark.parametrize("person", sorted(VERBS))
def test_who_has_which_verb(world: World, stamped: Place, person: str) -> None:
    namespace = stamped.viewer.read("rostersyncs", "probe").body["metadata"]["namespace"]
    resources = {
        "approve": "rostersyncs",
        "upload": "rosterconnections",
        "viewrecords": "rosterconnections",
        "grantaccess": "rosterconnections",
    }

    def may(verb: str, resource: str) -> bool:
        arguments = ("auth", "can-i", verb, f"{resource}.roster-operator.io", "-n", namespace, "--as", person)
        return world.server.kubectl(*arguments, check=False).stdout.strip() == "yes"

    assert {verb for verb, resource in resources.items() if may(verb, resource)} == VERBS[person]
    assert may("get", "rostersyncs")
    assert may("create", "rostersyncs") == (person in {"ed", "dora", "mona", "boss"})


# The expressions themselves


def test_the_api_server_finds_no_fault_with_the_types_of_any_expression(world: World) -> None:
    assert world.policies
    found = admission.wait_for_types(world.server, world.policies)
    assert found == {name: [] for name in world.policies}
