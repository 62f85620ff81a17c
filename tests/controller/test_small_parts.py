"""Settings, conditions, patches, the view, places for Jobs, probes, metrics, Events: each by itself."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.values import NOW, A, connection_body, hit, metadata, ready, stamp

from roster_operator.api.sync import Phase, RosterSyncStatus
from roster_operator.api.task import Step
from roster_operator.controller.client import ApiError
from roster_operator.controller.conditions import Wanted, plain, settle
from roster_operator.controller.metrics import MAX_REASONS, MAX_WAITING, Metrics
from roster_operator.controller.probes import Health
from roster_operator.controller.queue import Key
from roster_operator.controller.settings import Settings, SettingsError, load
from roster_operator.controller.slots import Slots
from roster_operator.controller.view import View
from roster_operator.controller.writes import status_patch

Body = dict[str, Any]


# Settings


def test_an_argument_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {
        "ROSTER_IMAGE": "a",
        "ROSTER_MAX_JOBS": "7",
        "ROSTER_WATCH_NAMESPACES": "k12, k13",
        "ROSTER_WORKERS": "",
    }
    settings = load(["--max-jobs", "9", "--allow-insecure", "true"], environment)
    assert (settings.image, settings.max_jobs, settings.workers) == ("a", 9, Settings().workers)
    assert settings.watch_namespaces == ["k12", "k13"]
    assert settings.policy.allow_insecure is True


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({}, "image"),
        ({"ROSTER_MAX_JOBS": "many"}, "max_jobs"),
        ({"ROSTER_MAX_JOBS": "0"}, "max_jobs"),
        ({"ROSTER_ALLOW_INSECURE": "perhaps"}, "allow_insecure"),
        ({"ROSTER_ALLOW_ADDRESSES": "10.0.0.0/33"}, "allow_addresses"),
        ({"ROSTER_LOG_LEVEL": "DEBUG"}, "log_level"),
        ({"ROSTER_LEASE_RETRY": "60"}, "lease_retry"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(environment: dict[str, str], word: str) -> None:
    image = {"ROSTER_IMAGE": "a"} if environment else {}
    with pytest.raises(SettingsError, match=word):
        load([], image | environment)


# Conditions


def test_a_conditions_time_changes_only_with_its_status() -> None:
    before = settle([], [Wanted("Ready", True, "Tested")], NOW, 1)
    later = NOW + timedelta(hours=1)
    same = settle(before, [Wanted("Ready", True, "Again", "text")], later, 2)
    assert (same[0].last_transition_time, same[0].reason, same[0].observed_generation) == (NOW, "Again", 2)
    assert settle(same, [Wanted("Ready", None, "Testing")], later, 2)[0].last_transition_time == later


@given(st.text(max_size=3000))
def test_any_text_becomes_one_short_plain_line(text: str) -> None:
    found = plain(text)
    assert len(found) <= 1024
    assert all(" " <= character <= "~" for character in found)


# Patches


def status(**fields: Any) -> RosterSyncStatus:
    return RosterSyncStatus.from_dict(fields)


def test_a_status_that_does_not_change_is_not_written() -> None:
    stored = {"phase": "Pending", "observedGeneration": 1, "times": {"started": "2026-11-24T12:00:00.000Z"}}
    one = RosterSyncStatus.from_dict(stored)
    first = status_patch(stored, one, one)
    assert "phase" not in first
    assert "times" not in first
    complete = one.to_dict()
    assert status_patch(complete, one, one) == {}


def test_only_what_changed_is_written_and_what_went_is_taken_away() -> None:
    before = status(phase="Pending", tenant="a", failure={"reason": "X", "message": "y"})
    after = before.model_copy(update={"phase": Phase.STAGING, "failure": None})
    assert status_patch(before.to_dict(), before, after) == {"phase": "Staging", "failure": None}


def test_an_entity_that_is_no_longer_in_the_plan_is_taken_away() -> None:
    before = status(plan={"digest": A, "entities": {"users": {"create": 1}, "classes": {"create": 2}}})
    after = status(plan={"digest": A, "entities": {"users": {"create": 1}}})
    assert status_patch(before.to_dict(), before, after) == {"plan": {"entities": {"classes": None}}}


def test_a_field_of_a_newer_version_stays() -> None:
    stored = status(phase="Pending").to_dict() | {"mood": "good", "times": {"dreamt": "2026-11-24T12:00:00Z"}}
    before = RosterSyncStatus.from_dict(stored)
    patch = status_patch(stored, before, before.model_copy(update={"phase": Phase.STAGING}))
    assert patch == {"phase": "Staging"}


def test_the_phase_of_a_new_object_is_written_though_it_is_the_default() -> None:
    assert status_patch({}, status(), status())["phase"] == "Pending"


# The view, and places for Jobs


def sync_body(name: str = "first", phase: str = "Pending", **fields: Any) -> Body:
    version = f"1-{phase}"  # each phase was written anew
    return {
        "metadata": metadata(name, resourceVersion=version),
        "spec": {"connectionRef": {"name": "springfield"}},
        "status": {"phase": phase} | fields,
    }


def job_body(name: str, *, finished: bool = False, step: str = "stage") -> Body:
    owner = {"controller": True, "kind": "RosterSync", "name": "first"}
    conditions = (
        [{"type": "Complete", "status": "True", "reason": "", "lastTransitionTime": stamp()}] if finished else []
    )
    meta = metadata(name, ownerReferences=[owner], labels={"roster-operator.io/step": step})
    return {"metadata": meta, "status": {"conditions": conditions}}


SYNC, CONNECTION = Key("RosterSync", "k12", "first"), Key("RosterConnection", "k12", "springfield")


def test_a_connection_that_becomes_ready_wakes_the_syncs_that_wait_for_it() -> None:
    view = View()
    view.sync_seen(sync_body())
    assert view.connection_seen(connection_body(status=ready())) == {CONNECTION, SYNC}
    assert view.connection_seen(connection_body(status=ready())) == set()


def test_a_connection_that_is_edited_wakes_what_waits_for_a_person() -> None:
    view = View()
    view.connection_seen(connection_body(status=ready()))
    view.sync_seen(sync_body(phase="AwaitingApproval"))
    assert SYNC not in view.connection_seen(connection_body(status=ready(status="False")))
    edited = connection_body(status=ready())
    edited["metadata"]["generation"] = 2
    assert SYNC in view.connection_seen(edited), "a pause may have ended, or approvedPlan been set"


def test_what_waits_for_a_person_is_looked_at_when_it_changes_and_what_is_busy_whenever_it_is_listed() -> None:
    view = View()
    waiting = sync_body(phase="AwaitingApproval")
    assert SYNC in view.sync_seen(waiting)
    assert view.sync_seen(waiting) == set()
    waiting["metadata"]["resourceVersion"] = "2"
    assert view.sync_seen(waiting) == {SYNC}
    view.sync_seen(sync_body(phase="Merging"))
    assert view.sync_seen(sync_body(phase="Merging")) == {SYNC}


def test_a_sync_that_changes_tells_its_connection_and_one_that_has_ended_wakes_nobody() -> None:
    view = View()
    assert view.sync_seen(sync_body()) == {SYNC, CONNECTION}
    assert view.sync_seen(sync_body()) == {SYNC}
    assert view.sync_seen(sync_body(phase="Merged")) == {CONNECTION}
    assert view.sync_seen(sync_body(phase="Merged")) == set()
    assert view.sync_seen(sync_body(phase="Merged"), deleted=True) == {CONNECTION}
    assert view.syncs_of(("k12", "springfield")) == []


def test_a_job_wakes_its_owner() -> None:
    assert View().job_seen(job_body("j")) == {SYNC}


def test_what_a_full_list_no_longer_shows_is_forgotten() -> None:
    view = View()
    view.sync_seen(sync_body())
    view.connection_seen(connection_body())
    view.job_seen(job_body("j"))
    view.forget_all_but(set(), set(), set())
    assert [view.connections, view.syncs, view.jobs, view.syncs_of(("k12", "springfield"))] == [{}, {}, {}, []]


def test_a_status_that_cannot_be_read_does_not_stop_the_watch() -> None:
    view = View()
    assert SYNC in view.sync_seen(sync_body(phase="Dreaming"))


def test_places_are_kept_for_syncs_and_more_for_what_ends_them() -> None:
    view = View()
    slots = Slots(view, 4)
    assert slots.free(Step.TEST)
    slots.take(("k12", "a"))
    slots.take(("k12", "b"))
    assert not slots.free(Step.TEST)
    assert slots.free(Step.STAGE)
    for name in "abcd":  # the watch shows them: they are not counted twice
        view.job_seen(job_body(name))
    assert not slots.free(Step.STAGE)
    assert slots.free(Step.MERGE)
    view.job_seen(job_body("e"))
    assert not slots.free(Step.DISCARD)
    view.job_seen(job_body("a", finished=True))
    view.job_seen(job_body("b"), deleted=True)
    assert slots.free(Step.STAGE)


# Probes


def test_a_process_that_stands_still_is_not_healthy() -> None:
    health = Health()
    assert health.healthy() == []
    health.loop_beat = time.monotonic() - 60
    assert "event loop" in health.healthy()[0]


def test_a_standby_is_ready_and_a_leader_only_after_its_first_list() -> None:
    health = Health()
    assert health.ready()
    health.found_definitions = True
    assert health.ready() == []
    health.leading = True
    assert health.ready()
    health.listed = True
    assert health.ready() == []


# Metrics


def test_figures_of_resources_are_counted_when_asked_for() -> None:
    view = View()
    metrics = Metrics(view)
    moments = dict.fromkeys(
        ("lastMergedTime", "nextSync", "databaseRewoundTime", "certificateExpires", "credentialsExpire"), stamp()
    )
    view.connection_seen(connection_body(status=ready() | moments))
    waits = {
        "type": "Approved",
        "status": "False",
        "reason": "WaitingForApproval",
        "lastTransitionTime": stamp(hours=1),
    }
    plan = {"digest": A, "limits": [hit()]}
    view.sync_seen(sync_body(phase="AwaitingApproval", conditions=[waits], plan=plan))
    text = metrics.render().decode()
    for line in (
        'roster_connections{ready="True"} 1.0',
        'roster_connection_ready{name="springfield",namespace="k12"} 1.0',
        'roster_syncs{phase="AwaitingApproval",reason="WaitingForApproval"} 1.0',
        'roster_sync_waiting_seconds{name="first",namespace="k12",phase="AwaitingApproval"}',
        'roster_connection_last_merge_timestamp_seconds{name="springfield",namespace="k12"}',
        'roster_connection_next_sync_timestamp_seconds{name="springfield",namespace="k12"}',
        'roster_connection_certificate_expires_timestamp_seconds{name="springfield",namespace="k12"}',
        'roster_connection_credentials_expire_timestamp_seconds{name="springfield",namespace="k12"}',
        'roster_watch_silent_seconds{resource="rostersyncs"} 0.0',
        'roster_connection_database_rewound{name="springfield",namespace="k12"} 1.0',
    ):
        assert line in text


def test_what_is_blocked_is_not_hidden_behind_what_waits_longer() -> None:
    view = View()
    for number in range(MAX_WAITING + 10):
        staged = {"staged": stamp(hours=9)}
        view.sync_seen(sync_body(f"waits-{number}", phase="AwaitingApproval", times=staged))
    view.sync_seen(sync_body("blocked", phase="Blocked", times={"staged": stamp(hours=1)}))
    text = Metrics(view).render().decode()
    assert text.count("roster_sync_waiting_seconds{") == MAX_WAITING + 1
    assert 'name="blocked",namespace="k12",phase="Blocked"' in text


def test_reasons_that_workers_make_up_do_not_make_up_metrics_without_end() -> None:
    metrics = Metrics(View())
    for number in range(1000):
        metrics.count_failure(f"Reason{number}")
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith("roster_syncs_failed_total")]
    assert len(lines) <= MAX_REASONS + 1
    assert any('reason="Other"' in line for line in lines)


# The API's no


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (ApiError(403, "Forbidden", "being terminated", ("NamespaceTerminating",)), True),
        (ApiError(404, "NotFound", 'namespaces "k12" not found'), True),
        (ApiError(403, "Forbidden", "exceeded quota"), False),
        (ApiError(404, "NotFound", "jobs.batch not found"), False),
    ],
)
def test_a_namespace_that_ends_is_told_from_other_refusals(error: ApiError, ends: bool) -> None:
    assert error.namespace_ends is ends
