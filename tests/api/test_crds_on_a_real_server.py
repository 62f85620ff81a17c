"""What a real API server accepts of both resources, what it refuses, and how it says so."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from tests.support.apiserver import ApiServer

pytestmark = pytest.mark.apiserver

Manifest = dict[str, Any]
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def connection(**spec: Any) -> Manifest:
    api = {
        "endpoint": "https://sis.example.org/ims/oneroster/rostering/v1p2",
        "auth": {"tokenURL": "https://sis.example.org/token", "secretRef": {"name": "sis"}},
    }
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterConnection",
        "metadata": {"name": "springfield"},
        "spec": {"api": api} | spec,
    }


def sync(**spec: Any) -> Manifest:
    return {
        "apiVersion": "roster-operator.io/v1alpha1",
        "kind": "RosterSync",
        "metadata": {"name": "first"},
        "spec": {"connectionRef": {"name": "springfield"}} | spec,
    }


def changed(manifest: Manifest, path: str, value: Any) -> Manifest:
    """A copy in which the field at `path` is `value`, or gone where that is None."""
    result = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    node = result
    for name in parents:
        node = node.setdefault(name, {})
    if value is None:
        node.pop(last, None)
    else:
        node[last] = value
    return result


SFTP = {
    "host": "files.example.org",
    "path": "/out",
    "hostKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYyY2JlcgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    "secretRef": {"name": "sftp"},
}

ACCEPTED = [
    ("the least of a connection", connection()),
    ("a tenant, an interval and limits", connection(tenant="springfield", testInterval="1h30m", limits={"deactivate": {"percent": 5}})),
    ("http where the tenant asks for it", changed(changed(connection(), "spec.api.endpoint", "http://sis.local"), "spec.api.allowInsecure", True)),
    ("CSV by SFTP", changed(connection(csv={"sftp": SFTP}), "spec.api", None)),
    ("CSV by upload", changed(connection(csv={"upload": {}}), "spec.api", None)),
    ("what is taken, and as what", connection(scope={"schools": ["s1"], "roles": ["student"], "terms": "Current", "enrolledOnly": True, "entities": ["orgs", "users"]}, fields={"omit": ["users.phone", "demographics"]}, roleMapping={"ext:para": "aide"})),
    ("signed requests to a vendor's server", changed(changed(connection(), "spec.api.auth", {"type": "OAuth1", "signatureMethod": "HMAC-SHA1", "secretRef": {"name": "s"}}), "spec.api.provider", "ClassLink")),
    ("retention", connection(retention={"removeAfterDays": 30, "historyDays": 90})),
    ("limits by school and entity, over days", connection(limits={"perSchool": {"deactivate": {"percent": 30}}, "entities": {"enrollments": {"deactivate": {"percent": 25, "floor": 500}}}, "windowDays": 14, "onExceed": "HoldRemovals"})),
    ("the least of a sync", sync()),
    ("a delta", sync(mode="Delta")),
    ("an upload", sync(source={"upload": DIGEST})),
    ("an undo", sync(mode="Undo", undoes="springfield-20261124-0300")),
    ("an undo over what changed since", sync(mode="Undo", undoes="wrong", undoConflicts="Overwrite", ignorePause={"reason": "nobody can log in"})),
    ("a sync approved in advance", sync(approved=True, approvedPlan=DIGEST)),
    ("a rejected sync with limits of its own", sync(rejected={"reason": "wrong year"}, limits={"deactivate": {"percent": 50, "floor": 0}})),
]  # fmt: skip

REFUSED = [
    ("no source", changed(connection(), "spec.api", None), "exactly one source is needed: api or csv"),
    ("nobody to tell", connection(notify={"on": ["Failed"]}), "notify needs somebody to tell: email or webhook"),
    ("an empty list of people to tell", connection(notify={"email": []}), "notify needs somebody to tell"),
    ("a webhook over http", connection(notify={"webhook": {"url": "http://h.example", "secretRef": {"name": "s"}}}), "spec.notify.webhook.url"),
    ("two sources", connection(csv={"upload": {}}), "exactly one source is needed: api or csv"),
    ("files from nowhere", changed(connection(csv={}), "spec.api", None), "exactly one of sftp and upload is needed"),
    ("an SFTP server that nobody knows", changed(connection(csv={"sftp": SFTP | {"hostKeys": []}}), "spec.api", None), "should have at least 1 items"),
    ("a path of one's own without a version", changed(connection(), "spec.api.basePath", "/own"), "basePath needs a version"),
    ("OAuth 2 without a token URL", changed(connection(), "spec.api.auth.tokenURL", None), "tokenURL is needed"),
    ("a field that no record has", connection(fields={"omit": ["users.phone.home"]}), "should match"),
    ("http without allowInsecure", changed(connection(), "spec.api.endpoint", "http://sis.local"), "endpoint must be https"),
    ("a token over http", changed(connection(), "spec.api.auth.tokenURL", "http://sis.local/t"), "tokenURL must be https"),
    ("credentials in the address", changed(connection(), "spec.api.endpoint", "https://u:p@sis"), "should match"),
    ("no secret", changed(connection(), "spec.api.auth.secretRef", None), "secretRef: Required value"),
    ("a tenant that is no key", connection(tenant="Spring Field"), "should match"),
    ("an interval of a second", connection(testInterval="1s"), "testInterval must be at least 1m"),
    ("an interval of no length", connection(testInterval="1 day"), "should match"),
    ("a page of nothing", changed(connection(), "spec.api.pageSize", 0), "greater than or equal to 1"),
    ("a vendor that is not known", changed(connection(), "spec.api.provider", "Acme"), "Unsupported value"),
    ("limits of an entity that is none", connection(limits={"entities": {"pupils": {"deactivate": {"percent": 5, "floor": 5}}}}), "limits.entities names entities as the standard does"),
    ("half a limit of an entity", connection(limits={"entities": {"users": {"deactivate": {"percent": 5}}}}), "floor: Required value"),
    ("a sync's limits of an entity that is none", sync(limits={"entities": {"pupils": {}}}), "limits.entities names entities as the standard does"),
    ("a window of a year", connection(limits={"windowDays": 365}), "less than or equal to 60"),
    ("a limit of 101 per cent", connection(limits={"deactivate": {"percent": 101}}), "less than or equal to 100"),
    ("a sync of nothing", changed(sync(), "spec.connectionRef", None), "connectionRef: Required value"),
    ("a mode that is none", sync(mode="Everything"), "Unsupported value"),
    ("an upload that is no digest", sync(source={"upload": "roster.zip"}), "should match"),
    ("an undo of nothing", sync(mode="Undo"), "undoes names the sync that is undone"),
    ("a full pull that undoes", sync(undoes="wrong"), "undoes names the sync that is undone"),
    ("a delta with conflicts", sync(mode="Delta", undoConflicts="Leave"), "undoConflicts is for mode Undo only"),
    ("an undo from a file", sync(mode="Undo", undoes="wrong", source={"upload": DIGEST}), "an undo reads no source"),
    ("an undo with a way of its own", sync(mode="Undo", undoes="wrong", undoConflicts="Merge"), "Unsupported value"),
    ("a digest that was cut", sync(approvedPlan=DIGEST[:20]), "should match"),
    ("a no without a reason", sync(rejected={}), "reason: Required value"),
    ("a no with an empty reason", sync(rejected={"reason": ""}), "should be at least 1"),
    ("a misspelt approval", sync(aproved=True), 'unknown field "spec.aproved"'),
]  # fmt: skip

IMMUTABLE = [
    ("the tenant", connection(tenant="a"), "spec.tenant", "b", "tenant is immutable"),
    ("a tenant added later", connection(), "spec.tenant", "a", "tenant is immutable"),
    ("a tenant taken away", connection(tenant="a"), "spec.tenant", None, "tenant is immutable"),
    ("a sync's connection", sync(), "spec.connectionRef.name", "shelbyville", "connectionRef is immutable"),
    ("what an undo undoes", sync(mode="Undo", undoes="wrong"), "spec.undoes", "right", "undoes is immutable"),
    ("how an undo treats conflicts", sync(mode="Undo", undoes="wrong"), "spec.undoConflicts", "Overwrite", "undoConflicts is immutable"),
    ("limits added later", sync(), "spec.limits", {"deactivate": {"percent": 99}}, "limits is immutable"),
    ("a sync's limits", sync(limits={"deactivate": {"percent": 9}}), "spec.limits.deactivate.percent", 90, "limits is immutable"),
]  # fmt: skip

MUTABLE = [
    ("approved", sync(), "spec.approved", True),
    ("approved taken back", sync(approved=True), "spec.approved", False),
    ("approvedPlan", sync(), "spec.approvedPlan", DIGEST),
    ("rejected", sync(), "spec.rejected", {"reason": "wrong year"}),
    ("a connection's endpoint", connection(), "spec.api.endpoint", "https://other.example.org"),
    ("a connection's limits", connection(), "spec.limits", {"deactivate": {"percent": 1}}),
]


def _ids(table: list[Any]) -> list[str]:
    return [row[0] for row in table]


def create(server: ApiServer, namespace: str, manifest: Manifest) -> str:
    """Create strictly; what the server says against it."""
    arguments = ("create", "-n", namespace, "--validate=strict", "-f", "-")
    return server.kubectl(*arguments, given=yaml.safe_dump(manifest), check=False).stderr


def replace(server: ApiServer, namespace: str, manifest: Manifest) -> str:
    """Replace; what the server says against it."""
    return server.kubectl("replace", "-n", namespace, "-f", "-", given=yaml.safe_dump(manifest), check=False).stderr


@pytest.mark.parametrize("manifest", [row[1] for row in ACCEPTED], ids=_ids(ACCEPTED))
def test_accepted(apiserver: ApiServer, namespace: str, manifest: Manifest) -> None:
    assert create(apiserver, namespace, manifest) == ""


@pytest.mark.parametrize(("manifest", "message"), [row[1:] for row in REFUSED], ids=_ids(REFUSED))
def test_refused(apiserver: ApiServer, namespace: str, manifest: Manifest, message: str) -> None:
    assert message in create(apiserver, namespace, manifest)


@pytest.mark.parametrize(("manifest", "path", "value", "message"), [row[1:] for row in IMMUTABLE], ids=_ids(IMMUTABLE))
def test_immutable(
    apiserver: ApiServer, namespace: str, manifest: Manifest, path: str, value: Any, message: str
) -> None:
    assert create(apiserver, namespace, manifest) == ""
    assert message in replace(apiserver, namespace, changed(manifest, path, value))


@pytest.mark.parametrize(("manifest", "path", "value"), [row[1:] for row in MUTABLE], ids=_ids(MUTABLE))
def test_mutable(apiserver: ApiServer, namespace: str, manifest: Manifest, path: str, value: Any) -> None:
    assert create(apiserver, namespace, manifest) == ""
    assert replace(apiserver, namespace, changed(manifest, path, value)) == ""


def test_defaults_are_filled_in_by_the_server(apiserver: ApiServer, namespace: str) -> None:
    create(apiserver, namespace, connection())
    create(apiserver, namespace, sync())
    spec = (apiserver.read("rconn", "springfield", namespace) or {})["spec"]
    assert spec["testInterval"] == "24h"
    assert spec["limits"]["deactivate"] == {"percent": 10, "floor": 20}
    assert spec["limits"]["inUse"] == 0
    assert spec["scope"]["terms"] == "All"
    assert spec["retention"] == {"removeAfterDays": 120, "historyDays": 400}
    assert spec["api"]["auth"]["secretRef"]["clientIDKey"] == "client-id"
    assert (apiserver.read("rsync", "first", namespace) or {})["spec"]["mode"] == "Full"


def merging(digest: str = DIGEST) -> Manifest:
    moment = "2026-11-24T12:00:00Z"
    return {
        "phase": "Merging",
        "plan": {"digest": digest},
        "approval": {"digest": digest, "at": moment, "via": "approved"},
    }


STATUS = [
    ("a merged sync stays merged", {"phase": "Merged"}, {"phase": "Staging"}, "a final phase never changes"),
    ("a failed sync stays failed", {"phase": "Failed"}, {"phase": "Pending"}, "a final phase never changes"),
    ("a rejected sync stays rejected", {"phase": "Rejected"}, merging(), "a final phase never changes"),
    ("a final phase cannot be taken away", {"phase": "Merged"}, {"phase": None}, "a final phase never changes"),
    ("an unapproved plan is not merged", {"phase": "AwaitingApproval", "plan": {"digest": DIGEST}}, {"phase": "Merging"}, "only the plan that was approved"),
    ("another plan is not merged", {"phase": "AwaitingApproval"}, merging() | {"plan": {"digest": OTHER}}, "only the plan that was approved"),
    ("what is merging is not rejected", merging(), {"phase": "Rejected"}, "ends as Merged or Failed"),
    ("what is merging does not wait for the same plan", merging(), {"phase": "AwaitingApproval"}, "ends as Merged or Failed"),
    ("what is merging keeps its approval", merging(), {"plan": {"digest": OTHER}, "approval": {"digest": OTHER}}, "does not change while"),
    ("a control code in a message", {"phase": "Failed"}, {"failure": {"reason": "X", "message": "a\u001b[2J"}}, "should match"),
    ("what is merging may wait for a new plan", merging(), {"phase": "AwaitingApproval", "plan": {"digest": OTHER}}, ""),
    ("what is merging may be beyond limits now", merging(), {"phase": "Blocked", "plan": {"digest": OTHER}}, ""),
    ("what is merging is merged", merging(), {"phase": "Merged"}, ""),
    ("a merged sync's status may still be written", {"phase": "Merged"}, {"dataVersion": 7}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "message"), [row[1:] for row in STATUS], ids=_ids(STATUS))
def test_the_rules_on_a_syncs_status(
    apiserver: ApiServer, namespace: str, before: Manifest, after: Manifest, message: str
) -> None:
    create(apiserver, namespace, sync())
    assert _write_status(apiserver, namespace, before) == ""
    said = _write_status(apiserver, namespace, after)
    assert message in said if message else said == ""


def _write_status(server: ApiServer, namespace: str, status: Manifest) -> str:
    arguments = ("patch", "rsync", "first", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    return server.kubectl(*arguments, json.dumps({"status": status}), check=False).stderr


def test_a_status_taken_away_whole_does_not_free_a_final_phase(apiserver: ApiServer, namespace: str) -> None:
    create(apiserver, namespace, sync())
    _write_status(apiserver, namespace, {"phase": "Merged"})
    arguments = ("patch", "rsync", "first", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    said = apiserver.kubectl(*arguments, '{"status": null}', check=False).stderr
    assert "a final phase never changes" in said


def test_what_people_see(apiserver: ApiServer, namespace: str) -> None:
    create(apiserver, namespace, connection())
    create(apiserver, namespace, sync())
    _write_status(
        apiserver, namespace,
        {"phase": "Blocked", "plan": {"digest": DIGEST, "shortDigest": DIGEST[:15], "totals": {"create": 120, "deactivate": 1760}}},
    )  # fmt: skip
    lines = apiserver.kubectl("get", "rsync", "-n", namespace).stdout.splitlines()
    assert lines[0].split() == [
        "NAME", "CONNECTION", "MODE", "PHASE", "CREATE", "UPDATE", "REMOVE", "INVALID", "DIGEST", "AGE",
    ]  # fmt: skip
    assert "Blocked" in lines[1]
    assert "1760" in lines[1]
    assert DIGEST[:15] in lines[1]
    assert DIGEST not in lines[1]
    heads = apiserver.kubectl("get", "rconn", "-n", namespace).stdout.splitlines()[0]
    assert heads.split("  ")[0] == "NAME"
    everything = apiserver.kubectl("get", "roster", "-n", namespace).stdout
    assert "rosterconnection" in everything
    assert "rostersync" in everything


@pytest.mark.parametrize(
    ("kind", "selector", "found"),
    [
        ("rsync", "spec.connectionRef.name=springfield", 1),
        ("rsync", "spec.connectionRef.name=shelbyville", 0),
        ("rsync", "status.phase=Blocked", 1),
        ("rconn", "spec.tenant=a", 1),
        ("rconn", "spec.tenant=b", 0),
    ],
)
def test_selectable_fields(apiserver: ApiServer, namespace: str, kind: str, selector: str, found: int) -> None:
    create(apiserver, namespace, connection(tenant="a"))
    create(apiserver, namespace, sync())
    _write_status(apiserver, namespace, {"phase": "Blocked"})
    names = apiserver.kubectl("get", kind, "-n", namespace, "--field-selector", selector, "-o", "name").stdout
    assert len(names.split()) == found


def test_explain_tells_what_a_field_is_for(apiserver: ApiServer) -> None:
    said = apiserver.kubectl("explain", "rosterconnection.spec.api.endpoint").stdout
    assert "OneRoster base path" in said
