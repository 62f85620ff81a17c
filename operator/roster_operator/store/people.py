"""People as a district's staff look for them: a search, and one person's story from the source to the application."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from .labels import SCHOOL, label_of
from .tables import BY_ENTITY

_HISTORY = 50  # entries that are shown of one person
_BOOKKEEPING = frozenset({"date_last_modified", "metadata"})


@dataclass(frozen=True)
class Found:
    """One line of a search. granted: has access to the application that was not revoked."""

    sourced_id: str
    name: str
    role: str | None
    grades: list[str] | None
    school: str | None  # its name
    status: str
    source: str
    granted: bool


@dataclass(frozen=True)
class Seat:
    """One enrollment. ended: of an enrollment that is not active any more. today: it holds today by its own dates."""

    class_title: str
    school: str | None
    role: str
    begin_date: date | None
    end_date: date | None
    source: str
    status: str
    class_sourced_id: str


@dataclass(frozen=True)
class Event:
    """Something that happened to the record. fields: column → (old, new), where both are known.

    what: an action of change_log. by: who approved the sync, or who changed it by hand. sync: its name.
    """

    at: datetime | None
    what: str
    sync: str | None
    by: str | None
    reason: str | None
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict[str, tuple[Any, Any]])


@dataclass(frozen=True)
class Story:
    """One person: the record as merged, where they sit, what happened. testable: they may be tested today."""

    row: dict[str, Any]
    name: str
    school: str | None
    seats: list[Seat]
    events: list[Event]
    uses: list[str]
    testable: bool


@dataclass(frozen=True)
class School:
    """An active school."""

    sourced_id: str
    name: str


@dataclass(frozen=True)
class Class:
    """An active class of a school."""

    sourced_id: str
    title: str
    code: str | None


# A condition that is asked only where something was typed; the names are constants.
_NAME: LiteralString = "concat_ws(' ', u.given_name, u.family_name)"
_FOUND: LiteralString = (
    "select u.sourced_id, coalesce(nullif(" + _NAME + ", ''), u.username, u.sourced_id) as name, u.role, u.grades,"
    " (select o.name from roster.orgs o where o.tenant = u.tenant and o.sourced_id = "
    + SCHOOL["users"].replace("{r}", "u")
    + ") as school, u.status, u.source, exists (select from roster.app_access a where a.tenant = u.tenant"
    " and a.user_sourced_id = u.sourced_id and a.revoked_at is null) as granted"
    " from roster.users u where u.tenant = %(tenant)s"
)
_NAMED: LiteralString = _FOUND + " and u.sourced_id = any (%(ids)s)"
_SEARCH: LiteralString = (
    _FOUND + " and (%(role)s::text is null or u.role = %(role)s)"
    " and (%(school)s::text is null or %(school)s = any (u.org_sourced_ids))"
    " and (%(status)s::text is null or u.status = %(status)s)"
    " and (%(text)s::text is null or position(lower(%(text)s) in lower(" + _NAME + ")) > 0"
    "   or u.sourced_id = %(text)s or u.identifier = %(text)s or lower(u.username) = lower(%(text)s)"
    "   or lower(u.email) = lower(%(text)s))"
    " and (%(after)s::text is null or u.sourced_id > %(after)s)"
    " order by u.sourced_id limit %(limit)s"
)


def search(
    conn: psycopg.Connection,
    tenant: str,
    *,
    text: str | None = None,
    role: str | None = None,
    school: str | None = None,
    status: str | None = "active",
    after: str | None = None,
    limit: int = 50,
) -> list[Found]:
    """People by sourcedId. text: a part of the name, or a whole id, user name or address. school: its sourcedId."""
    given = {"tenant": tenant, "text": text, "role": role, "school": school, "status": status, "after": after}
    with conn.cursor(row_factory=class_row(Found)) as cursor:
        cursor.execute(_SEARCH, given | {"limit": limit})
        return cursor.fetchall()


def named(conn: psycopg.Connection, tenant: str, ids: Sequence[str]) -> dict[str, Found]:
    """The people with these sourcedIds, whatever their status."""
    with conn.cursor(row_factory=class_row(Found)) as cursor:
        cursor.execute(_NAMED, {"tenant": tenant, "ids": list(ids)})
        return {found.sourced_id: found for found in cursor.fetchall()}


def roles(conn: psycopg.Connection, tenant: str) -> list[str]:
    """The roles that people of the district have."""
    rows = conn.execute(
        "select distinct role from roster.users where tenant = %s and role is not null order by 1", (tenant,)
    ).fetchall()
    return [str(role) for (role,) in rows]


def schools(conn: psycopg.Connection, tenant: str) -> list[School]:
    """The active schools by name."""
    with conn.cursor(row_factory=class_row(School)) as cursor:
        cursor.execute(
            "select sourced_id, name from roster.orgs where tenant = %s and type = 'school' and status = 'active'"
            " order by name, sourced_id",
            (tenant,),
        )
        return cursor.fetchall()


def classes(conn: psycopg.Connection, tenant: str, school: str, limit: int = 500) -> list[Class]:
    """The active classes of a school by title."""
    with conn.cursor(row_factory=class_row(Class)) as cursor:
        cursor.execute(
            "select sourced_id, title, class_code as code from roster.classes where tenant = %s"
            " and school_sourced_id = %s and status = 'active' order by title, sourced_id limit %s",
            (tenant, school, limit),
        )
        return cursor.fetchall()


def story(conn: psycopg.Connection, tenant: str, sourced_id: str) -> Story | None:
    """Everything that is known of one person; None where there is nobody."""
    found = conn.execute(
        "select to_jsonb(u), (select o.name from roster.orgs o where o.tenant = u.tenant and o.sourced_id = "
        + SCHOOL["users"].replace("{r}", "u")
        + ") from roster.users u where u.tenant = %s and u.sourced_id = %s",
        (tenant, sourced_id),
    ).fetchone()
    if found is None:
        return None
    row: dict[str, Any] = found[0]
    seats = _seats(conn, tenant, sourced_id)
    uses = conn.execute(
        "select purpose from roster.reference_use where tenant = %s and entity = 'users' and sourced_id = %s"
        " and (used_until is null or used_until >= current_date) order by 1",
        (tenant, sourced_id),
    ).fetchall()
    return Story(
        row,
        label_of("users", row) or sourced_id,
        found[1],
        seats,
        _events(conn, tenant, sourced_id, row),
        [str(purpose) for (purpose,) in uses],
        _testable(row, seats),
    )


def _seats(conn: psycopg.Connection, tenant: str, sourced_id: str) -> list[Seat]:
    with conn.cursor(row_factory=class_row(Seat)) as cursor:
        cursor.execute(
            "select coalesce(c.title, e.class_sourced_id) as class_title, o.name as school, e.role, e.begin_date,"
            " e.end_date, e.source, e.status, e.class_sourced_id from roster.enrollments e"
            " left join roster.classes c on c.tenant = e.tenant and c.sourced_id = e.class_sourced_id"
            " left join roster.orgs o on o.tenant = e.tenant and o.sourced_id = e.school_sourced_id"
            " where e.tenant = %s and e.user_sourced_id = %s order by e.status, 1, e.sourced_id limit 200",
            (tenant, sourced_id),
        )
        return cursor.fetchall()


def _testable(row: dict[str, Any], seats: Sequence[Seat]) -> bool:
    """By the person's own dates; roster_app.testable_students also asks the terms of classes without dates."""
    today = date.today()  # noqa: DTZ011  school days have no time zone here
    return (
        row.get("status") == "active"
        and row.get("role") == "student"
        and row.get("enabled_user") is not False
        and any(
            seat.status == "active"
            and seat.role == "student"
            and (seat.begin_date is None or seat.begin_date <= today)
            and (seat.end_date is None or today < seat.end_date)
            for seat in seats
        )
    )


def _events(conn: psycopg.Connection, tenant: str, sourced_id: str, now: dict[str, Any]) -> list[Event]:
    """The newest first. What a change made of the row is what the next change found, or what the row is now."""
    rows = conn.execute(
        "select coalesce(r.merged_at, h.changed_at), l.action, r.name,"
        " coalesce(h.changed_by, r.approval ->> 'by', r.approval ->> 'via'), h.reason, l.old"
        " from roster.change_log l left join roster.sync_run r on r.tenant = l.tenant and r.run = l.run"
        " left join roster.manual_change h on h.tenant = l.tenant and h.run = l.run"
        " where l.tenant = %s and l.entity = 'users' and l.sourced_id = %s"
        " order by l.data_version desc limit %s",
        (tenant, sourced_id, _HISTORY),
    ).fetchall()
    names = [name for name in BY_ENTITY["users"].column_names if name not in _BOOKKEEPING]
    events: list[Event] = []
    new = now
    for at, action, sync, by, reason, old in rows:
        fields = (
            {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)} if old else {}
        )
        events.append(Event(at, str(action), sync, by, reason, fields))
        new = old or {}
    return events
