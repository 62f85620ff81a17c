"""Who of the imported people may use the application. Nobody, until somebody says so.

Access is kept beside the merged rows and never copied into them, so no sync can grant it. It counts while the person is
active (view roster_app.access): it ends by itself when they are deactivated, and is back when that is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import class_row

from .database import Database, connect
from .errors import StoreError
from .invitations import STATE


@dataclass(frozen=True)
class Access:
    """One person's access. effective: it counts now, as the person is active and it was not revoked.
    invitation: how it stands (invitations.STATE), None where they were never invited."""

    user_sourced_id: str
    permissions: tuple[str, ...]
    granted_by: str
    granted_at: datetime
    reason: str | None
    revoked_by: str | None
    revoked_at: datetime | None
    effective: bool
    invitation: str | None = None
    invited_at: datetime | None = None


@dataclass(frozen=True)
class Holder:
    """A person as a list of access shows them. permissions: None where they never had any. name: empty where the
    person's record is gone. invitation: as of Access; invitation_trouble: why its message was not taken."""

    sourced_id: str
    name: str
    role: str | None
    email: str | None
    status: str | None
    permissions: list[str] | None
    granted_by: str | None
    granted_at: datetime | None
    revoked_at: datetime | None
    effective: bool
    invitation: str | None
    invited_at: datetime | None
    invitation_trouble: str | None


# Access that had ended begins anew: an invitation of before, or that it was used, counts no more.
_INVITED_AS_BEFORE: LiteralString = ", ".join(
    name + " = case when app_access.revoked_at is null then app_access." + name + " end"
    for name in (
        "invitation", "invited_by", "invited_at", "invited_to", "invitation_expires", "invitation_sent",
        "invitation_trouble", "redeemed_at",
    )
)  # fmt: skip

# What is done to one person's access: connection, tenant, sourcedId, reason.
Act = Callable[[psycopg.Connection, str, str, str | None], None]


def grant(
    url: Database, tenant: str, user: str, permissions: Sequence[str], *, by: str, reason: str | None = None
) -> None:
    """Let an active person in, with these permissions instead of any they had. Raises StoreError(PersonUnknown…)."""
    wanted = list(dict.fromkeys(permissions))
    if not 1 <= len(wanted) <= 64 or not all(0 < len(each) <= 128 for each in wanted):
        raise StoreError("PermissionsInvalid", "1 to 64 permissions of at most 128 letters are needed.", "Name them.")
    with connect(url) as conn, conn.transaction():
        found = conn.execute(
            "select status from roster.users where tenant = %s and sourced_id = %s", (tenant, user)
        ).fetchone()
        if found is None or found[0] != "active":
            raise StoreError(
                "PersonUnknown",
                "The district has no active person with this sourcedId.",
                "Merge a sync that has the person in it, or check the id.",
            )
        conn.execute(
            "insert into roster.app_access (tenant, user_sourced_id, permissions, granted_by, reason)"
            " values (%s, %s, %s, %s, %s) on conflict (tenant, user_sourced_id) do update set"
            " permissions = excluded.permissions, granted_by = excluded.granted_by, granted_at = now(),"
            " reason = excluded.reason, revoked_by = null, revoked_at = null, revoked_run = null, "
            + _INVITED_AS_BEFORE,
            (tenant, user, wanted, by, reason),
        )


def revoke(url: Database, tenant: str, user: str, *, by: str, reason: str | None = None) -> None:
    """End a person's access, and with it an invitation that was not used. Raises StoreError(AccessUnknown)."""
    with connect(url) as conn:
        done = conn.execute(
            "update roster.app_access set revoked_by = %s, revoked_at = now(), reason = coalesce(%s, reason),"
            " invitation = case when redeemed_at is not null then invitation end"
            " where tenant = %s and user_sourced_id = %s and revoked_at is null",
            (by, reason, tenant, user),
        )
        if not done.rowcount:
            raise StoreError("AccessUnknown", "This person has no access that could end.", "`roster access list`")


def listing(url: Database, tenant: str) -> list[Access]:
    """Everybody who has or had access, by sourcedId."""
    with connect(url) as conn:
        rows = conn.execute(
            "select x.user_sourced_id, x.permissions, x.granted_by, x.granted_at, x.reason, x.revoked_by, x.revoked_at,"
            " x.revoked_at is null and u.status = 'active' and u.enabled_user is not false, " + STATE + ", x.invited_at"
            " from roster.app_access x left join roster.users u on u.tenant = x.tenant"
            " and u.sourced_id = x.user_sourced_id where x.tenant = %s order by 1",
            (tenant,),
        ).fetchall()
    return [
        Access(str(row[0]), tuple(row[1]), *row[2:7], effective=bool(row[7]), invitation=row[8], invited_at=row[9])
        for row in rows
    ]


def of(conn: psycopg.Connection, tenant: str, user: str) -> Access | None:
    """One person's access, if they have or had any."""
    row = conn.execute(
        "select x.user_sourced_id, x.permissions, x.granted_by, x.granted_at, x.reason, x.revoked_by, x.revoked_at,"
        " x.revoked_at is null and u.status = 'active' and u.enabled_user is not false, " + STATE + ", x.invited_at"
        " from roster.app_access x left join roster.users u on u.tenant = x.tenant"
        " and u.sourced_id = x.user_sourced_id where x.tenant = %s and x.user_sourced_id = %s",
        (tenant, user),
    ).fetchone()
    return (
        None
        if row is None
        else Access(str(row[0]), tuple(row[1]), *row[2:7], effective=bool(row[7]), invitation=row[8], invited_at=row[9])
    )


_HOLDER = (
    "select {id} as sourced_id,"
    " coalesce(nullif(concat_ws(' ', u.given_name, u.family_name), ''), u.username, '') as name,"
    " u.role, u.email, u.status, x.permissions, x.granted_by, x.granted_at, x.revoked_at,"
    " coalesce(x.granted_at is not null and x.revoked_at is null and u.status = 'active'"
    " and u.enabled_user is not false, false) as effective, " + STATE + " as invitation, x.invited_at,"
    " x.invitation_trouble "
)


def holders(conn: psycopg.Connection, tenant: str, limit: int = 500) -> list[Holder]:
    """Who has or had access, those who have some now first."""
    with conn.cursor(row_factory=class_row(Holder)) as cursor:
        cursor.execute(
            (
                _HOLDER.replace("{id}", "x.user_sourced_id") + "from roster.app_access x left join roster.users u"
                " on u.tenant = x.tenant and u.sourced_id = x.user_sourced_id where x.tenant = %s"
                " order by effective desc, name, x.user_sourced_id limit %s"
            ).encode(),
            (tenant, limit),
        )
        return cursor.fetchall()


def candidates(conn: psycopg.Connection, tenant: str, text: str, limit: int = 20) -> list[Holder]:
    """Active people by a part of their name, or by their id, user name or address."""
    with conn.cursor(row_factory=class_row(Holder)) as cursor:
        cursor.execute(
            (
                _HOLDER.replace("{id}", "u.sourced_id") + "from roster.users u left join roster.app_access x"
                " on x.tenant = u.tenant and x.user_sourced_id = u.sourced_id where u.tenant = %(tenant)s"
                " and u.status = 'active' and (position(lower(%(text)s) in lower(concat_ws(' ', u.given_name,"
                " u.family_name))) > 0 or u.sourced_id = %(text)s or lower(u.username) = lower(%(text)s)"
                " or lower(u.email) = lower(%(text)s)) order by u.role = 'student', name, u.sourced_id limit %(limit)s"
            ).encode(),
            {"tenant": tenant, "text": text, "limit": limit},
        )
        return cursor.fetchall()


def permissions(conn: psycopg.Connection, tenant: str) -> list[str]:
    """The permissions that anybody of the district has had."""
    rows = conn.execute(
        "select distinct p from roster.app_access x, unnest(x.permissions) p where x.tenant = %s order by 1 limit 200",
        (tenant,),
    ).fetchall()
    return [str(permission) for (permission,) in rows]
