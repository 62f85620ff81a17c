"""The application's logins: they see the views of roster_app for some tenants or all, and nothing else."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from .database import connect
from .errors import StoreError
from .tenants import url_for

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
        password = secrets.token_urlsafe(24)
        # The verifier, not the password, goes over the wire and into the server's log.
        verifier = conn.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
        role = sql.Identifier(login)
        conn.execute(sql.SQL("create role {} login password {}").format(role, sql.Literal(verifier)))
        conn.execute(sql.SQL("grant roster_reader to {}").format(role))
        conn.execute(sql.SQL("grant connect on database {} to {}").format(sql.Identifier(conn.info.dbname), role))
        return url_for(owner_url, conn, login, password, host)


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
        role = sql.Identifier(login)
        conn.execute(sql.SQL("revoke connect on database {} from {}").format(sql.Identifier(conn.info.dbname), role))
        conn.execute(sql.SQL("drop role {}").format(role))
