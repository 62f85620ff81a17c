"""Inviting a person into the application: written down first, then sent, and then what became of the message.

Access that was given stays where the mail server is down, and the invitation waits: docs/decisions/
0017-an-invitation-is-a-link-that-is-used-once.md says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from roster_operator.mail import MailError
from roster_operator.store import access, invitations
from roster_operator.store.invitations import Invitation
from roster_operator.store.readings import Kind

from . import problems
from .resources import Connection
from .sessions import Session
from .site import Site

PERMISSION = r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,127}"


def permissions_of(text: str) -> list[str]:
    """What a form names, separated by blanks or commas. Raises problems.Problem."""
    wanted = text.replace(",", " ").split()
    if not wanted or not all(re.fullmatch(PERMISSION, each) for each in wanted):
        raise problems.not_valid("Name at least one permission: letters, digits and : . _ / -, separated by blanks.")
    return wanted


async def invite(
    site: Site,
    person: Session,
    connection: Connection,
    user: str,
    *,
    permissions: Sequence[str] | None = None,
    reason: str | None = None,
) -> MailError | None:
    """Invite somebody who has access; with permissions, give it in the same transaction.

    Gives why the mail server did not take the message: the invitation then waits, to be sent again. Raises
    problems.Problem, and then nothing was changed.
    """
    inviting = site.inviting
    if inviting is None:
        raise problems.invites_nobody()

    def begin(conn: psycopg.Connection, tenant: str) -> Invitation:
        if permissions is not None:
            access.grant(conn, tenant, user, permissions, by=person.person, reason=reason)
        return invitations.invite(conn, tenant, user, by=person.person, lifetime=inviting.lifetime)

    made = await site.records.use(person, connection, Kind.ACCESS, begin, subject=user, write=True)
    trouble = await inviting.send(made)
    became = trouble.reason.value if trouble else None
    await site.records.use(
        person,
        connection,
        Kind.ACCESS,
        lambda conn, tenant: invitations.settle(conn, tenant, user, made, by=person.person, trouble=became),
        subject=user,
        write=True,
    )
    return trouble
