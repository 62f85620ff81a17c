"""A district's rows go with its connection: all of them, nobody else's, once, and with a receipt."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from tests.store.fixtures import CLUSTER, NAMESPACE, Roster
from tests.store.staging import merge_orgs, stage_orgs
from tests.store.test_store_application import school_day
from tests.store.test_store_retention import traces

from roster_operator.store import runs
from roster_operator.store.database import connect
from roster_operator.store.erase import Receipt
from roster_operator.store.errors import StoreError
from roster_operator.store.merge import merge
from roster_operator.store.purge import purge

pytestmark = pytest.mark.store


def purged(roster: Roster, name: str = "springfield", uid: str = "uid-1") -> Receipt:
    with connect(roster.logins().merge_url) as conn:
        return purge(conn, CLUSTER, NAMESPACE, name, uid)


def claim(roster: Roster, name: str = "springfield") -> None:
    with connect(roster.logins().stage_url) as conn:
        runs.claim(conn, roster.key(), CLUSTER, NAMESPACE, name)


def receipts(roster: Roster) -> list[tuple[Any, ...]]:
    return roster.ask("select kind, rows, erased_by from roster.erasure where tenant = %s", roster.key())


def test_every_row_goes_and_only_this_districts(roster: Roster) -> None:
    for tenant in ("springfield", "shelbyville"):
        school_day(roster, tenant)
    claim(roster)
    merge_orgs(roster, {"o9": "North"})
    with roster.stager() as conn:
        stage_orgs(conn, {"o3": "waits"})
    others = roster.snapshot("shelbyville")
    done = purged(roster)
    assert done.rows["users"] == 6
    assert all(not rows for rows in roster.snapshot().values())
    assert roster.snapshot("shelbyville") == others
    assert roster.stage_tables() == []
    assert traces(roster, roster.key()) == ["erasure", "tenant"]
    assert receipts(roster) == [("purge", done.rows, f"RosterConnection {NAMESPACE}/springfield")]


def test_asked_twice_it_says_the_same_and_another_connection_begins_anew(roster: Roster) -> None:
    school_day(roster)
    claim(roster)
    first = purged(roster)
    assert purged(roster) == first
    assert len(receipts(roster)) == 1
    claim(roster, "another")
    merge_orgs(roster, {"o1": "North"})
    # A late pod of the purge before takes nothing of what has come since.
    assert purged(roster) == first
    assert roster.snapshot()["orgs"]
    with pytest.raises(StoreError) as told:
        purged(roster, uid="uid-2")
    assert told.value.reason == "TenantTaken"
    assert roster.snapshot()["orgs"]
    assert purged(roster, "another", "uid-2").rows["orgs"] == 1


def test_a_connection_that_never_had_the_district_purges_nothing(roster: Roster) -> None:
    school_day(roster)
    roster.ask(
        "update roster.tenant set claimed_at = null, claimed_by_name = null where tenant = %s returning 1", roster.key()
    )
    before = roster.snapshot()
    assert purged(roster).rows == {}
    assert roster.snapshot() == before


def test_what_was_staged_before_is_not_merged_after(roster: Roster) -> None:
    claim(roster)
    with roster.stager() as conn:
        name, plan = stage_orgs(conn, {"o1": "North"})
    purged(roster)
    with connect(roster.logins().merge_url) as conn, pytest.raises(StoreError) as told:
        merge(conn, name.run, plan.digest, {})
    assert told.value.reason == "NotStaged"
    assert all(not rows for rows in roster.snapshot().values())


def test_only_the_merge_login_may(roster: Roster) -> None:
    claim(roster)
    with roster.stager() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select * from roster.purge('c', 'n', 'x', 'u', 'b')")
