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
