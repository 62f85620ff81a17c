"""A merge that should not have been is taken back: reviewed like any plan, without the source, while all else rests."""

from __future__ import annotations

import pytest
from tests.e2e.districts import USERS, District
from tests.e2e.watching import condition

pytestmark = pytest.mark.cluster


def test_a_wrong_merge_is_undone_while_the_connection_is_suspended_and_its_source_is_away(district: District) -> None:
    district.open().merged()
    people = district.ground.database.rows(_PEOPLE, district.tenant)
    district.becomes("lost-a-fifth")
    wrong = district.sync("wrong")
    wrong.until("Blocked")
    wrong.patch(approvedPlan=wrong.digest)
    wrong.until("Merged")
    lost = USERS - district.count("users")
    assert lost > 0

    # The first that a person does; and the source's credentials are gone, too.
    district.connect(suspend=True)
    district.give_credentials(client_secret="gone")
    pages = district.pages_served()
    undo = district.sync("undo", mode="Undo", undoes="wrong")
    waits = undo.until("AwaitingApproval")
    assert waits["status"]["plan"]["entities"]["users"]["reactivate"] == lost
    assert condition(waits, "Valid")["reason"] == "Valid"
    (job,) = undo.jobs("stage")
    mounted = [volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"] if "secret" in volume]
    assert mounted == ["database"]
    assert district.count("users") == USERS - lost, "nothing is merged before somebody approves"
    undo.patch(approvedPlan=undo.digest)
    merged = undo.until("Merged")
    assert "wrong did is taken back" in condition(merged, "Complete")["message"]
    assert district.pages_served() == pages, "nobody asked the source"
    assert district.ground.database.rows(_PEOPLE, district.tenant) == people
    assert district.data_version() == 3
    assert undo.staged_tables() == 0

    # The source still says it: the next pull plans the same, and a person decides again.
    district.until_connection("undone", lambda body: "lastUndoneTime" in body.get("status", {}))
    district.give_credentials()
    district.connect(suspend=False)
    district.until_ready("True", "Tested")
    again = district.sync("again")
    blocked = again.until("Blocked")
    assert blocked["status"]["plan"]["entities"]["users"]["deactivate"] == lost
    assert again.digest == wrong.body["status"]["plan"]["digest"]


_PEOPLE = (
    "select to_jsonb(u) - '{raw_hash,last_changed}'::text[] from roster.users u"
    " where tenant = %s and status = 'active' order by sourced_id"
)
