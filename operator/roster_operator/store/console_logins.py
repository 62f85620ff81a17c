"""The console's own login, made by the owner with `roster console-login`."""

from __future__ import annotations

import re

from . import logins
from .database import connect
from .errors import StoreError

_LOGIN = re.compile(r"[a-z][a-z0-9_]{0,62}")


def create(owner_url: str, login: str, *, rotate: bool = False, host: str | None = None) -> str:
    """Make a login for a console, or with `rotate` give it a new password; its URL, password included.

    Raises StoreError(ConsoleNameInvalid, ConsoleExists, ConsoleUnknown).
    """
    if not _LOGIN.fullmatch(login):
        raise StoreError(
            "ConsoleNameInvalid",
            "A login's name is a PostgreSQL role: small letters, digits and underscores, beginning with a letter.",
            "Choose another name.",
        )
    with connect(owner_url) as conn, conn.transaction():
        ours = conn.execute("select from roster.console where login = %s", (login,)).fetchone() is not None
        if rotate:
            if not ours:
                raise _unknown()
            return logins.rotate(conn, owner_url, login, host)
        if conn.execute("select from pg_roles where rolname = %s", (login,)).fetchone() is not None:
            raise StoreError(
                "ConsoleExists",
                "The server has a role of this name already.",
                "Choose another name, or use --rotate for a new password.",
            )
        conn.execute("insert into roster.console (login) values (%s)", (login,))
        return logins.create(conn, owner_url, login, "roster_console", host)


def drop(owner_url: str, login: str) -> None:
    """Take a console's login away. Raises StoreError(ConsoleUnknown)."""
    with connect(owner_url) as conn, conn.transaction():
        if not conn.execute("delete from roster.console where login = %s", (login,)).rowcount:
            raise _unknown()
        conn.execute("delete from roster.console_session where login = %s", (login,))
        logins.drop(conn, login)


def _unknown() -> StoreError:
    return StoreError("ConsoleUnknown", "The console has no login of this name.", "Make one: `roster console-login`.")
