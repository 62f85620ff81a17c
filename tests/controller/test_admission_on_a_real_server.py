"""Who may approve, and who did: the chart's policies and roles on a real API server, met by different people."""

from __future__ import annotations

import pytest
from tests.controller.admission_world import (
    BY,
    A,
    B,
    Place,
    World,
    fresh,
    merged,
    signed,
    sync,
    there,
)
from tests.support import admission
from tests.support.admission import Answer, Body, Person

from roster_operator.api.kinds import SCHEDULED_AT

pytestmark = pytest.mark.apiserver


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
    assert place.operator.create("rostersyncs", body).code == 201
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
    assert "must be your own user name" in person.patch("rostersyncs", there(plain), forged).message
    if who == "boss":
        assert (
            "must be your own user name"
            in person.create("rostersyncs", sync(fresh(), by="otto", approved=True)).message
        )


@pytest.mark.parametrize("who", ["editor", "other"])
def test_without_the_stamp_nobody_signs_a_decision_of_somebody_else(plain: Place, who: str) -> None:
    """Not even with a true name: before, when it is not made yet, or after, when it came without one."""
    person: Person = getattr(plain, who)
    mine = {"metadata": {"annotations": {BY: person.name}}}
    name = there(plain)
    assert "must be your own user name" in person.patch("rostersyncs", name, mine).message
    plain.approver.patch("rostersyncs", name, {"spec": {"approved": True}})
    assert "must be your own user name" in person.patch("rostersyncs", name, mine).message


def test_without_the_stamp_an_old_name_does_not_sign_a_new_decision(plain: Place) -> None:
    name = there(plain)
    plain.approver.patch("rostersyncs", name, {"metadata": {"annotations": {BY: "anna"}}, "spec": {"approved": True}})
    assert plain.other.patch("rostersyncs", name, {"spec": {"approved": False}}).code == 200
    assert "must be your own user name" in plain.other.patch("rostersyncs", name, {"spec": {"approved": True}}).message
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
