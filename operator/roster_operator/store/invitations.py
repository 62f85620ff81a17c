"""Invitations into the application: a link that is used once, for a person who has access (migrations of invitations).

The token is made here, leaves in the message that is sent, and is kept nowhere: in the database stands its hash. An
invitation is written down before its message is sent, and so it waits where the mail server does not take it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg

from .errors import StoreError

LIFETIME = timedelta(hours=72)
TO_ONE = 3  # invitations to one person within an hour
BY_ONE = 200  # invitations by one person within an hour
_HOUR = "interval '1 hour'"

# How a person's invitation stands, as an expression over app_access as x. Null: they were never invited.
STATE: LiteralString = (
    "case when x.invited_at is null then null when x.redeemed_at is not null then 'Redeemed'"
    " when x.invitation is null then 'Withdrawn' when x.invitation_expires <= now() then 'Expired'"
    " when x.invitation_sent is not null then 'Sent' else 'Waiting' end"
)


@dataclass(frozen=True)
class Invitation:
    """What is sent, once. It is shown nowhere else, and repr hides it."""

    token: str = field(repr=False)
    address: str = field(repr=False)
    expires: datetime  # UTC


def invite(conn: psycopg.Connection, tenant: str, user: str, *, by: str, lifetime: timedelta = LIFETIME) -> Invitation:
    """A new invitation for somebody who has access, in place of one that they had. To be sent after the commit.

    Raises StoreError(AccessUnknown, PersonUnknown, AddressMissing, InvitationUsed, InvitedTooOften).
    """
    # The row stays locked until the end: two who invite the same person at once are counted one after the other.
    row = conn.execute(
        "select x.revoked_at is not null, x.redeemed_at is not null, u.email, u.status = 'active' and u.enabled_user is"
        " not false from roster.app_access x left join roster.users u on u.tenant = x.tenant"
        " and u.sourced_id = x.user_sourced_id where x.tenant = %s and x.user_sourced_id = %s for update of x",
        (tenant, user),
    ).fetchone()
    if row is None or row[0]:
        raise StoreError("AccessUnknown", "This person has no access to be invited to.", "Activate them first.")
    _, redeemed, address, active = row
    if not active:
        raise StoreError(
            "PersonUnknown",
            "This person is not active in the roster, or is disabled by the district.",
            "Correct it in the SIS, and merge a sync.",
        )
    if redeemed:
        raise StoreError(
            "InvitationUsed",
            "This person has used their invitation.",
            "They sign in at the application. For another link, end their access and activate them again.",
        )
    if not address:
        raise StoreError(
            "AddressMissing",
            "The roster has no e-mail address of this person.",
            "Enter it in the SIS and merge a sync, or activate them without an invitation.",
        )
    _not_too_often(conn, tenant, user, by)
    token = secrets.token_urlsafe(32)
    expires = conn.execute(
        "update roster.app_access x set invitation = %(hash)s, invited_by = %(by)s, invited_at = now(),"
        " invited_to = roster.hash_of(x.tenant, 'address', %(address)s), invitation_expires = now() + %(lifetime)s,"
        " invitation_sent = null, invitation_trouble = null where x.tenant = %(tenant)s"
        " and x.user_sourced_id = %(user)s returning x.invitation_expires",
        {"hash": _hash(token), "by": by, "address": address, "lifetime": lifetime, "tenant": tenant, "user": user},
    ).fetchone()
    assert expires
    _note(conn, tenant, user, "invited", by)
    return Invitation(token, str(address), expires[0].astimezone(UTC))


def settle(
    conn: psycopg.Connection, tenant: str, user: str, invitation: Invitation, *, by: str, trouble: str | None
) -> None:
    """Write down what became of the message. trouble: the reason why the mail server did not take it.

    Where a newer invitation has taken its place meanwhile, that one's state is not touched.
    """
    conn.execute(
        "update roster.app_access set invitation_sent = case when %(trouble)s::text is null then now() end,"
        " invitation_trouble = %(trouble)s where tenant = %(tenant)s and user_sourced_id = %(user)s"
        " and invitation = %(hash)s",
        {"trouble": trouble, "tenant": tenant, "user": user, "hash": _hash(invitation.token)},
    )
    if trouble is not None:
        _note(conn, tenant, user, "notSent", by, trouble)


def withdraw(conn: psycopg.Connection, tenant: str, user: str, *, by: str) -> None:
    """The link counts no more; the access stays. Raises StoreError(InvitationUnknown)."""
    done = conn.execute(
        "update roster.app_access set invitation = null where tenant = %s and user_sourced_id = %s"
        " and invitation is not null and redeemed_at is null",
        (tenant, user),
    )
    if not done.rowcount:
        raise StoreError(
            "InvitationUnknown",
            "This person has no invitation that could be withdrawn.",
            "To keep somebody out who has used theirs, end their access.",
        )
    _note(conn, tenant, user, "withdrawn", by)


def _not_too_often(conn: psycopg.Connection, tenant: str, user: str, by: str) -> None:
    to_one, by_one = conn.execute(
        "select count(*) filter (where subject = roster.hash_of(tenant, 'user', %s)), count(*) filter (where who = %s)"
        f" from roster.access_act where tenant = %s and act = 'invited' and at > now() - {_HOUR}".encode(),
        (user, by, tenant),
    ).fetchone() or (0, 0)
    if int(to_one) >= TO_ONE:
        raise StoreError(
            "InvitedTooOften",
            f"This person was invited {TO_ONE} times within an hour.",
            "Ask them to look among the mail that was sorted out, and wait an hour.",
        )
    if int(by_one) >= BY_ONE:
        raise StoreError("InvitedTooOften", f"You have invited {BY_ONE} people within an hour.", "Wait an hour.")


def _note(conn: psycopg.Connection, tenant: str, user: str, act: str, who: str, detail: str | None = None) -> None:
    conn.execute(
        "insert into roster.access_act (tenant, act, who, subject, detail)"
        " values (%s, %s, %s, roster.hash_of(%s, 'user', %s), %s)",
        (tenant, act, who[:256], tenant, user, detail),
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
