"""A contract ends: the district's rows go with its connection, and a receipt stays. Another district is not touched."""

from __future__ import annotations

import pytest
from deploy.demo.shell import kubectl
from tests.e2e.districts import USERS, District
from tests.e2e.watching import until

pytestmark = pytest.mark.cluster


def test_a_purge_takes_the_rows_with_the_connection_and_leaves_a_receipt(district: District) -> None:
    database = district.ground.database
    district.open()
    district.connect(deletionPolicy="Purge")
    district.merged()
    district.becomes("lost-a-fifth")
    waits = district.sync("waits")
    waits.until("Blocked")
    assert waits.staged_tables() > 0
    assert district.count("users") == USERS
    others = "select tenant, count(*) from roster.users where tenant <> %s and tenant not like 'e2e-%%' group by 1"
    before = database.rows(others, district.tenant)
    held = district.connection()["metadata"]
    assert held["finalizers"] == ["roster-operator.io/purge"]

    # As Argo CD deletes: in the foreground, so that the garbage collector looks for what the connection owns.
    kubectl("-n", district.namespace, "delete", "rconn", "district", "--cascade=foreground", "--wait=false")
    until("the connection to go", lambda: not _there(district), district.tell, seconds=180)
    district.until_event("Purged", "RosterConnection", "district")
    (event,) = (one for one in district.events("RosterConnection", "district") if one["reason"] == "Purged")
    assert f"users {USERS}" in event["message"]
    receipt = database.rows(
        "select receipt::text, rows from roster.erasure where tenant = %s and kind = 'purge'", district.tenant
    )
    assert len(receipt) == 1
    assert receipt[0][0] in event["message"]
    assert receipt[0][1]["users"] == USERS
    tables = database.rows(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
        " where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r' and c.relname not in ('tenant', 'erasure')"
    )
    left = {t: database.value(f"select count(*) from roster.{t} where tenant = %s", district.tenant) for (t,) in tables}
    assert {table: count for table, count in left.items() if count} == {}
    assert waits.staged_tables() == 0
    assert database.rows(others, district.tenant) == before

    # What waited is approved all the same: there is nothing left of it to merge.
    waits.patch(approvedPlan=waits.digest)
    waits.until("Failed")
    assert district.count("users") == 0

    # The same district may come back, and begins with a first sync.
    district.connect(deletionPolicy="Retain")
    district.until_ready("True", "Tested")
    again = district.sync("again")
    again.until("AwaitingApproval", "Blocked")
    kubectl("-n", district.namespace, "delete", "rconn", "district", "--wait=true", "--timeout=60s")


def _there(district: District) -> bool:
    found = kubectl("-n", district.namespace, "get", "rconn", "district", "--ignore-not-found", "-o", "name")
    return bool(found.strip())
