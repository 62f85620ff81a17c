"""Approving and rejecting from the page: only by who may, only what was on the screen."""

from __future__ import annotations

import pytest
from tests.console.conftest import Browser
from tests.console.fake_cluster import DIGEST, FakeCluster, blocked, connection, sync

PAGE = "/namespaces/k12/syncs/springfield-1"
OTHER = "sha256:" + "0" * 64


@pytest.fixture
async def approver(browser: Browser, cluster: FakeCluster) -> Browser:
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [sync()]}
    cluster.verbs = {"ada-token": {"approve rostersyncs", "patch rostersyncs"}}
    await browser.sign_in()
    return browser


async def test_the_digest_on_the_screen_is_what_is_approved_with_name_and_note(
    approver: Browser, cluster: FakeCluster
) -> None:
    text = (await approver.get(PAGE)).text
    assert f'name="digest" value="{DIGEST}"' in text
    answer = await approver.send(PAGE, f"{PAGE}/approve", digest=DIGEST, note="seen\nwith Böb")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?done=approved")
    (target, patch) = cluster.changed[0]
    assert target.endswith("/rostersyncs/springfield-1?fieldManager=roster-console&fieldValidation=Strict")
    assert patch == {
        "metadata": {
            "annotations": {
                "roster-operator.io/approved-by": "ada",
                "roster-operator.io/approval-note": "seen with B?b",
            }
        },
        "spec": {"approvedPlan": DIGEST},
    }


async def test_another_digest_than_the_one_that_waits_approves_nothing(approver: Browser, cluster: FakeCluster) -> None:
    answer = await approver.send(PAGE, f"{PAGE}/approve", digest=OTHER)
    assert answer.status_code == 409
    assert "PlanChanged" in answer.text
    assert f'href="{PAGE}"' in answer.text
    assert cluster.changed == []


async def test_beyond_limits_one_says_that_one_has_looked(approver: Browser, cluster: FakeCluster) -> None:
    cluster.objects["k12", "rostersyncs"] = [blocked()]
    assert (await approver.send(PAGE, f"{PAGE}/approve", digest=DIGEST)).status_code == 422
    assert cluster.changed == []
    assert (await approver.send(PAGE, f"{PAGE}/approve", digest=DIGEST, looked="yes")).status_code == 303
    assert len(cluster.changed) == 1


async def test_a_rejection_has_a_reason(approver: Browser, cluster: FakeCluster) -> None:
    for reason in ("", "  ", "x" * 513):
        assert (await approver.send(PAGE, f"{PAGE}/reject", reason=reason)).status_code == 422
    assert cluster.changed == []
    assert (await approver.send(PAGE, f"{PAGE}/reject", reason="too many")).status_code == 303
    assert cluster.changed[0][1] == {"spec": {"rejected": {"reason": "too many"}}}


@pytest.mark.parametrize("verbs", [set(), {"patch rostersyncs"}])
async def test_without_the_verb_there_is_neither_a_button_nor_a_way(
    approver: Browser, cluster: FakeCluster, verbs: set[str]
) -> None:
    cluster.verbs = {"ada-token": verbs}
    text = (await approver.get(PAGE)).text
    assert "/approve" not in text
    assert "You may look, and not decide" in text
    for what, form in (("approve", {"digest": DIGEST}), ("reject", {"reason": "no"})):
        answer = await approver.send(PAGE, f"{PAGE}/{what}", **form)
        assert answer.status_code == 403
        assert "right to approve" in answer.text
    assert cluster.changed == []


@pytest.mark.parametrize("decided", ["approved", "rejected", "merged"])
async def test_what_is_decided_is_not_decided_again(approver: Browser, cluster: FakeCluster, decided: str) -> None:
    body = sync(phase="Merged" if decided == "merged" else "AwaitingApproval")
    if decided == "approved":
        body["spec"]["approvedPlan"] = DIGEST
    elif decided == "rejected":
        body["spec"]["rejected"] = {"reason": "no"}
    cluster.objects["k12", "rostersyncs"] = [body]
    assert "/approve" not in (await approver.get(PAGE)).text
    for what, form in (("approve", {"digest": DIGEST}), ("reject", {"reason": "no"})):
        assert (await approver.send(PAGE, f"{PAGE}/{what}", **form)).status_code == 409
    assert cluster.changed == []


@pytest.mark.parametrize("what", ["approve", "reject"])
async def test_a_decision_from_another_site_counts_for_nothing(
    approver: Browser, cluster: FakeCluster, what: str
) -> None:
    form = {"digest": DIGEST, "reason": "no", "looked": "yes"}
    assert (await approver.post(f"{PAGE}/{what}", form)).status_code == 403
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert (await approver.post(f"{PAGE}/{what}", form, elsewhere)).status_code == 403
    assert cluster.changed == []


async def test_without_a_login_to_the_database_counts_are_shown_and_lists_are_not(
    approver: Browser, cluster: FakeCluster
) -> None:
    cluster.verbs["ada-token"].add("viewrecords rosterconnections")
    assert "/changes" not in (await approver.get(PAGE)).text
    answer = await approver.get(f"{PAGE}/changes")
    assert answer.status_code == 404
    assert "NoDatabase" in answer.text
