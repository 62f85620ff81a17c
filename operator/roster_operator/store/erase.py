"""Erasing on demand, with the owner's login: one person, or one district. Each leaves a receipt without personal data.

A person who still stands in the SIS comes back with the next pull: they have to go there first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from . import endings, logins
from .database import connect
from .errors import StoreError
from .runs import database_id, jsonb


@dataclass(frozen=True)
class Receipt:
    """What went, by table. `receipt` finds it again in roster.erasure."""

    receipt: UUID
    rows: dict[str, int]


def person(
    owner_url: str, tenant: str, sourced_id: str, *, by: str, reason: str | None = None, discard_staged: bool = False
) -> Receipt:
    """Erase a person: record, demographics, enrollments, access, and every trace in the history.

    discard_staged: end the tenant's syncs that wait, and delete the zips that rest here: either may hold the person,
    too. Raises StoreError(TenantUnknown, PersonUnknown, StagedSyncsWait, UploadsRest).
    """
    with connect(owner_url) as conn, conn.transaction():
        _lock(conn, tenant)
        _end_staged(conn, tenant, discard=discard_staged)
        uploaded = _delete_uploads(conn, tenant, discard=discard_staged)
        given = {"tenant": tenant, "ids": _ids_of(conn, tenant, sourced_id)}
        conn.execute(
            "delete from roster.issue i using roster.enrollments e where i.tenant = %(tenant)s and e.tenant = i.tenant"
            " and i.entity = 'enrollments' and i.sourced_id = e.sourced_id and e.user_sourced_id = any (%(ids)s)",
            given,
        )
        # A created enrollment's entry has no old row: found by the enrollments that are about to go.
        created = conn.execute(
            "delete from roster.change_log l using roster.enrollments e where l.tenant = %(tenant)s"
            " and e.tenant = l.tenant and l.entity = 'enrollments' and l.sourced_id = e.sourced_id"
            " and e.user_sourced_id = any (%(ids)s)",
            given,
        ).rowcount
        rows: dict[str, int] = {}
        for table, statement in _OF_A_PERSON.items():
            count = conn.execute(statement.encode(), given).rowcount
            rows[table] = count + (created if table == "change_log" else 0)
        if not any(rows.values()):  # then the zips stay, too
            raise StoreError("PersonUnknown", "The district has no trace of this sourcedId.", "Check the id.")
        return _receipt(conn, tenant, "person", sourced_id, rows | uploaded, by, reason)


# Ids of enrollments first, while the enrollments tell whose they are.
_OF_A_PERSON = {
    "succession": "delete from roster.succession x where x.tenant = %(tenant)s"
    " and (x.entity in ('users', 'demographics') and array[x.old_sourced_id, x.new_sourced_id] && %(ids)s::text[]"
    " or x.entity = 'enrollments'"
    " and exists (select from roster.enrollments e where e.tenant = x.tenant and e.user_sourced_id = any (%(ids)s)"
    " and e.sourced_id in (x.old_sourced_id, x.new_sourced_id)))",
    "pin": "delete from roster.pin p where p.tenant = %(tenant)s and (p.entity in ('users', 'demographics')"
    " and p.sourced_id = any (%(ids)s) or p.entity = 'enrollments' and exists (select from roster.enrollments e"
    " where e.tenant = p.tenant and e.sourced_id = p.sourced_id and e.user_sourced_id = any (%(ids)s)))",
    "match_decision": "delete from roster.match_decision where tenant = %(tenant)s"
    " and (manual_sourced_id = any (%(ids)s) or sourced_id = any (%(ids)s))",
    "enrollments": "delete from roster.enrollments where tenant = %(tenant)s and user_sourced_id = any (%(ids)s)",
    "demographics": "delete from roster.demographics where tenant = %(tenant)s and sourced_id = any (%(ids)s)",
    "app_access": "delete from roster.app_access where tenant = %(tenant)s and user_sourced_id = any (%(ids)s)",
    "reference_use": "delete from roster.reference_use where tenant = %(tenant)s and entity = 'users'"
    " and sourced_id = any (%(ids)s)",
    "change_log": "delete from roster.change_log where tenant = %(tenant)s and (entity in ('users', 'demographics')"
    " and sourced_id = any (%(ids)s) or entity = 'enrollments' and old ->> 'user_sourced_id' = any (%(ids)s))",
    "issue": "delete from roster.issue where tenant = %(tenant)s and entity in ('users', 'demographics')"
    " and sourced_id = any (%(ids)s)",
    "users": "delete from roster.users where tenant = %(tenant)s and sourced_id = any (%(ids)s)",
}


def _ids_of(conn: psycopg.Connection, tenant: str, sourced_id: str) -> list[str]:
    """This id, and those that the same person had before or has had since."""
    rows = conn.execute(
        'with recursive known(id) as (select %(id)s::text collate "C" union select case when x.old_sourced_id = k.id'
        " then x.new_sourced_id else x.old_sourced_id end from known k join roster.succession x"
        " on x.tenant = %(tenant)s and x.entity = 'users' and x.undone_at is null"
        " and k.id in (x.old_sourced_id, x.new_sourced_id)) select id from known",
        {"tenant": tenant, "id": sourced_id},
    ).fetchall()
    return [str(row[0]) for row in rows]


def district(owner_url: str, tenant: str, *, by: str, reason: str | None = None) -> Receipt:
    """Erase a tenant: every row of it, what is staged, and its two logins. Raises StoreError(TenantUnknown)."""
    with connect(owner_url) as conn, conn.transaction():
        pair = _lock(conn, tenant)
        _end_staged(conn, tenant, discard=True)
        tables = conn.execute(
            "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant'"
            " where c.relnamespace = 'roster'::regnamespace and c.relkind = 'r' and c.relname <> 'erasure' order by 1"
        ).fetchall()
        rows = {
            str(table): conn.execute(
                sql.SQL("delete from {} where tenant = %s").format(sql.Identifier("roster", str(table))), (tenant,)
            ).rowcount
            for (table,) in tables
        }
        for login in pair:
            logins.drop(conn, login)
        return _receipt(conn, tenant, "tenant", "", {table: n for table, n in rows.items() if n}, by, reason)


def _lock(conn: psycopg.Connection, tenant: str) -> tuple[str, str]:
    """The tenant's two logins; no merge runs beside us from here on."""
    conn.execute("select roster.lock_tenant(%s)", (tenant,))
    found = conn.execute(
        "select stage_login, merge_login from roster.tenant where tenant = %s for update", (tenant,)
    ).fetchone()
    if found is None:
        raise StoreError("TenantUnknown", "There is no such tenant.", "`roster tenant list` shows them.")
    return str(found[0]), str(found[1])


def _end_staged(conn: psycopg.Connection, tenant: str, *, discard: bool) -> None:
    waiting = endings.staged(conn, tenant)
    if waiting and not discard:
        raise StoreError(
            "StagedSyncsWait",
            f"{len(waiting)} syncs of this district are staged, and may hold the person.",
            "Decide on them first, or have them discarded with --discard-staged.",
        )
    endings.end(conn, tenant, waiting, "erased")


def _delete_uploads(conn: psycopg.Connection, tenant: str, *, discard: bool) -> dict[str, int]:
    """Nobody looks into the zips: whether somebody is in one, a mapping, an encoding or a broken row may hide."""
    # One that is just being written is seen, or waits until we are done.
    conn.execute("select pg_advisory_xact_lock(hashtextextended('roster/upload/' || %s, 0))", (tenant,))
    resting = conn.execute(
        "select digest from roster.upload where tenant = %s and gone is null order by digest", (tenant,)
    ).fetchall()
    if resting and not discard:
        named = ", ".join(str(digest)[:19] for (digest,) in resting[:3])
        raise StoreError(
            "UploadsRest",
            f"{len(resting)} uploaded zips of this district rest here, and may hold the person: {named}"
            f"{', …' if len(resting) > 3 else ''}.",
            "Merge them first, or have them deleted with --discard-staged and send them again without the person.",
        )
    conn.execute("delete from roster.upload where tenant = %s and gone is null", (tenant,))
    return {"upload": len(resting)} if resting else {}


def _receipt(
    conn: psycopg.Connection, tenant: str, kind: str, subject: str, rows: dict[str, int], by: str, reason: str | None
) -> Receipt:
    about = hashlib.sha256(f"{database_id(conn)}/{tenant}/{subject}".encode()).digest()
    row = conn.execute(
        "insert into roster.erasure (tenant, kind, subject, rows, erased_by, reason) values (%s, %s, %s, %s, %s, %s)"
        " returning receipt",
        (tenant, kind, about, jsonb(rows), by, reason),
    ).fetchone()
    assert row is not None
    return Receipt(row[0], rows)
