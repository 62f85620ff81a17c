"""The JSON API of access: who of the imported people may use the application."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import Field

from roster_operator.api.model import Model
from roster_operator.store import access as store
from roster_operator.store import invitations
from roster_operator.store.readings import Kind

from . import inviting
from .endpoints import MORE, NO_NUL, PROBLEMS, Caller, Here, Name, Namespace, Text
from .inviting import PERMISSION

router = APIRouter(
    prefix="/api/namespaces/{namespace}/connections/{name}/access", tags=["access"], responses=PROBLEMS | MORE
)
_Permission = Annotated[str, Field(pattern=rf"^{PERMISSION}$", max_length=128)]
_User = Annotated[str, Field(min_length=1, max_length=255, pattern=NO_NUL)]
_Reason = Annotated[str | None, Field(max_length=512, pattern=NO_NUL)]


class AccessBody(Model):
    """One person's access. effective: it counts now. invitation: Waiting, Sent, Redeemed, Expired or Withdrawn; none
    where they were never invited."""

    permissions: list[str]
    granted_by: str
    granted_at: datetime
    reason: str | None = None
    revoked_by: str | None = None
    revoked_at: datetime | None = None
    effective: bool
    invitation: str | None = None
    invited_at: datetime | None = None

    @classmethod
    def of(cls, access: store.Access) -> Self:
        """From what is stored."""
        return cls(**{name: getattr(access, name) for name in cls.model_fields})


class HolderBody(Model):
    """Somebody who has or had access, or who could be given some: then without permissions. invitation: as of access;
    invitationTrouble: the reason why the mail server did not take it."""

    sourced_id: str
    name: str
    role: str | None = None
    email: str | None = None
    status: str | None = None
    permissions: list[str] | None = None
    granted_by: str | None = None
    granted_at: datetime | None = None
    revoked_at: datetime | None = None
    effective: bool
    invitation: str | None = None
    invited_at: datetime | None = None
    invitation_trouble: str | None = None


class HoldersBody(Model):
    """Who has or had access, those who have some now first, 500 at most."""

    items: list[HolderBody]


class GrantBody(Model):
    """Access for one person, instead of any that they had. user: their sourcedId."""

    user: _User
    permissions: Annotated[list[_Permission], Field(min_length=1, max_length=64)]
    reason: _Reason = None


class RevokeBody(Model):
    """The end of one person's access. user: their sourcedId."""

    user: _User
    reason: _Reason = None


class InviteBody(Model):
    """An invitation for one person. user: their sourcedId. permissions: given with it; none: they have access."""

    user: _User
    permissions: Annotated[list[_Permission] | None, Field(min_length=1, max_length=64)] = None
    reason: _Reason = None


class WithdrawBody(Model):
    """The end of one person's invitation; their access stays. user: their sourcedId."""

    user: _User


class Invited(Model):
    """What became of an invitation. sent: the mail server took it. Else it waits: reason, message, next."""

    sent: bool
    by: str
    reason: str | None = None
    message: str | None = None
    next: str | None = None


class AccessDone(Model):
    """What was done, and by whom as the cluster knows them."""

    done: str
    by: str


@router.get("", response_model_exclude_none=True)
async def list_access(
    namespace: Namespace, name: Name, caller: Caller, site: Here, candidates: Text = None
) -> HoldersBody:
    """Who has or had access. candidates: a part of a name, an id or an address: instead, who could be given some."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    text = (candidates or "").strip()
    found = await site.records.use(
        caller,
        connection,
        Kind.ACCESS,
        lambda conn, tenant: store.candidates(conn, tenant, text) if text else store.holders(conn, tenant),
    )
    return HoldersBody(items=[HolderBody(**each.__dict__) for each in found])


@router.post("/grant")
async def grant_access(namespace: Namespace, name: Name, caller: Caller, site: Here, body: GrantBody) -> AccessDone:
    """Activate an imported person."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await site.records.use(
        caller,
        connection,
        Kind.ACCESS,
        lambda conn, tenant: store.grant(
            conn, tenant, body.user, body.permissions, by=caller.person, reason=body.reason
        ),
        subject=body.user,
        write=True,
    )  # fmt: skip
    return AccessDone(done="granted", by=caller.person)


@router.post("/revoke")
async def revoke_access(namespace: Namespace, name: Name, caller: Caller, site: Here, body: RevokeBody) -> AccessDone:
    """End a person's access."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await site.records.use(
        caller,
        connection,
        Kind.ACCESS,
        lambda conn, tenant: store.revoke(conn, tenant, body.user, by=caller.person, reason=body.reason),
        subject=body.user,
        write=True,
    )
    return AccessDone(done="revoked", by=caller.person)


@router.post("/invite", response_model_exclude_none=True)
async def invite_person(namespace: Namespace, name: Name, caller: Caller, site: Here, body: InviteBody) -> Invited:
    """Send a person who has access a link into the application; with permissions, give it first."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    trouble = await inviting.invite(
        site, caller, connection, body.user, permissions=body.permissions, reason=body.reason
    )
    if trouble is None:
        return Invited(sent=True, by=caller.person)
    return Invited(
        sent=False, by=caller.person, reason=trouble.reason.value, message=trouble.message, next=trouble.next_step
    )


@router.post("/withdraw")
async def withdraw_invitation(
    namespace: Namespace, name: Name, caller: Caller, site: Here, body: WithdrawBody
) -> AccessDone:
    """A link that was sent opens nothing any more; the access stays."""
    connection = await site.cluster.connection(caller.token, namespace, name)
    await site.records.use(
        caller,
        connection,
        Kind.ACCESS,
        lambda conn, tenant: invitations.withdraw(conn, tenant, body.user, by=caller.person),
        subject=body.user,
        write=True,
    )
    return AccessDone(done="withdrawn", by=caller.person)
