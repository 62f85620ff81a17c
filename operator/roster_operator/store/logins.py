"""PostgreSQL logins, made and taken away by the owner: the tenants' own, and the application's."""

from __future__ import annotations

import secrets
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg import conninfo, sql

from . import server_log


def create(conn: psycopg.Connection, owner_url: str, login: str, group: str, host: str | None) -> str:
    """Make a login of a group that may enter this database, and give its URL.

    `host` (host or host:port) stands in the URL instead of the owner's.
    """
    role = sql.Identifier(login)
    url = _set_password(conn, owner_url, "create role {} login password {}", login, host)
    conn.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), role))
    conn.execute(sql.SQL("grant connect on database {} to {}").format(sql.Identifier(conn.info.dbname), role))
    server_log.quieten(conn, [login])
    return url


def rotate(conn: psycopg.Connection, owner_url: str, login: str, host: str | None) -> str:
    """Give a login a new password; its URL is as `create` gives it."""
    server_log.quieten(conn, [login])
    # An owner who is no superuser may not even repeat that a role is none.
    return _set_password(conn, owner_url, "alter role {} password {}", login, host)


def drop(conn: psycopg.Connection, login: str) -> None:
    """Take a login away."""
    role = sql.Identifier(login)
    conn.execute(sql.SQL("revoke connect on database {} from {}").format(sql.Identifier(conn.info.dbname), role))
    conn.execute(sql.SQL("drop role {}").format(role))


def _set_password(
    conn: psycopg.Connection,
    owner_url: str,
    statement: LiteralString,
    login: str,
    host: str | None,
) -> str:
    password = secrets.token_urlsafe(24)
    # The verifier, not the password, goes over the wire and into the server's log.
    verifier = conn.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
    conn.execute(sql.SQL(statement).format(sql.Identifier(login), sql.Literal(verifier)))
    return _url_for(owner_url, conn, login, password, host)


def _url_for(owner_url: str, conn: psycopg.Connection, login: str, password: str, elsewhere: str | None) -> str:
    """The owner's URL with another login: same host (unless `elsewhere`), port, database and TLS settings."""
    parts = conninfo.conninfo_to_dict(owner_url)
    keep = {k: str(v) for k, v in parts.items() if k in {"sslmode", "sslrootcert"} and v is not None}
    host = str(parts.get("host") or conn.info.host)
    if host.startswith("/"):
        keep["host"], authority = host, ""
    else:
        authority = f"[{host}]" if ":" in host else host
    port = parts.get("port") or conn.info.port
    if elsewhere:
        keep.pop("host", None)
        authority = elsewhere if ":" in elsewhere else f"{elsewhere}:{port}"
    elif authority:
        authority = f"{authority}:{port}"
    else:
        keep["port"] = str(port)
    query = "&".join(f"{k}={quote(v, safe='')}" for k, v in keep.items())
    database = quote(conn.info.dbname, safe="")
    base = f"postgresql://{quote(login, safe='')}:{quote(password, safe='')}@{authority}/{database}"
    return f"{base}?{query}" if query else base
