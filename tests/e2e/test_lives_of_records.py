"""What becomes of records in the long run: everybody has another sourcedId, retention deletes, people are erased."""

from __future__ import annotations

import hashlib
import json

import pytest
from deploy.demo import parts
from deploy.demo.shell import DemoError, kubectl
from psycopg import sql
from tests.e2e.districts import USERS, District
from tests.e2e.watching import condition, until

from roster_sample_sis.districts import Role

pytestmark = pytest.mark.cluster

REAPER = "cronjob/roster-operator-reap"
_PEOPLE = (
    "select coalesce(person, sourced_id), first_seen, given_name, family_name, identifier from roster.users"
    " where tenant = %s and status = 'active' order by 1"
)


def test_a_district_with_new_ids_is_held_proposed_as_a_map_and_keeps_people_and_access(district: District) -> None:
    district.open().merged()
    database = district.ground.database
    teacher = next(each for each in district.sample.users if each.role is Role.TEACHER).sourced_id
    new = teacher.replace("PER", "ANEW")
    district.roster("access", "grant", district.tenant, teacher, "--permission", "results.read")
    people = database.rows(_PEOPLE, district.tenant)
    enrollments = district.count("enrollments")

    district.sis("POST", "faults", {"fault": "rekey"})
    sync = district.sync("moved")
    blocked = sync.until("Blocked")
    plan = blocked["status"]["plan"]
    assert condition(blocked, "WithinLimits")["reason"] == "Rekeyed"
    assert {hit["limit"] for hit in plan["limits"]} == {"rekeyed"}
    assert plan["entities"]["users"]["rekeyed"] == USERS
    assert (plan["totals"]["create"], plan["totals"]["deactivate"]) == (0, 0), "nobody left, nobody is new"
    assert "ANEW" not in str(blocked["status"])
    assert "PER0" not in str(blocked["status"])
    proposed = database.rows(
        "select old_sourced_id, new_sourced_id, basis from roster.proposed_succession"
        " where tenant = %s and entity = 'users'",
        district.tenant,
    )
    assert {(old, new) for old, new, _ in proposed} == {
        (each.sourced_id, each.sourced_id.replace("PER", "ANEW")) for each in district.sample.users
    }
    # A promise from the beginning is none for this: only the digest, which holds every pair.
    sync.patch(approved=True)
    sync.until_seen()
    assert sync.until("Blocked")["status"]["plan"]["digest"] == plan["digest"]
    assert database.rows(_PEOPLE, district.tenant) == people
    sync.patch(approvedPlan=plan["digest"])
    sync.until("Merged")

    assert database.rows(_PEOPLE, district.tenant) == people, "the same people, by the application's own key"
    assert database.value(
        "select bool_and(sourced_id like 'ANEW%%') from roster.users where tenant = %s and status = 'active'",
        district.tenant,
    )
    access = json.loads(district.roster("access", "list", district.tenant, "--output", "json"))["access"]
    assert [(each["userSourcedId"], each["effective"]) for each in access] == [(new, True)]
    assert district.count("enrollments") == enrollments
    orphans = (
        "select count(*) from roster.enrollments e where e.tenant = %s and e.status = 'active' and not exists"
        " (select from roster.users u where u.tenant = e.tenant and u.sourced_id = e.user_sourced_id"
        " and u.status = 'active')"
    )
    assert database.value(orphans, district.tenant) == 0
    again = district.sync("night").until("AwaitingApproval")["status"]["plan"]["totals"]
    assert (again["create"], again["update"], again["deactivate"]) == (0, 0, 0)


def test_the_nightly_reaper_deletes_what_is_past_its_time_and_says_so(district: District) -> None:
    district.open()
    district.connect(retention={"removeAfterDays": 30, "historyDays": 90}, limits={"deactivate": _ANY, **_PER_SCHOOL})
    first = district.merged()
    district.becomes("lost-a-fifth")
    second = district.sync("second")
    second.until("AwaitingApproval")
    second.patch(approved=True)
    second.until("Merged")
    database, tenant = district.ground.database, district.tenant
    gone = district.count("users", "inactive")
    active = district.count("users")
    assert gone > 4
    # Three of them went a month ago, and the first merge is past the time of history: the clock is the database's.
    past = [
        found
        for (found,) in database.rows(
            "update roster.users u set inactive_since = now() - interval '31 days' from (select sourced_id"
            " from roster.users where tenant = %s and status = 'inactive' order by sourced_id limit 3) p"
            " where u.tenant = %s and u.sourced_id = p.sourced_id returning u.sourced_id",
            tenant,
            tenant,
        )
    ]
    database.rows(
        "update roster.sync_run set merged_at = now() - interval '91 days' where tenant = %s and run = %s returning 1",
        tenant,
        first.uid,
    )
    history = "select count(*) from roster.change_log where tenant = %s and run = %s"
    first_history, second_history = (database.value(history, tenant, each.uid) for each in (first, second))
    assert first_history > USERS

    log = reap(district)
    (line,) = [each for each in log.splitlines() if each.startswith(f"{tenant}  ")]
    assert f"removed 3 users; {first_history} entries of history" in line
    left = database.rows("select sourced_id from roster.users where tenant = %s and status = 'inactive'", tenant)
    assert len(left) == gone - 3
    assert not set(past) & {each for (each,) in left}
    assert district.count("users") == active, "who is active stays"
    assert database.value(history, tenant, first.uid) == 0
    assert database.value(history, tenant, second.uid) == second_history, "history within its time stays"
    ledger = database.value("select state from roster.sync_run where tenant = %s and run = %s", tenant, first.uid)
    assert ledger == "Merged", "the ledger of merges stays"
    assert not any(each.sourced_id in log for each in district.sample.users), "counts, never a record"
    # Once more, and nothing is left to do.
    (line,) = [each for each in reap(district).splitlines() if each.startswith(f"{tenant}  ")]
    assert "removed no records; 0 entries of history" in line


def reap(district: District) -> str:
    """Run the chart's own CronJob now; gives what it printed."""
    name = f"reap-{district.ground.mark}-{len(district.ground.api.items(_JOBS))}"
    kubectl("-n", parts.SYSTEM, "create", "job", name, f"--from={REAPER}")

    def ended() -> bool:
        status = district.ground.api.get(f"{_JOBS}/{name}").get("status", {})
        assert not status.get("failed"), status
        return bool(status.get("succeeded"))

    try:
        until(f"job {name}", ended, lambda: str(district.ground.api.get(f"{_JOBS}/{name}")), seconds=180)
        return kubectl("-n", parts.SYSTEM, "logs", f"job/{name}")
    finally:
        kubectl("-n", parts.SYSTEM, "delete", "job", name, "--wait=false")


def test_a_person_and_then_the_whole_district_are_erased_with_receipts(district: District) -> None:
    district.open().merged()
    database, tenant = district.ground.database, district.tenant
    person = database.value(
        "select min(e.user_sourced_id) from roster.enrollments e join roster.demographics d"
        " on d.tenant = e.tenant and d.sourced_id = e.user_sourced_id where e.tenant = %s and e.role = 'student'",
        tenant,
    )
    district.roster("access", "grant", tenant, person, "--permission", "exam.take")
    assert traces(district, person) >= {"users", "enrollments", "demographics", "app_access", "change_log"}
    waiting = district.sync("waiting")
    waiting.until("AwaitingApproval")
    erase = ("erase", tenant, person, "--reason", "request of 3 May", "--output", "json")
    with pytest.raises(DemoError, match="StagedSyncsWait"):
        district.roster(*erase)
    waiting.patch(rejected={"reason": "Somebody is erased."})
    waiting.until("Rejected")
    waiting.until_holds("its staged rows are gone", lambda _: not waiting.staged_tables())

    receipt = json.loads(district.roster(*erase))
    assert {"users", "enrollments", "demographics", "app_access", "change_log"} <= set(receipt["rows"])
    assert traces(district, person) == set()
    identity = database.value("select database_id from roster.meta")
    assert database.rows(
        "select subject, reason, rows = %s::jsonb from roster.erasure where receipt = %s",
        json.dumps(receipt["rows"]),
        receipt["receipt"],
    ) == [(hashlib.sha256(f"{identity}/{tenant}/{person}".encode()).digest(), "request of 3 May", True)]
    assert district.count("users") == USERS - 1

    # The contract ended: first the objects, then the rows and the logins.
    kubectl("-n", district.namespace, "delete", "rostersync,rosterconnection", "--all", "--timeout=120s")
    login, _ = district.database_login("stage-url")
    dropped = json.loads(
        district.roster("tenant", "drop", tenant, "--confirm", tenant, "--reason", "contract ended", "-o", "json")
    )
    assert dropped["rows"]["users"] == USERS - 1
    assert tables_with_rows(district) == {"erasure"}
    assert database.value("select count(*) from roster.erasure where tenant = %s", tenant) == 2, "both receipts stay"
    assert database.value("select count(*) from pg_roles where rolname = %s", login) == 0


_JOBS = f"/apis/batch/v1/namespaces/{parts.SYSTEM}/jobs"
_ANY = {"percent": 100, "floor": 0}
_PER_SCHOOL = {"perSchool": {"deactivate": _ANY}}


def tenant_tables(district: District) -> list[str]:
    return [
        name
        for (name,) in district.ground.database.rows(
            "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
            " where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r'"
        )
    ]


def traces(district: District, sourced_id: str) -> set[str]:
    """The tables in which an id stands anywhere in a row of the tenant, lists of other people's agents aside."""
    found: set[str] = set()
    with district.ground.database.session() as conn:
        for name in tenant_tables(district):
            query = sql.SQL(
                "select count(*) from {} t where t.tenant = %s"
                " and position(%s in (to_jsonb(t) #- '{{agent_sourced_ids}}' #- '{{old,agent_sourced_ids}}')::text) > 0"
            ).format(sql.Identifier("roster", name))
            (count,) = conn.execute(query, (district.tenant, f'"{sourced_id}"')).fetchone() or (0,)
            if count:
                found.add(name)
    return found


def tables_with_rows(district: District) -> set[str]:
    """The tables that hold anything of the tenant."""
    with district.ground.database.session() as conn:
        return {
            name
            for name in tenant_tables(district)
            if conn.execute(
                sql.SQL("select from {} where tenant = %s limit 1").format(sql.Identifier("roster", name)),
                (district.tenant,),
            ).fetchone()
            is not None
        }
