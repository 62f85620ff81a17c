"""What an application sees: the views, for its own tenants, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.store.fixtures import Roster

from roster_operator.store import access, readers
from roster_operator.store.errors import StoreError
from roster_operator.store.tables import TABLES

pytestmark = pytest.mark.store

TODAY = date.today()  # noqa: DTZ011  the database's own day, on the same machine
BEFORE, AFTER = TODAY - timedelta(days=10), TODAY + timedelta(days=10)


@contextmanager
def reading(roster: Roster, *tenants: str):
    """A reader of these tenants (none: of all), gone afterwards."""
    login = f"app_{uuid4().hex[:12]}"
    url = readers.create(roster.database.owner_url, login, [roster.key(t) for t in tenants] if tenants else None)
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            yield conn
    finally:
        readers.drop(roster.database.owner_url, login)


def add(roster: Roster, table: str, tenant: str = "springfield", **columns: Any) -> None:
    roster.logins(tenant)
    given = {
        "tenant": roster.key(tenant), "row_hash": b"\0", "first_seen": "2026-01-01", "last_changed": "2026-01-01",
    } | columns  # fmt: skip
    with roster.owner() as conn:
        conn.execute(
            sql.SQL("insert into roster.{} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, given)),
                sql.SQL(", ").join([sql.Placeholder()] * len(given)),
            ),
            list(given.values()),
        )


def school_day(roster: Roster, tenant: str = "springfield") -> None:
    """A school with one class under way and one that is over; a student, a teacher, and some who must not show."""
    add(roster, "orgs", tenant, sourced_id="s1", name="North", type="school")
    add(roster, "orgs", tenant, sourced_id="d1", name="District", type="district")
    session = {"type": "semester", "school_year": TODAY.year}
    add(
        roster, "academic_sessions", tenant, sourced_id="now", title="Now", start_date=BEFORE, end_date=AFTER, **session
    )
    add(
        roster, "academic_sessions", tenant, sourced_id="ended", title="E", start_date=BEFORE, end_date=TODAY, **session
    )
    add(roster, "courses", tenant, sourced_id="k1", title="Algebra")
    klass = {"course_sourced_id": "k1", "school_sourced_id": "s1"}
    add(roster, "classes", tenant, sourced_id="c-now", title="Algebra 1", term_sourced_ids=["now"], **klass)
    add(roster, "classes", tenant, sourced_id="c-over", title="Algebra 0", term_sourced_ids=["ended"], **klass)
    add(roster, "classes", tenant, sourced_id="c-gone", title="Gone", status="inactive", **klass)
    person = {"given_name": "G", "family_name": "F", "enabled_user": True, "org_sourced_ids": ["s1"]}
    for name, more in {
        "pupil": {"role": "student"},
        "over": {"role": "student"},
        "disabled": {"role": "student", "enabled_user": False},
        "left": {"role": "student", "status": "inactive"},
        "idle": {"role": "student"},
        "teacher": {"role": "teacher"},
    }.items():
        add(roster, "users", tenant, sourced_id=name, **person | more)
    for number, (user, klass_id, role, begin, end) in enumerate(
        [
            ("pupil", "c-now", "student", None, None),
            ("teacher", "c-now", "teacher", BEFORE, AFTER),
            ("over", "c-over", "student", None, None),
            ("over", "c-now", "student", BEFORE, TODAY),  # the end date is exclusive
            ("idle", "c-now", "student", TODAY + timedelta(days=1), None),
            ("disabled", "c-now", "student", TODAY, TODAY + timedelta(days=1)),
            ("left", "c-now", "student", None, None),
            ("pupil", "c-gone", "student", None, None),
        ]
    ):
        add(
            roster, "enrollments", tenant, sourced_id=f"e{number}", user_sourced_id=user, class_sourced_id=klass_id,
            school_sourced_id="s1", role=role, begin_date=begin, end_date=end,
        )  # fmt: skip


def ids(conn: psycopg.Connection, view: str, column: str = "sourced_id") -> list[str]:
    query = sql.SQL("select {} from roster_app.{} order by 1").format(sql.Identifier(column), sql.Identifier(view))
    return [row[0] for row in conn.execute(query).fetchall()]


def test_the_views_show_today(roster: Roster) -> None:
    school_day(roster)
    with reading(roster, "springfield") as app:
        assert ids(app, "schools") == ["s1"]
        assert ids(app, "sessions_today") == ["now"]
        assert ids(app, "active_students") == ["disabled", "idle", "over", "pupil"]
        assert ids(app, "enrollments_today") == ["e0", "e1", "e5"]
        assert ids(app, "testable_students") == ["pupil"]
        rosters = app.execute(
            "select class_title, course_title, school_name, role, user_sourced_id from roster_app.class_rosters"
            " order by user_sourced_id"
        ).fetchall()
        assert rosters == [
            ("Algebra 1", "Algebra", "North", "student", "disabled"),
            ("Algebra 1", "Algebra", "North", "student", "pupil"),
            ("Algebra 1", "Algebra", "North", "teacher", "teacher"),
        ]
        assert ids(app, "access", "user_sourced_id") == []


def test_a_reader_sees_its_own_tenants_only(roster: Roster) -> None:
    for tenant in ("springfield", "shelbyville"):
        school_day(roster, tenant)
    both = {roster.key("springfield"), roster.key("shelbyville")}
    with reading(roster, "shelbyville") as app:
        assert set(ids(app, "active_students", "tenant")) == {roster.key("shelbyville")}
        assert set(ids(app, "class_rosters", "tenant")) == {roster.key("shelbyville")}
    with reading(roster) as app:
        assert both <= set(ids(app, "schools", "tenant"))


def test_a_reader_cannot_look_behind_the_views(roster: Roster) -> None:
    school_day(roster)
    with reading(roster, "springfield") as app:
        tables = [f"roster.{t.name}" for t in TABLES]
        for table in [*tables, "roster.tenant", "roster.sync_run", "roster.change_log", "roster.app_access",
                      "roster.reader", "roster.reference_use", "roster_stage.template_users"]:  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(f"select from {table}".encode())
        for view in ("schools", "active_students", "enrollments_today"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
                app.execute(f"delete from roster_app.{view}".encode())
        app.execute(b"set row_security = off")
        assert set(ids(app, "schools", "tenant")) == {roster.key("springfield")}


def test_a_function_of_the_readers_own_is_never_asked_about_hidden_rows(roster: Roster) -> None:
    for tenant in ("springfield", "shelbyville"):
        school_day(roster, tenant)
    heard: list[str] = []
    with reading(roster, "springfield") as app:
        app.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        app.execute(
            b"create function pg_temp.tell(t text) returns boolean language plpgsql cost 0.0001 as"
            b" $$ begin raise notice '%', t; return true; end $$"
        )
        app.execute(b"select count(*) from roster_app.active_students where pg_temp.tell(tenant)")
    assert set(heard) == {roster.key("springfield")}


def test_ids_in_use_are_registered_for_a_purpose_and_released(roster: Roster) -> None:
    school_day(roster)
    key, other = roster.key(), roster.key("shelbyville")
    roster.logins("shelbyville")
    with reading(roster, "springfield") as app:
        register = "select roster_app.register_use(%s, %s, %s, %s, %s)"
        assert app.execute(
            register, (key, "users", ["pupil", "left", "nobody", "pupil"], "plan 1", AFTER)
        ).fetchone() == (1,)
        assert app.execute(register, (key, "users", ["pupil"], "plan 1", None)).fetchone() == (1,)
        assert app.execute(register, (key, "academicSessions", ["now"], "plan 2", None)).fetchone() == (1,)
        with pytest.raises(psycopg.Error, match="TenantNotVisible"):
            app.execute(register, (other, "users", ["pupil"], "plan 1", None))
        with pytest.raises(psycopg.errors.CheckViolation):
            app.execute(register, (key, "users; drop table roster.users", ["pupil"], "plan 1", None))
        kept = roster.ask("select sourced_id, used_until from roster.reference_use where tenant = %s and purpose ="
                          " 'plan 1' order by 1", key)  # fmt: skip
        assert kept == [("left", AFTER), ("nobody", AFTER), ("pupil", None)]
        assert app.execute("select roster_app.release_use(%s, 'plan 1')", (key,)).fetchone() == (3,)
        with pytest.raises(psycopg.Error, match="TenantNotVisible"):
            app.execute("select roster_app.release_use(%s, 'plan 1')", (other,))


def test_access_ends_and_comes_back_with_the_person(roster: Roster) -> None:
    school_day(roster)
    url, key = roster.database.owner_url, roster.key()
    access.grant(url, key, "teacher", ["results.read", "plans.write", "results.read"], by="ada", reason="teaches")
    with reading(roster, "springfield") as app:
        assert ids(app, "access", "user_sourced_id") == ["teacher"]
        assert app.execute("select permissions from roster_app.access").fetchone() == (["results.read", "plans.write"],)
        roster_sql = "update roster.users set status = %s where tenant = %s and sourced_id = 'teacher' returning 1"
        roster.ask(roster_sql, "inactive", key)
        assert ids(app, "access", "user_sourced_id") == []
        assert [each.effective for each in access.listing(url, key)] == [False]
        roster.ask(roster_sql, "active", key)
        assert ids(app, "access", "user_sourced_id") == ["teacher"]
        access.revoke(url, key, "teacher", by="grace", reason="left")
        assert ids(app, "access", "user_sourced_id") == []
        assert [(each.revoked_by, each.reason) for each in access.listing(url, key)] == [("grace", "left")]
        with pytest.raises(StoreError) as again:
            access.revoke(url, key, "teacher", by="grace")
        assert again.value.reason == "AccessUnknown"
        access.grant(url, key, "teacher", ["results.read"], by="ada")
        assert ids(app, "access", "user_sourced_id") == ["teacher"]


@pytest.mark.parametrize("user", ["left", "nobody"])
def test_only_an_active_person_is_let_in(roster: Roster, user: str) -> None:
    school_day(roster)
    with pytest.raises(StoreError) as refused:
        access.grant(roster.database.owner_url, roster.key(), user, ["x"], by="ada")
    assert refused.value.reason == "PersonUnknown"
    assert user not in refused.value.message


@pytest.mark.parametrize("permissions", [[], [""], ["x" * 129], [f"p{n}" for n in range(65)]])
def test_permissions_are_bounded(roster: Roster, permissions: list[str]) -> None:
    school_day(roster)
    with pytest.raises(StoreError) as refused:
        access.grant(roster.database.owner_url, roster.key(), "teacher", permissions, by="ada")
    assert refused.value.reason == "PermissionsInvalid"


def test_readers_are_listed_and_end(roster: Roster) -> None:
    roster.logins()
    url, login = roster.database.owner_url, f"app_{uuid4().hex[:12]}"
    made = readers.create(url, login, [roster.key()])
    assert readers.Reader(login, (roster.key(),)) in readers.listing(url)
    with pytest.raises(StoreError) as twice:
        readers.create(url, login, None)
    assert twice.value.reason == "ReaderExists"
    readers.drop(url, login)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(made)
    with pytest.raises(StoreError) as gone:
        readers.drop(url, login)
    assert gone.value.reason == "ReaderUnknown"


@pytest.mark.parametrize(
    ("login", "seen", "reason"),
    [("Bad-Name", None, "ReaderNameInvalid"), ("fine_name", ["nowhere"], "TenantUnknown")],
)
def test_a_reader_that_cannot_be_is_refused_and_leaves_nothing(roster: Roster, login, seen, reason: str) -> None:
    with pytest.raises(StoreError) as refused:
        readers.create(roster.database.owner_url, login, seen)
    assert refused.value.reason == reason
    assert login not in [reader.login for reader in readers.listing(roster.database.owner_url)]
