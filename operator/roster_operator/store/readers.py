"""The application's logins: they see the views of roster_app for some tenants or all, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import logins
from .database import connect
from .errors import StoreError

_LOGIN = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


@dataclass(frozen=True)
class Reader:
    """A login of the application. tenants: None for all."""

    login: str
    tenants: tuple[str, ...] | None


def create(owner_url: str, login: str, seen: Sequence[str] | None, *, host: str | None = None) -> str:
    """Make a login that reads these tenants (None: all, future ones too), and give its URL, password included.

    Raises StoreError(ReaderNameInvalid, ReaderExists, TenantUnknown).
    """
    if not _LOGIN.fullmatch(login):
        raise StoreError(
            "ReaderNameInvalid",
            "A reader's name is a PostgreSQL role: small letters, digits and underscores, beginning with a letter.",
            "Choose another name.",
        )
    with connect(owner_url) as conn, conn.transaction():
        if conn.execute("select from pg_roles where rolname = %s", (login,)).fetchone() is not None:
            raise StoreError("ReaderExists", "The server has a role of this name already.", "Choose another name.")
        conn.execute("insert into roster.reader (login, all_tenants) values (%s, %s)", (login, seen is None))
        for tenant in dict.fromkeys(seen or ()):
            if conn.execute("select from roster.tenant where tenant = %s", (tenant,)).fetchone() is None:
                raise StoreError(
                    "TenantUnknown", "One of the tenants does not exist.", "`roster tenant list` shows them."
                )
            conn.execute("insert into roster.reader_tenant (login, tenant) values (%s, %s)", (login, tenant))
        return logins.create(conn, owner_url, login, "roster_reader", host)


def listing(owner_url: str) -> list[Reader]:
    """All readers by name."""
    with connect(owner_url) as conn:
        rows = conn.execute(
            "select r.login, r.all_tenants, array(select t.tenant from roster.reader_tenant t"
            " where t.login = r.login order by 1) from roster.reader r order by 1"
        ).fetchall()
    return [Reader(str(login), None if everything else tuple(seen)) for login, everything, seen in rows]


def drop(owner_url: str, login: str) -> None:
    """Take a reader's login away. Raises StoreError(ReaderUnknown)."""
    with connect(owner_url) as conn, conn.transaction():
        if not conn.execute("delete from roster.reader where login = %s", (login,)).rowcount:
            raise StoreError("ReaderUnknown", "There is no such reader.", "`roster reader list` shows them.")
        logins.drop(conn, login)
