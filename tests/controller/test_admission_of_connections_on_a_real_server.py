"""Who may say where a Secret is sent, what is taken, and what is merged without a person."""

# ruff: noqa: E501  a table is read by its columns

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.admission_world import (
    BY,
    A,
    Place,
    connection,
    fresh,
    merged,
    signed,
)
from tests.support.admission import Body

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.limits import Limits
from roster_operator.api.model import Model
from roster_operator.api.sources import ApiSource
from roster_operator.api.sync import RosterSyncSpec

pytestmark = pytest.mark.apiserver


def test_who_names_a_secret_must_be_able_to_get_it(place: Place) -> None:
    said = place.editor.create("rosterconnections", connection(fresh("c"))).message
    assert "must be able to get it: sis" in said
    for person in (place.deployer, place.boss):
        assert person.create("rosterconnections", connection(fresh("c"))).code == 201


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"databaseSecretRef": {"name": "db"}}, "sis, db"),
        ({"notify": {"webhook": {"url": "https://h.example.org", "secretRef": {"name": "hook"}}}}, "sis, hook"),
        ({"api": None, "csv": {"sftp": {"host": "h", "path": "/p", "hostKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1"], "secretRef": {"name": "box"}}}}, "it: box"),
    ],
    ids=["database", "webhook", "sftp"],
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
    ("notify", {"notify": {"email": ["it@example.org"]}}),
    ("notify", {"notify": {"webhook": {"url": "https://hooks.example.org", "secretRef": {"name": "sis"}}}}),
    ("jobTemplate", {"jobTemplate": {"nodeSelector": {"pool": "batch"}}}),
]
APPROVING = [
    ("limits", {"limits": {"deactivate": {"percent": 99}}}),
    ("automaticSync", {"automaticSync": {"schedule": "@daily", "approval": "WithinLimits"}}),
    ("approvedPlan", {"approvedPlan": A}),
    ("deletionPolicy", {"deletionPolicy": "Purge"}),
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
FREE_IN_SYNC = {
    "connectionRef",
    "mode",
    "source",
    "stagedFor",
    "ttlAfterFinished",
    "ignorePause",
    "undoes",
    "undoConflicts",
}


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


def test_the_stamp_says_who_approved_on_a_connection(stamped: Place) -> None:
    name = merged(stamped)
    assert signed(stamped.boss.patch("rosterconnections", name, {"spec": {"approvedPlan": A}})) == "boss"
    other = {"metadata": {"annotations": {BY: "ed"}}, "spec": {"testInterval": "12h"}}
    assert signed(stamped.editor.patch("rosterconnections", name, other)) == "boss"
    assert signed(stamped.boss.patch("rosterconnections", name, {"spec": {"approvedPlan": None}})) is None


def test_a_foreign_name_on_a_connection(stamped: Place, plain: Place) -> None:
    forged = {"metadata": {"annotations": {BY: "otto"}}}
    assert signed(stamped.boss.patch("rosterconnections", merged(stamped), forged)) is None
    assert "must be your own user name" in plain.boss.patch("rosterconnections", merged(plain), forged).message


def test_limits_that_are_the_defaults_are_nobodys_decision(stamped: Place) -> None:
    same, name = Limits().to_dict(), fresh("c")
    assert len(same) > 1
    assert stamped.deployer.create("rosterconnections", connection(name, limits=same)).code == 201
    assert stamped.deployer.create("rosterconnections", connection(fresh("c"), limits={})).code == 201
    for limit, value in same.items():
        alone = {"limits": {limit: value}}
        assert stamped.deployer.create("rosterconnections", connection(fresh("c"), **alone)).code == 201
        gone = stamped.deployer.patch("rosterconnections", name, {"spec": {"limits": {limit: None}}})
        assert gone.code == 200, (limit, gone.body)


# Those that are not a share and a floor, or a number.
WIDE: Body = {
    "perSchool": {"deactivate": {"percent": 99, "floor": 5}},
    "entities": {"users": {"deactivate": {"percent": 99, "floor": 5}}},
    "onExceed": "HoldRemovals",
}


def wider(limit: str) -> Any:
    """A value that is not the default."""
    if limit in WIDE:
        return WIDE[limit]
    default = Limits().to_dict()[limit]
    return default | {"percent": 99} if isinstance(default, dict) else default + 1


@pytest.mark.parametrize("limit", [field.alias or name for name, field in Limits.model_fields.items()])
def test_every_limit_needs_the_verb_when_it_is_set_changed_or_taken_back(stamped: Place, limit: str) -> None:
    wide = {limit: wider(limit)}
    name = fresh("c")
    assert "limits decide" in stamped.deployer.create("rosterconnections", connection(name, limits=wide)).message
    assert stamped.boss.create("rosterconnections", connection(name, limits=wide)).code == 201
    back = {"spec": {"limits": {limit: None}}}
    assert "limits decide" in stamped.deployer.patch("rosterconnections", name, back).message
    assert stamped.boss.patch("rosterconnections", name, back).code == 200
    again = {"spec": {"limits": wide}}
    assert "limits decide" in stamped.deployer.patch("rosterconnections", name, again).message


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
