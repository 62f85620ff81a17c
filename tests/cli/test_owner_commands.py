"""What the database's owner does with `roster`: the application's logins, and who may use it."""

from __future__ import annotations

import json

import psycopg
import pytest
import yaml
from typer.testing import CliRunner

from roster_operator.cli.app import app
from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.store import tenants
from roster_operator.store.migrate import migrate

pytestmark = pytest.mark.store


def roster(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "140", "NO_COLOR": "1"})
    assert done.exit_code == code, (done.exit_code, done.output)
    return done.stdout


@pytest.fixture
def owner():
    with EmbeddedPostgres.temporary(tcp=True) as server:
        url = server.create_database().owner_url
        migrate(url)
        tenants.create(url, "k12.springfield")
        yield url


def test_a_reader_gets_a_secret_that_opens_the_views(owner: str) -> None:
    made = roster(
        "reader", "create", "app_one", "--tenant", "k12.springfield", "--namespace", "apps", "--database", owner
    )
    secret = yaml.safe_load(made)
    assert (secret["kind"], secret["metadata"]["namespace"]) == ("Secret", "apps")
    with psycopg.connect(secret["stringData"]["url"]) as conn:
        assert conn.execute("select count(*) from roster_app.active_students").fetchone() == (0,)
        assert conn.execute("select * from roster_app.visible_tenants()").fetchall() == [("k12.springfield",)]
    assert "app_one  reads: k12.springfield" in roster("reader", "list", "--database", owner)
    roster("reader", "create", "app_all", "--all-tenants", "--database", owner)
    assert "app_all  reads: every tenant" in roster("reader", "list", "--database", owner)
    roster("reader", "create", "app_none", "--database", owner, code=2)
    roster("reader", "create", "app_both", "--all-tenants", "--tenant", "k12.springfield", "--database", owner, code=2)
    assert "Dropped" in roster("reader", "drop", "app_one", "--database", owner)
    roster("reader", "drop", "app_one", "--database", owner, code=1)


def test_a_person_and_a_district_are_erased_with_a_receipt_and_retention_runs(owner: str) -> None:
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute(
            "insert into roster.users (tenant, sourced_id, row_hash, first_seen, last_changed, status, inactive_since)"
            " select 'k12.springfield', 'u' || n, '', now(), now(), case when n < 3 then 'active' else 'inactive' end,"
            " now() - interval '1 year' from generate_series(1, 4) n"
        )
    receipt = json.loads(roster("erase", "k12.springfield", "u1", "-o", "json", "--database", owner))
    assert receipt["rows"]["users"] == 1
    roster("erase", "k12.springfield", "u1", "--database", owner, code=1)
    reaped = json.loads(roster("reap", "-o", "json", "--database", owner))["tenants"]
    assert [(each["tenant"], each["rows"]) for each in reaped] == [("k12.springfield", {"users": 2})]
    assert "removed no records" in roster("reap", "--database", owner)
    roster("tenant", "drop", "k12.springfield", "--confirm", "k12.shelbyville", "--database", owner, code=2)
    said = roster("tenant", "drop", "k12.springfield", "--confirm", "k12.springfield", "--database", owner)
    assert "users  1" in said
    assert "Receipt " in said
    assert roster("tenant", "list", "--database", owner) == ""
    with psycopg.connect(owner) as conn:
        assert conn.execute("select kind from roster.erasure order by 1").fetchall() == [("person",), ("tenant",)]


def test_access_is_granted_listed_and_revoked(owner: str) -> None:
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute(
            "insert into roster.users (tenant, sourced_id, row_hash, first_seen, last_changed, role, given_name,"
            " family_name, enabled_user) values ('k12.springfield', 'u1', '', now(), now(), 'teacher', 'G', 'F', true)"
        )
    place = ("k12.springfield", "u1")
    roster("access", "grant", *place, "--permission", "read", "--permission", "write", "--database", owner)
    (found,) = json.loads(roster("access", "list", place[0], "-o", "json", "--database", owner))["access"]
    assert (found["userSourcedId"], found["permissions"], found["effective"]) == ("u1", ["read", "write"], True)
    assert found["grantedBy"].endswith("(command line)")
    assert "u1  read, write  active" in roster("access", "list", place[0], "--database", owner)
    roster("access", "revoke", *place, "--reason", "left", "--database", owner)
    assert "u1  read, write  revoked" in roster("access", "list", place[0], "--database", owner)
    roster("access", "revoke", *place, "--database", owner, code=1)
    roster("access", "grant", place[0], "nobody", "--permission", "read", "--database", owner, code=1)


def test_a_student_is_added_edited_and_ended_by_hand(owner: str) -> None:
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute(
            "insert into roster.orgs (tenant, sourced_id, row_hash, first_seen, last_changed, name, type)"
            " values ('k12.springfield', 's1', '', now(), now(), 'North', 'school')"
        )
    who = ("--given-name", "Noor", "--family-name", "Haddad", "--school", "s1", "--grade", "09", "--identifier", "n1")
    place = ("k12.springfield", "--database", owner)
    made = roster("student", "add", *place, *who).strip()
    assert made.startswith("manual-")
    roster("student", "add", *place, *who, code=1)
    roster("student", "edit", "k12.springfield", made, "--email", "n@example.org", "--database", owner)
    with psycopg.connect(owner) as conn:
        query = "select email, grades, family_name, identifier, source from roster.users where sourced_id = %s"
        found = conn.execute(query, (made,)).fetchone()
    assert found == ("n@example.org", ["09"], "Haddad", "n1", "Manual")
    for wrong in ((), ("--email", ""), ("--email", "n@example.org", "--empty", "email")):
        roster("student", "edit", "k12.springfield", made, *wrong, "--database", owner, code=2)
    assert json.loads(roster("match", "list", *place, "-o", "json"))["matches"] == []
    assert "Ended" in roster("student", "end", "k12.springfield", made, "--database", owner)


def test_values_are_pinned_and_people_matched_from_the_command_line(owner: str) -> None:
    with psycopg.connect(owner, autocommit=True) as conn:
        conn.execute(
            "insert into roster.users (tenant, sourced_id, row_hash, first_seen, last_changed, role, email, source)"
            " values ('k12.springfield', 'sis-1', '', now(), now(), 'student', 'a@x.org', 'SIS'),"
            " ('k12.springfield', 'manual-1', '', now(), now(), 'student', 'A@x.org', 'Manual')"
        )
    where = ("--database", owner)
    record = ("k12.springfield", "users", "sis-1")
    roster("pin", "set", *record, "grades", "--value", "09, 10", "--until", "2999-01-01", "--reason", "moved", *where)
    roster("pin", "set", *record, "enabled_user", "--value", "perhaps", *where, code=1)
    roster("pin", "set", *record, "phone", *where, code=2)
    [pin] = json.loads(roster("pin", "list", "k12.springfield", "-o", "json", *where))["pins"]
    assert (pin["field"], pin["value"], pin["reason"], pin["released"]) == ("grades", ["09", "10"], "moved", False)
    assert "pinned until 2999-01-01" in roster("pin", "list", "k12.springfield", *where)
    roster("pin", "release", *record, "grades", *where)
    assert "released" in roster("pin", "list", "k12.springfield", *where)

    pair = ("k12.springfield", "manual-1", "sis-1")
    assert "manual-1  may be  sis-1  by email" in roster("match", "list", "k12.springfield", *where)
    roster("match", "reject", *pair, *where)
    assert roster("match", "list", "k12.springfield", *where) == ""
    assert "Undecided again" in roster("match", "undo", *pair, *where)
    roster("match", "accept", *pair, "--reason", "same birth date", *where)
    listed = json.loads(roster("match", "list", "k12.springfield", "--decided", "-o", "json", *where))
    assert [(each["linked"], each["reason"]) for each in listed["decisions"]] == [(True, "same birth date")]
    assert "two again" in roster("match", "undo", *pair, *where)
    roster("match", "accept", "k12.springfield", "nobody", "sis-1", *where, code=1)
