"""The parts of these tests that can be wrong by themselves. Needs no cluster."""

from __future__ import annotations

import pytest
from tests.e2e import expected
from tests.e2e.together import slug
from tests.e2e.watching import condition, is_true, told, told_events, until

from roster_sample_sis import generate


def test_a_wait_in_vain_tells_what_stood_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    looks = iter([None, False, [], {}, "found"])
    assert until("something", lambda: next(looks), lambda: "never asked") == "found"
    with pytest.raises(AssertionError, match=r"the moon: not within 0 s\.\nclouds"):
        until("the moon", lambda: None, lambda: "clouds", seconds=0)


def test_conditions_are_found_and_a_missing_one_is_neither_true_nor_false() -> None:
    body = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Tested"}]}}
    assert is_true(body, "Ready")
    assert condition(body, "Ready")["reason"] == "Tested"
    assert condition(body, "Failed")["status"] is None
    assert condition({}, "Ready")["status"] is None


def test_objects_and_events_are_told_without_their_metadata() -> None:
    body = {"kind": "RosterSync", "metadata": {"name": "a", "managedFields": ["x"]}, "status": {"phase": "Failed"}}
    assert "Failed" in told(body)
    assert "managedFields" not in told(body)
    event = {"type": "Warning", "reason": "Blocked", "message": "m", "involvedObject": {"kind": "K", "name": "n"}}
    assert "K/n: m" in told_events([event])
    assert told_events([]) == "(no events)"


def test_a_namespace_is_named_after_its_test_and_short_enough() -> None:
    assert slug("test_a_rejected_sync") == "a-rejected-sync"
    long = slug("test_" + "a_district_" * 20)
    assert len(f"e2e-{long}-abcd") <= 63
    assert not long.endswith("-")


def test_expected_rows_have_every_record_and_follow_references() -> None:
    district = generate(7, 60)
    users = expected.rows(district, "users")
    assert len(users) == 60
    assert {row[0] for row in users} == {user.sourced_id for user in district.users}
    enrollments = expected.rows(district, "enrollments")
    known = {row[0] for row in users}
    assert enrollments
    assert {row[1] for row in enrollments} <= known
    for entity in expected.FIELDS:
        assert expected.rows(district, entity)
        assert expected.query(entity).startswith("select sourced_id")


def test_values_compare_whether_they_come_from_json_or_from_the_database() -> None:
    assert expected.plain(True) == expected.plain("true") == "true"
    assert expected.plain(2027) == expected.plain("2027")
    assert expected.plain([]) is expected.plain(None) is expected.plain("") is None
    assert expected.plain(["a", "b"]) == ("a", "b")


def test_what_is_personal_is_not_met_by_chance() -> None:
    words = expected.personal(generate(7, 60))
    assert len(words) > 200
    assert all(len(word) > 5 for word in words)
