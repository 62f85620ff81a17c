"""Students who are added by hand: someone who arrives on the day of a test cannot wait for the SIS.

Their rows have the source Manual. No sync changes or removes them. Every change is one transaction under the merge's
lock; it counts in the tenant's data_version and stands in change_log, so a plan that waits is computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg

from .by_hand import begin, log
from .database import Database, connect
from .errors import StoreError
from .runs import jsonb

_LONGEST = 255


@dataclass(frozen=True)
class Student:
    """What is known of a student. school: sourcedId of an active school. classes: sourcedIds of active classes."""

    given_name: str
    family_name: str
    school: str
    middle_name: str | None = None
    email: str | None = None
    username: str | None = None
    identifier: str | None = None
    grades: Sequence[str] = ()
    classes: Sequence[str] = field(default_factory=tuple)


def add(url: Database, tenant: str, student: Student, *, by: str, reason: str | None = None) -> str:
    """Add a student, and give the new sourcedId.

    Raises StoreError(StudentInvalid, SchoolUnknown, ClassUnknown, IdentifierTaken, TenantUnknown).
    """
    _check(student)
    sourced_id = f"manual-{uuid4()}"
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        _places_exist(conn, tenant, student)
        _identifier_is_free(conn, tenant, student, sourced_id)
        conn.execute(
            "insert into roster.users (tenant, sourced_id, source, row_hash, first_seen, last_changed, enabled_user,"
            " given_name, family_name, middle_name, email, username, identifier, grades, role, roles,"
            " org_sourced_ids, primary_org_sourced_id, agent_sourced_ids, user_ids) values (%s, %s, 'Manual', %s,"
            " now(), now(), true, %s, %s, %s, %s, %s, %s, %s, 'student', %s, %s, %s, '{}', '[]')",
            (tenant, sourced_id, _hash(student), *_columns(student)),
        )
        log(conn, tenant, version, run, "manualCreate", "users", sourced_id, None)
        _enrol(conn, tenant, version, run, sourced_id, student)
    return sourced_id


def edit(url: Database, tenant: str, sourced_id: str, student: Student, *, by: str, reason: str | None = None) -> None:
    """Give a student who was added by hand other values, other classes included. Raises StoreError, as add does."""
    _check(student)
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        old = _manual(conn, tenant, sourced_id)
        _places_exist(conn, tenant, student)
        _put(conn, tenant, version, run, sourced_id, old, student)
        _leave(conn, tenant, version, run, sourced_id, kept=student.classes)
        _enrol(conn, tenant, version, run, sourced_id, student)


def amend(
    url: Database,
    tenant: str,
    sourced_id: str,
    changed: Mapping[str, Any],
    *,
    by: str,
    reason: str | None = None,
) -> None:
    """Change what is named of a student who was added by hand, and nothing else.

    changed: names of Student's fields, and their values; None, or an empty list, empties one. Classes that are named
    are all of them. A school or class that is not named may have ended meanwhile. Raises StoreError, as add does.
    """
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        old = _manual(conn, tenant, sourced_id)
        student = replace(_student(conn, tenant, old), **changed)
        _check(student)
        if changed.keys() & {"school", "classes"}:
            _places_exist(conn, tenant, student if "classes" in changed else replace(student, classes=()))
        _put(conn, tenant, version, run, sourced_id, old, student)
        if "classes" in changed:
            _leave(conn, tenant, version, run, sourced_id, kept=student.classes)
            _enrol(conn, tenant, version, run, sourced_id, student)


def _put(
    conn: psycopg.Connection, tenant: str, version: int, run: UUID, sourced_id: str, old: Any, student: Student
) -> None:
    _identifier_is_free(conn, tenant, student, sourced_id)
    conn.execute(
        "update roster.users set row_hash = %s, given_name = %s, family_name = %s, middle_name = %s, email = %s,"
        " username = %s, identifier = %s, grades = %s, roles = %s, org_sourced_ids = %s,"
        " primary_org_sourced_id = %s, last_changed = now() where tenant = %s and sourced_id = %s",
        (_hash(student), *_columns(student), tenant, sourced_id),
    )
    log(conn, tenant, version, run, "manualUpdate", "users", sourced_id, old)


def end(url: Database, tenant: str, sourced_id: str, *, by: str, reason: str | None = None) -> None:
    """Deactivate a student who was added by hand, with their enrollments. Raises StoreError(PersonUnknown)."""
    with connect(url) as conn, conn.transaction():
        version, run = begin(conn, tenant, by, reason)
        old = _manual(conn, tenant, sourced_id)
        conn.execute(
            "update roster.users set status = 'inactive', inactive_since = now(), last_changed = now()"
            " where tenant = %s and sourced_id = %s",
            (tenant, sourced_id),
        )
        log(conn, tenant, version, run, "manualEnd", "users", sourced_id, old)
        _leave(conn, tenant, version, run, sourced_id, kept=())


def _check(student: Student) -> None:
    texts = [value for value in asdict(student).values() if isinstance(value, str)]
    lists = [*student.grades, *student.classes]
    if not student.given_name.strip() or not student.family_name.strip() or not student.school:
        raise StoreError("StudentInvalid", "A student needs a given name, a family name and a school.", "Give all.")
    if any("\0" in text or len(text) > _LONGEST for text in (*texts, *lists)) or len(lists) > 100:
        raise StoreError("StudentInvalid", f"A value is longer than {_LONGEST}, or no text.", "Shorten it.")


def _places_exist(conn: psycopg.Connection, tenant: str, student: Student) -> None:
    school = conn.execute(
        "select from roster.orgs where tenant = %s and sourced_id = %s and type = 'school' and status = 'active'",
        (tenant, student.school),
    ).fetchone()
    if school is None:
        raise StoreError("SchoolUnknown", "The district has no active school with this sourcedId.", "Check the id.")
    wanted = list(dict.fromkeys(student.classes))
    row = conn.execute(
        "select count(*) from roster.classes where tenant = %s and sourced_id = any (%s) and status = 'active'",
        (tenant, wanted),
    ).fetchone()
    if row is None or row[0] != len(wanted):
        raise StoreError("ClassUnknown", "One of the classes is not an active class of the district.", "Check the ids.")


def _identifier_is_free(conn: psycopg.Connection, tenant: str, student: Student, sourced_id: str) -> None:
    if student.identifier is None:
        return
    taken = conn.execute(
        "select from roster.users where tenant = %s and identifier = %s and status = 'active' and sourced_id <> %s"
        " limit 1",
        (tenant, student.identifier, sourced_id),
    ).fetchone()
    if taken is not None:
        raise StoreError(
            "IdentifierTaken", "An active person has this identifier already.", "Look that person up instead."
        )


def _manual(conn: psycopg.Connection, tenant: str, sourced_id: str) -> Any:
    row = conn.execute(
        "select to_jsonb(u) from roster.users u where tenant = %s and sourced_id = %s and source = 'Manual'"
        " and status = 'active' for update",
        (tenant, sourced_id),
    ).fetchone()
    if row is None:
        raise StoreError(
            "PersonUnknown",
            "Nobody active who was added by hand has this sourcedId.",
            "What the SIS says is changed there.",
        )
    return row[0]


def _student(conn: psycopg.Connection, tenant: str, row: dict[str, Any]) -> Student:
    """A row as it was told; classes: those that were given by hand."""
    seats = conn.execute(
        "select class_sourced_id from roster.enrollments where tenant = %s and user_sourced_id = %s"
        " and source = 'Manual' and status = 'active' order by 1",
        (tenant, row["sourced_id"]),
    ).fetchall()
    return Student(
        row["given_name"] or "",
        row["family_name"] or "",
        row["primary_org_sourced_id"] or "",
        row["middle_name"],
        row["email"],
        row["username"],
        row["identifier"],
        row["grades"] or (),
        [str(sourced_id) for (sourced_id,) in seats],
    )


def _columns(student: Student) -> tuple[Any, ...]:
    roles = [
        {
            "role_type": "primary", "role": "student", "org_sourced_id": student.school, "begin_date": None,
            "end_date": None, "user_profile": None,
        }
    ]  # fmt: skip
    return (
        student.given_name,
        student.family_name,
        student.middle_name,
        student.email,
        student.username,
        student.identifier,
        list(student.grades),
        jsonb(roles),
        [student.school],
        student.school,
    )


def _hash(student: Student) -> bytes:
    return hashlib.sha256(json.dumps(asdict(student), sort_keys=True).encode()).digest()


def _enrol(conn: psycopg.Connection, tenant: str, version: int, run: UUID, user: str, student: Student) -> None:
    """Enrollments in the classes that the student is not in yet."""
    made = conn.execute(
        "insert into roster.enrollments (tenant, sourced_id, source, row_hash, first_seen, last_changed,"
        " user_sourced_id, class_sourced_id, school_sourced_id, role)"
        " select %s, 'manual-' || gen_random_uuid(), 'Manual',"
        " sha256(convert_to(c.sourced_id, 'UTF8')), now(), now(), %s, c.sourced_id, c.school_sourced_id, 'student'"
        " from roster.classes c where c.tenant = %s and c.sourced_id = any (%s) and not exists ("
        " select from roster.enrollments e where e.tenant = c.tenant and e.user_sourced_id = %s"
        " and e.class_sourced_id = c.sourced_id and e.status = 'active') returning sourced_id",
        (tenant, user, tenant, list(student.classes), user),
    ).fetchall()
    for (sourced_id,) in made:
        log(conn, tenant, version, run, "manualCreate", "enrollments", str(sourced_id), None)


def _leave(conn: psycopg.Connection, tenant: str, version: int, run: UUID, user: str, *, kept: Sequence[str]) -> None:
    """Ends the enrollments made by hand in other classes than these."""
    gone = conn.execute(
        "select e.sourced_id, to_jsonb(e) from roster.enrollments e where e.tenant = %s and e.user_sourced_id = %s"
        " and e.source = 'Manual' and e.status = 'active' and e.class_sourced_id <> all (%s) for update",
        (tenant, user, list(kept)),
    ).fetchall()
    for sourced_id, old in gone:
        log(conn, tenant, version, run, "manualEnd", "enrollments", str(sourced_id), old)
    conn.execute(
        "update roster.enrollments set status = 'inactive', inactive_since = now(), last_changed = now()"
        " where tenant = %s and sourced_id = any (%s)",
        (tenant, [str(sourced_id) for sourced_id, _ in gone]),
    )
