"""Limits that hold and release: one school's losses, and removals that wait while the rest is merged."""

from __future__ import annotations

import pytest
from tests.e2e.districts import USERS, District
from tests.e2e.watching import condition

pytestmark = pytest.mark.cluster

# So lenient that only the limit under test can hold a fifth of the students.
LENIENT = {"percent": 100, "floor": 0}


def test_what_single_schools_lose_is_held_and_released_by_the_digest(district: District) -> None:
    district.open()
    district.connect(limits={"deactivate": LENIENT, "perSchool": {"deactivate": {"percent": 5, "floor": 1}}})
    district.merged()
    district.becomes("lost-a-fifth")
    sync = district.sync("second")
    blocked = sync.until("Blocked")
    plan = blocked["status"]["plan"]
    assert {hit["limit"] for hit in plan["limits"]} == {"perSchool"}
    assert plan["schoolsOverLimit"]["count"] >= 1
    assert plan["schoolsOverLimit"]["worstPercent"] > 5
    assert "of its" in condition(blocked, "WithinLimits")["message"]
    assert "ORG0" not in str(blocked["status"]), "which school it is stands in the database alone"
    query = "select plan -> 'profile' -> 'schools' from roster.sync_run where run = %s"
    schools = district.ground.database.value(query, sync.uid)
    assert all(each["school"].startswith("ORG") for each in schools)
    assert district.count("users") == USERS

    gone = plan["entities"]["users"]["deactivate"]
    sync.patch(approvedPlan=sync.digest)
    sync.until("Merged")
    assert district.count("users") == USERS - gone


def test_removals_wait_while_the_rest_is_merged_and_go_with_a_digest(district: District) -> None:
    district.open()
    district.connect(limits={"onExceed": "HoldRemovals"})
    district.merged()
    district.becomes("lost-a-fifth")
    second = district.sync("second")
    waiting = second.until("AwaitingApproval")
    plan = waiting["status"]["plan"]
    held = plan["entities"]["users"]["held"]
    assert held > 0
    assert plan["totals"]["deactivate"] == 0
    assert "deactivate" in {hit["limit"] for hit in plan["held"]}
    assert not plan.get("limits")
    told = condition(waiting, "WithinLimits")
    assert (told["status"], told["reason"]) == ("True", "RemovalsHeld")
    second.patch(approved=True)
    second.until("Merged")
    assert district.count("users") == USERS, "a removal that waits was merged"

    # The next sync plans them again. With limits of its own they wait for a person, and go with the digest.
    third = district.sync("third", limits={"onExceed": "Hold"})
    again = third.until("Blocked")
    assert again["status"]["plan"]["entities"]["users"]["deactivate"] == held
    third.patch(approvedPlan=third.digest)
    third.until("Merged")
    assert district.count("users") == USERS - held
