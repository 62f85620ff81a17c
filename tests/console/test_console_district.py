"""One district's page: what is asked for there becomes exactly that change, or the YAML to commit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.console.conftest import Browser
from tests.console.fake_cluster import FakeCluster, blocked, connection, sync

from roster_operator.api.automatic import AutomaticSync
from roster_operator.console.district import every_of, new_name, schedule_of
from roster_operator.console.problems import Problem

PAGE = "/namespaces/k12/connections/springfield"
ON = {"every": "daily", "at": "03:30", "time_zone": "America/Chicago", "approval": "Manual"}


@pytest.fixture
async def editor(browser: Browser, cluster: FakeCluster) -> Browser:
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [sync(), blocked("b")]}
    cluster.verbs = {"ada-token": {"patch rosterconnections", "create rostersyncs"}}
    await browser.sign_in()
    return browser


async def test_automatic_syncing_is_switched_on_and_off(editor: Browser, cluster: FakeCluster) -> None:
    assert (await editor.send(PAGE, f"{PAGE}/automatic", **ON)).headers["location"] == f"{PAGE}?done=on"
    assert (await editor.send(PAGE, f"{PAGE}/automatic", off="yes")).headers["location"] == f"{PAGE}?done=off"
    schedule = {"schedule": "30 3 * * *", "timeZone": "America/Chicago", "approval": "Manual"}
    assert [patch for _, patch in cluster.changed] == [
        {"spec": {"automaticSync": schedule}},
        {"spec": {"automaticSync": None}},
    ]


@pytest.mark.parametrize(
    "mark",
    [{"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, {"labels": {"kustomize.toolkit.fluxcd.io/name": "x"}}],
)
async def test_where_git_owns_the_connection_it_prints_what_to_commit(
    editor: Browser, cluster: FakeCluster, mark: dict[str, Any]
) -> None:
    cluster.objects["k12", "rosterconnections"][0]["metadata"] |= mark
    answer = await editor.send(PAGE, f"{PAGE}/automatic", **ON)
    assert answer.status_code == 200
    assert "automaticSync:\n    schedule: 30 3 * * *\n    timeZone: America/Chicago" in answer.text
    assert "suspend: true" in (await editor.send(PAGE, f"{PAGE}/rest", suspend="yes")).text
    assert cluster.changed == []


async def test_a_test_is_asked_for_and_rest_is_set(editor: Browser, cluster: FakeCluster) -> None:
    await editor.send(PAGE, f"{PAGE}/test")
    await editor.send(PAGE, f"{PAGE}/rest", suspend="yes")
    await editor.send(PAGE, f"{PAGE}/rest", suspend="no")
    first, second, third = (patch for _, patch in cluster.changed)
    assert re.match(r"20\d\d-", first["metadata"]["annotations"]["roster-operator.io/test-requested-at"])
    assert second == {"spec": {"suspend": True}}
    assert third == {"spec": {"suspend": False}}


async def test_without_rights_there_are_no_buttons_and_no_ways(editor: Browser, cluster: FakeCluster) -> None:
    cluster.verbs = {}
    text = (await editor.get(PAGE)).text
    assert "/automatic" not in text
    assert "Sync now" not in text
    for what in ("automatic", "rest", "test"):
        assert (await editor.send(PAGE, f"{PAGE}/{what}", **ON)).status_code == 403
    assert cluster.changed == []


@pytest.mark.parametrize(
    ("form", "schedule"),
    [
        ({"every": "daily", "at": "3:05"}, "5 3 * * *"),
        ({"every": "weekdays", "at": "23:59"}, "59 23 * * 1-5"),
        ({"every": "weekly", "at": "00:00"}, "0 0 * * 1"),
        ({"every": "hourly"}, "@hourly"),
        ({"every": "custom", "cron": " 0  4 1 * * "}, "0 4 1 * *"),
    ],
)
def test_a_schedule_is_read_from_the_form_and_shown_in_it_again(form: dict[str, str], schedule: str) -> None:
    made = schedule_of(form)
    assert made["schedule"] == schedule
    again = every_of(AutomaticSync.from_dict(made))
    assert again["every"] == form["every"]
    assert schedule_of(again) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": "never"},
        {"at": "25:00"},
        {"at": ""},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"every": "custom", "cron": "0 4 * *"},
        {"every": "custom", "cron": "0 4 * * *; rm"},
        {"approval": "Everything"},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        schedule_of(ON | wrong)
    assert refused.value.status == 422


def test_a_syncs_name_is_a_name() -> None:
    for connection_name in ("a", "x" * 253, "long." * 20 + "z"):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", new_name(connection_name))
        assert len(new_name(connection_name)) <= 63
