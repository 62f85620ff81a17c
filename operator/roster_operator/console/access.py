"""Access: which of the imported people may use the application. Nobody, until somebody says so here."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Query, Response

from roster_operator.mail import MailError, Reason
from roster_operator.store import access as store
from roster_operator.store import invitations
from roster_operator.store.readings import Kind

from . import inviting, problems
from .endpoints import Name, Namespace
from .inviting import permissions_of
from .rights import rights_of
from .visitor import Form, Here, Person, onward

router = APIRouter(prefix="/namespaces/{namespace}/connections/{name}/access", include_in_schema=False)


@router.get("")
async def listing(
    namespace: Namespace,
    name: Name,
    person: Person,
    site: Here,
    text: Annotated[str, Query(max_length=255)] = "",
    done: Annotated[str, Query(max_length=32)] = "",
) -> Response:
    """Who has or had access; and, searched for, who could be given some."""
    if "\0" in text:
        raise problems.bad_request()
    connection = await site.cluster.connection(person.token, namespace, name)

    def work(conn: psycopg.Connection, tenant: str) -> tuple[list[store.Holder], list[store.Holder], list[str]]:
        found = store.candidates(conn, tenant, text.strip()) if text.strip() else []
        return store.holders(conn, tenant), found, store.permissions(conn, tenant)

    holders, candidates, known = await site.records.use(person, connection, Kind.ACCESS, work)
    return site.page(
        "access.html",
        person,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, namespace, name),
        holders=holders,
        candidates=candidates,
        known=known,
        text=text,
        done=done,
        trouble=trouble_of(done),
    )


@router.post("/grant")
async def grant(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Activate a person with these permissions, instead of any they had."""
    wanted = permissions_of(form.get("permissions", ""))
    return await _do(
        namespace, name, person, site, form, "granted",
        lambda conn, tenant, user, reason: store.grant(conn, tenant, user, wanted, by=person.person, reason=reason),
    )  # fmt: skip


@router.post("/revoke")
async def revoke(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """End a person's access."""
    return await _do(
        namespace, name, person, site, form, "revoked",
        lambda conn, tenant, user, reason: store.revoke(conn, tenant, user, by=person.person, reason=reason),
    )  # fmt: skip


@router.post("/invite")
async def invite(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Send a person who has access a link into the application; where permissions are named, give it first."""
    user, reason = _who(form)
    wanted = permissions_of(form["permissions"]) if "permissions" in form else None
    connection = await site.cluster.connection(person.token, namespace, name)
    trouble = await inviting.invite(site, person, connection, user, permissions=wanted, reason=reason)
    return _back(namespace, name, form, user, trouble.reason.value if trouble else "invited")


@router.post("/withdraw")
async def withdraw(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """A link that was sent opens nothing any more; the access stays."""
    return await _do(
        namespace, name, person, site, form, "withdrawn",
        lambda conn, tenant, user, _: invitations.withdraw(conn, tenant, user, by=person.person),
    )  # fmt: skip


def trouble_of(done: str) -> MailError | None:
    """Why an invitation waits, where that is what the page is to say."""
    return MailError(Reason(done)) if done in set(Reason) else None


async def _do(
    namespace: str, name: str, person: Person, site: Here, form: dict[str, str], done: str, act: store.Act
) -> Response:
    user, reason = _who(form)
    connection = await site.cluster.connection(person.token, namespace, name)
    await site.records.use(
        person, connection, Kind.ACCESS, lambda conn, tenant: act(conn, tenant, user, reason), subject=user, write=True
    )
    return _back(namespace, name, form, user, done)


def _who(form: dict[str, str]) -> tuple[str, str | None]:
    user = form.get("user", "")
    if not 0 < len(user) <= 255 or "\0" in user:
        raise problems.bad_request()
    return user, form.get("reason", "").strip()[:512] or None


def _back(namespace: str, name: str, form: dict[str, str], user: str, done: str) -> Response:
    here = f"/namespaces/{namespace}/connections/{name}"
    if form.get("back") == "person":
        return onward(f"{here}/people/person?id={quote(user, safe='')}&done={done}")
    return onward(f"{here}/access", done)
