"""Access: which of the imported people may use the application. Nobody, until somebody says so here."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Query, Response

from roster_operator.store import access as store
from roster_operator.store.readings import Kind

from . import problems
from .endpoints import Name, Namespace
from .rights import rights_of
from .visitor import Form, Here, Person, onward

router = APIRouter(prefix="/namespaces/{namespace}/connections/{name}/access", include_in_schema=False)
_PERMISSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,127}")


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
    )


@router.post("/grant")
async def grant(namespace: Namespace, name: Name, person: Person, site: Here, form: Form) -> Response:
    """Activate a person with these permissions, instead of any they had."""
    wanted = form.get("permissions", "").replace(",", " ").split()
    if not wanted or not all(_PERMISSION.fullmatch(each) for each in wanted):
        raise problems.not_valid("Name at least one permission: letters, digits and : . _ / -, separated by blanks.")
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


async def _do(
    namespace: str, name: str, person: Person, site: Here, form: dict[str, str], done: str, act: store.Act
) -> Response:
    user, reason = form.get("user", ""), form.get("reason", "").strip()[:512] or None
    if not 0 < len(user) <= 255 or "\0" in user:
        raise problems.bad_request()
    connection = await site.cluster.connection(person.token, namespace, name)
    await site.records.use(
        person, connection, Kind.ACCESS, lambda conn, tenant: act(conn, tenant, user, reason), subject=user, write=True
    )
    back = form.get("back", "")
    here = f"/namespaces/{namespace}/connections/{name}"
    if back == "person":
        return onward(f"{here}/people/person?id={quote(user, safe='')}")
    return onward(f"{here}/access", done)
