"""When the credentials of a connection end, as far as anything tells: nobody announces it when they do.

Three places may know: a key `expires` that a person keeps in the Secret beside the credentials, a static token that
says so itself (JWT, `exp`), and PostgreSQL (`VALID UNTIL` of the tenant's two logins). The earliest of them counts.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import psycopg

from roster_operator.api.sources import EXPIRES, TOKEN

from .failures import WorkerError
from .inputs import SecretValues

_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def of_secret(secret: SecretValues) -> datetime | None:
    """As the Secret says, or its token does. Raises WorkerError(ExpiresMalformed, SecretMissing…)."""
    said = secret.maybe(EXPIRES)
    told = [_moment(said) if said else None, _of_token(secret.maybe(TOKEN) or "")]
    return min((moment for moment in told if moment), default=None)


def of_logins(conn: psycopg.Connection) -> datetime | None:
    """VALID UNTIL of the tenant's two logins, the earlier one; None where both last."""
    row = conn.execute(
        "select min(r.rolvaliduntil) from pg_catalog.pg_roles r join roster.tenant t"
        " on r.rolname in (t.stage_login, t.merge_login) where isfinite(r.rolvaliduntil)"
    ).fetchone()
    found = row[0] if row else None
    return found.astimezone(UTC) if isinstance(found, datetime) else None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WorkerError(
            "ExpiresMalformed",
            f"The key {EXPIRES} of the Secret is no date.",
            "Write it as 2027-06-30, or as 2027-06-30T12:00:00Z.",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _of_token(token: str) -> datetime | None:
    """`exp` of a JWT (RFC 7519); None for any other token. Nothing is trusted because of it."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = float(claims["exp"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return datetime.fromtimestamp(ends, UTC) if 0 < ends < _LATEST else None
