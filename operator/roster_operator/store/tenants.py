"""Tenants and their logins: made by the owner, with `roster tenant`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from . import logins
from .database import connect
from .errors import StoreError
from .runs import database_id


@dataclass(frozen=True)
class Logins:
    """The two URLs of a tenant, with passwords: for a Secret, nothing else."""

    stage_url: str
    merge_url: str

    def __repr__(self) -> str:
        return "Logins(…)"


@dataclass(frozen=True)
class Tenant:
    """A tenant as the owner sees it."""

    tenant: str
    data_version: int
    claimed_by: str | None
    created_at: datetime


def create(owner_url: str, tenant: str, *, rotate: bool = False, host: str | None = None) -> Logins:
    """Make a tenant with its stage and its merge login; with `rotate`, give an existing one new passwords.

    `host` (host or host:port) stands in the URLs instead of the owner's.

    Raises StoreError(TenantExists, TenantUnknown).
    """
    with connect(owner_url) as conn, conn.transaction():
        known = conn.execute(
            "select stage_login, merge_login from roster.tenant where tenant = %s", (tenant,)
        ).fetchone()
        if known and not rotate:
            raise StoreError(
                "TenantExists", "This tenant exists already.", "Use --rotate for new passwords, or another tenant."
            )
        if rotate and not known:
            raise StoreError("TenantUnknown", "There is no such tenant.", "Create it without --rotate.")
        if known:
            stage_login, merge_login = str(known[0]), str(known[1])
        else:
            stage_login, merge_login = login_names(database_id(conn), tenant)
            conn.execute(
                "insert into roster.tenant (tenant, stage_login, merge_login) values (%s, %s, %s)",
                (tenant, stage_login, merge_login),
            )
        pair = ((stage_login, "roster_stager"), (merge_login, "roster_merger"))
        urls = [
            logins.rotate(conn, owner_url, login, host) if known else logins.create(conn, owner_url, login, group, host)
            for login, group in pair
        ]
    return Logins(*urls)


def release(owner_url: str, tenant: str) -> bool:
    """Free a tenant's claim, so that another connection may take it. False where it was free."""
    with connect(owner_url) as conn:
        done = conn.execute(
            "update roster.tenant set claimed_by_cluster = null, claimed_by_namespace = null, claimed_by_name = null,"
            " claimed_at = null where tenant = %s and claimed_at is not null",
            (tenant,),
        )
        if done.rowcount:
            return True
        if conn.execute("select from roster.tenant where tenant = %s", (tenant,)).fetchone() is None:
            raise StoreError("TenantUnknown", "There is no such tenant.", "`roster tenant list` shows them.")
        return False


def listing(owner_url: str) -> list[Tenant]:
    """All tenants by name."""
    with connect(owner_url) as conn:
        rows = conn.execute(
            "select tenant, data_version, claimed_by_namespace || '/' || claimed_by_name, created_at"
            ' from roster.tenant order by tenant collate "C"'
        ).fetchall()
    return [Tenant(*row) for row in rows]


def login_names(database: str, tenant: str) -> tuple[str, str]:
    """Stage and merge login. Roles belong to the whole server, so the database's identity is in the name."""
    slug = re.sub(r"[^a-z0-9]+", "_", tenant.lower())[:32].strip("_")
    mark = hashlib.sha256(f"{database}/{tenant}".encode()).hexdigest()[:10]
    return f"roster_{slug}_{mark}_stage", f"roster_{slug}_{mark}_merge"
