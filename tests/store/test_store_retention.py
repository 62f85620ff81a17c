"""Retention, and erasing on demand: what goes, what stays, and what is left as proof."""

from __future__ import annotations

from io import BytesIO
from uuid import uuid4

import psycopg
import pytest
from tests.store.fixtures import Roster, run_name
from tests.store.staging import merge_orgs, stage_orgs
from tests.store.test_store_application import add, reading, school_day

from roster_operator.store import access, erase, manual, retention, runs, tenants, uploads
from roster_operator.store.errors import StoreError
from roster_operator.store.stage import Stage

pytestmark = pytest.mark.store


def reaped(roster: Roster, **more: int) -> retention.Reaped:
    (mine,) = [each for each in retention.reap(roster.database.owner_url, **more) if each.tenant == roster.key()]
    return mine


def traces(roster: Roster, text: str, tenant: str = "springfield") -> list[str]:
    """The tables of the schema in which a text stands, in any column of the tenant's rows."""
    tables = [
        name
        for (name,) in roster.ask(
            "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
            " where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r' order by 1"
        )
    ]
    return [
        name
        for name in tables
        if roster.one(
            f"select count(*) from roster.{name} t where tenant = %s and to_jsonb(t)::text like %s",
            roster.key(tenant), f"%{text}%",
        )
    ]  # fmt: skip


def test_what_was_deactivated_long_ago_goes_and_nothing_else(roster: Roster) -> None:
    merge_orgs(roster, {"o1": "North"})
    old = {"status": "inactive", "inactive_cause": "vanished"}
    add(roster, "orgs", sourced_id="long", name="x", type="school", inactive_since="2020-01-01", **old)
    add(roster, "orgs", sourced_id="hand", name="x", type="school", inactive_since="2020-01-01", source="Manual", **old)
    roster.ask("update roster.tenant set remove_after_days = 30 where tenant = %s returning 1", roster.key())
    for days, name in ((29, "young"), (31, "ripe")):
        add(roster, "orgs", sourced_id=name, name="x", type="school", **old)
        roster.ask(
            "update roster.orgs set inactive_since = now() - make_interval(days => %s) where tenant = %s and"
            " sourced_id = %s returning 1", days, roster.key(), name,
        )  # fmt: skip
    assert reaped(roster).rows == {"orgs": 2}
    assert set(roster.snapshot()["orgs"]) == {"o1", "hand", "young"}
    assert reaped(roster) == retention.Reaped(roster.key())


def test_history_goes_after_its_days_and_the_ledger_of_merges_stays(roster: Roster) -> None:
    merge_orgs(roster, {"o1": "North"})
    merge_orgs(roster, {"o1": "South"})
    roster.ask("update roster.sync_run set merged_at = now() - interval '401 days' where tenant = %s and data_version"
               " = 1 returning 1", roster.key())  # fmt: skip
    with roster.stager() as conn:
        runs.discard(conn, run_name(), "no")
    roster.ask("update roster.sync_run set ended_at = now() - interval '401 days' where tenant = %s and state ="
               " 'Discarded' returning 1", roster.key())  # fmt: skip
    done = reaped(roster)
    assert (done.history, done.runs) == (1, 1)
    kept = roster.ask("select data_version from roster.change_log where tenant = %s", roster.key())
    assert kept == [(2,)]
    assert roster.ask("select state from roster.sync_run where tenant = %s", roster.key()) == [("Merged",), ("Merged",)]


def test_the_history_of_what_was_changed_by_hand_goes_too(roster: Roster) -> None:
    school_day(roster)
    url, key = roster.database.owner_url, roster.key()
    old = manual.add(url, key, manual.Student("Noor", "Haddad", "s1", classes=("c-now",)), by="ada", reason="why")
    roster.ask("update roster.manual_change set changed_at = now() - interval '401 days' where tenant = %s returning 1",
               key)  # fmt: skip
    young = manual.add(url, key, manual.Student("Mia", "Lind", "s1"), by="ada")
    assert reaped(roster).history == 2
    assert roster.ask("select sourced_id from roster.change_log where tenant = %s", key) == [(young,)]
    assert roster.one("select count(*) from roster.manual_change where tenant = %s", key) == 1
    assert {old, young} <= set(roster.snapshot()["users"]), "the people themselves stay"


def test_a_run_that_nobody_decides_on_ends_and_tables_of_no_run_are_dropped(roster: Roster) -> None:
    with roster.stager() as conn:
        name, _ = stage_orgs(conn, {"o1": "North"})
        waiting, _ = stage_orgs(conn, {"o1": "North"}, name=run_name("young"))
        left = Stage(conn, run_name("left"), 1)
    roster.ask(
        "update roster.sync_run set started_at = now() - interval '31 days' where run = %s returning 1", name.run
    )
    # Tables without a run, as a fenced attempt or a restored backup leaves them.
    roster.ask("delete from roster.sync_run where run = %s returning 1", left.run)
    assert reaped(roster).stages == 1
    assert roster.state(name.run) == "Discarded"
    assert roster.state(waiting.run) == "Staged"
    prefix = roster.one("select roster.stage_prefix(%s, %s)", roster.key(), waiting.run)
    mine = roster.stage_tables()
    assert mine
    assert all(table.startswith(prefix) for table in mine)


def test_a_tenant_that_is_being_merged_is_passed_by(roster: Roster) -> None:
    roster.logins()
    with roster.merger() as conn, conn.transaction():
        conn.execute("select roster.lock_tenant(%s)", (roster.key(),))
        assert reaped(roster).busy
    assert not reaped(roster).busy


def test_a_stage_tells_the_retention_of_its_own_tenant_only(roster: Roster) -> None:
    roster.logins("shelbyville")
    with roster.stager() as conn:
        conn.execute("select roster.set_retention(7, 8)")
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute("select roster.set_retention(0, 8)")
    asked = "select remove_after_days, history_days from roster.tenant where tenant = %s"
    assert roster.ask(asked, roster.key()) == [(7, 8)]
    assert roster.ask(asked, roster.key("shelbyville")) == [(120, 400)]
    with roster.merger() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("select roster.set_retention(7, 8)")


def test_a_person_is_erased_with_every_trace_and_others_stay(roster: Roster) -> None:
    for tenant in ("springfield", "shelbyville"):
        school_day(roster, tenant)
    url, key = roster.database.owner_url, roster.key()
    add(roster, "demographics", sourced_id="pupil", sex="female")
    access.grant(url, key, "pupil", ["x"], by="ada")
    log = (
        "insert into roster.change_log (tenant, data_version, run, entity, action, sourced_id, old)"
        " values (%s, 1, %s, %s, %s, %s, %s) returning 1"
    )
    for entity, action, sourced_id, old in (
        ("users", "create", "pupil", None),
        ("users", "update", "pupil", '{"email": "pupil@example.org"}'),
        ("enrollments", "create", "e0", None),
        ("enrollments", "vanished", "e-long-gone", '{"user_sourced_id": "pupil"}'),
        ("users", "update", "teacher", '{"email": "t@example.org"}'),
    ):
        roster.ask(log, key, uuid4(), entity, action, sourced_id, old)
    with reading(roster, "springfield") as app:
        app.execute("select roster_app.register_use(%s, 'users', array['pupil', 'teacher'], 'plan')", (key,))
    before = roster.snapshot("shelbyville")

    receipt = erase.person(url, key, "pupil", by="ada", reason="asked for")
    assert {table: n for table, n in receipt.rows.items() if n} == {
        "enrollments": 2, "demographics": 1, "app_access": 1, "reference_use": 1, "change_log": 4, "users": 1,
    }  # fmt: skip
    assert traces(roster, "pupil") == []
    assert traces(roster, "teacher") == ["change_log", "enrollments", "reference_use", "users"]
    assert roster.snapshot("shelbyville") == before
    kept = roster.ask("select kind, rows, erased_by, reason from roster.erasure where receipt = %s", receipt.receipt)
    assert kept == [("person", receipt.rows, "ada", "asked for")]
    with pytest.raises(StoreError) as again:
        erase.person(url, key, "pupil", by="ada")
    assert again.value.reason == "PersonUnknown"
    assert "pupil" not in again.value.message


def test_staged_syncs_that_may_hold_the_person_stand_in_the_way(roster: Roster) -> None:
    school_day(roster)
    with roster.stager() as conn:
        name, _ = stage_orgs(conn, {"o1": "North"})
    with pytest.raises(StoreError) as refused:
        erase.person(roster.database.owner_url, roster.key(), "pupil", by="ada")
    assert refused.value.reason == "StagedSyncsWait"
    assert "pupil" in roster.snapshot()["users"]
    erase.person(roster.database.owner_url, roster.key(), "pupil", by="ada", discard_staged=True)
    assert roster.state(name.run) == "Discarded"
    assert roster.stage_tables() == []


def test_uploads_that_may_hold_the_person_stand_in_the_way(roster: Roster) -> None:
    school_day(roster)
    with roster.stager() as conn:
        sent = uploads.put(conn, BytesIO(b"zip"), "ada")
    with roster.stager("shelbyville") as conn:
        uploads.put(conn, BytesIO(b"zip"), "ada")
    url, key = roster.database.owner_url, roster.key()
    with pytest.raises(StoreError) as refused:
        erase.person(url, key, "pupil", by="ada")
    assert refused.value.reason == "UploadsRest"
    assert sent.digest[:19] in refused.value.message
    assert "pupil" in roster.snapshot()["users"]
    with pytest.raises(StoreError, match="PersonUnknown"):
        erase.person(url, key, "nobody", by="ada", discard_staged=True)
    rests = "select count(*) from roster.upload u join roster.upload_chunk c using (tenant, digest) where u.tenant = %s"
    assert roster.one(rests, key) == 1
    receipt = erase.person(url, key, "pupil", by="ada", discard_staged=True)
    assert receipt.rows["upload"] == 1
    assert (roster.one(rests, key), roster.one(rests, roster.key("shelbyville"))) == (0, 1)
    with roster.stager() as conn:  # the same zip may come again
        assert not uploads.put(conn, BytesIO(b"zip"), "ada").before


def test_a_district_is_erased_with_its_logins_and_can_be_made_again(roster: Roster) -> None:
    for tenant in ("springfield", "shelbyville"):
        school_day(roster, tenant)
    merge_orgs(roster, {"o9": "North"})
    with roster.stager() as conn:
        stage_orgs(conn, {"o3": "waits"})
    url, before, logins = roster.database.owner_url, roster.snapshot("shelbyville"), roster.logins()
    with reading(roster, "springfield", "shelbyville") as app:
        receipt = erase.district(url, roster.key(), by="ada")
        assert {row[0] for row in app.execute("select tenant from roster_app.schools")} == {roster.key("shelbyville")}
    assert receipt.rows["users"] == 6
    assert traces(roster, roster.key()) == ["erasure"]
    assert all(not rows for rows in roster.snapshot().values())
    assert roster.snapshot("shelbyville") == before
    assert roster.stage_tables() == []
    for login in (logins.stage_url, logins.merge_url):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(login)
    with pytest.raises(StoreError) as gone:
        erase.district(url, roster.key(), by="ada")
    assert gone.value.reason == "TenantUnknown"
    tenants.create(url, roster.key())
