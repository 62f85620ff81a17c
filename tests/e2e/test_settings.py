"""Settings of a connection and of a sync, each from YAML to the rows that it is about."""

from __future__ import annotations

import pytest
from tests.e2e.districts import USERS, District

pytestmark = pytest.mark.cluster


def test_a_delta_takes_what_changed_and_removes_what_is_marked(district: District) -> None:
    district.open()
    district.connect(retention={"removeAfterDays": 30, "historyDays": 90})
    district.merged()
    district.becomes("one-percent-marked")
    delta = district.sync("night", mode="Delta")
    plan = delta.until("AwaitingApproval")["status"]["plan"]
    users = plan["entities"]["users"]
    assert 0 < users["received"] < USERS / 2
    assert users["update"] > 0
    assert plan["removals"] == {"explained": plan["totals"]["deactivate"], "unexplained": 0} | {
        key: 0 for key in plan["removals"] if key not in ("explained", "unexplained")
    }
    assert plan["totals"]["deactivate"] > 0
    delta.patch(approved=True)
    delta.until("Merged")
    # Everything is as a full pull has it.
    full = district.sync("full")
    totals = full.until("AwaitingApproval")["status"]["plan"]["totals"]
    assert (totals["create"], totals["update"], totals["deactivate"]) == (0, 0, 0)
    kept = district.ground.database.rows(
        "select remove_after_days, history_days from roster.tenant where tenant = %s", district.tenant
    )
    assert kept == [(30, 90)]


def test_scope_omitted_fields_and_roles_reach_the_rows_and_narrowing_is_held(district: District) -> None:
    district.open()
    district.connect(
        scope={"roles": ["student", "teacher", "aide", "staff"]},
        fields={"omit": ["users.phone", "users.email", "demographics"]},
        roleMapping={"counselor": "aide"},
    )
    district.merged()
    rows = district.ground.database.rows
    users = "from roster.users where tenant = %s and status = 'active'"
    assert rows(f"select count(*) {users} and (phone is not null or email is not null)", district.tenant) == [(0,)]
    assert district.count("demographics") == 0
    roles = {role for (role,) in rows(f"select distinct role {users}", district.tenant)}
    assert {"student", "teacher"} <= roles <= {"student", "teacher", "aide"}

    # A narrower scope takes people away. They are no people who vanished, and a person has to look.
    before = district.count("users")
    district.connect(scope={"roles": ["teacher"]}, fields={"omit": ["users.phone", "users.email", "demographics"]})
    narrowed = district.sync("narrowed")
    plan = narrowed.until("Blocked")["status"]["plan"]
    assert plan["removals"]["unexplained"] == 0
    assert plan["removals"]["outOfScope"] == plan["totals"]["deactivate"] > 0
    assert {hit["limit"] for hit in plan["limits"]} == {"deactivate", "perSchool"}
    assert district.count("users") == before
    narrowed.patch(approvedPlan=plan["digest"])
    narrowed.until("Merged")
    assert {role for (role,) in rows(f"select distinct role {users}", district.tenant)} == {"teacher"}


def test_a_limit_on_ids_in_use_holds_a_single_removal(district: District) -> None:
    district.open()
    district.merged()
    database = district.ground.database
    for (sourced_id,) in database.rows("select sourced_id from roster.users where tenant = %s", district.tenant):
        database.rows(
            "insert into roster.reference_use (tenant, entity, sourced_id, purpose, registered_by)"
            " values (%s, 'users', %s, 'test plan', session_user) returning 1",
            district.tenant,
            sourced_id,
        )
    district.becomes("one-percent")
    held = district.sync("held")
    plan = held.until("Blocked")["status"]["plan"]
    assert [hit["limit"] for hit in plan["limits"]] == ["inUse"]
    assert "the application uses" in str(held.body["status"]["conditions"])
    # Of two equal plans the older one waits on, and this one has to go first.
    held.patch(rejected={"reason": "With other limits."})
    held.until("Rejected")
    allowed = district.sync("allowed", limits={"inUse": 1000})
    allowed.until("AwaitingApproval")
