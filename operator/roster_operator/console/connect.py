"""Connect: the vendor's form, which writes Secret and RosterConnection with the person's own rights, or prints them."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Query, Response

from roster_operator.api.kinds import CONNECTION, SECRET

from . import standard
from .connecting import PARAMETER, UPLOAD, Manifests, manifests_of
from .problems import Problem
from .site import Site
from .visitor import Form, Here, Person, onward

router = APIRouter(prefix="/connect", include_in_schema=False)
_SECRETS = frozenset({"client-secret", "token"})  # never sent back into a page


@router.get("")
async def connect_form(
    person: Person,
    site: Here,
    vendor: Annotated[str, Query(max_length=64)] = "",
    auth: Annotated[str, Query(max_length=16)] = "",
) -> Response:  # fmt: skip
    """First the vendor, then what this vendor needs."""
    return _page(site, person, {"vendor": vendor, "auth": auth, "namespace": " ".join(person.namespaces[:1])}, "", 200)


@router.post("")
async def connect(person: Person, site: Here, form: Form) -> Response:
    """Write both objects, or print them."""
    printed = form.get("do") == "print"
    try:
        made = manifests_of(form, printed=printed)
        if printed:
            return site.page("manifests.html", person, manifests=made)
        await _write(site, person, made)
    except Problem as problem:
        if problem.status not in (403, 409, 422):
            raise
        words = f"{problem.body.message} {problem.body.next}"
        return _page(
            site, person, {key: text for key, text in form.items() if key not in _SECRETS}, words, problem.status
        )
    return onward(f"/namespaces/{made.namespace}/connections/{made.name}", "connected")


async def _write(site: Site, person: Person, made: Manifests) -> None:
    token, namespace = person.token, made.namespace
    # Tried first: a Secret that nothing names would be left behind.
    await site.cluster.create(CONNECTION, token, namespace, made.connection, dry=True)
    if made.secret:
        metadata = {"name": made.secret_name, "namespace": namespace}
        await site.cluster.create(SECRET, token, namespace, {"metadata": metadata, "stringData": made.secret})
    await site.cluster.create(CONNECTION, token, namespace, made.connection)


def _page(site: Site, person: Person, values: dict[str, str], wrong: str, status: int) -> Response:
    vendor = values.get("vendor", "")
    profile = standard.vendors().get(vendor)
    kind = values.get("auth") or (profile.default_auth if profile else "")
    way = next((way for name, way in profile.auth.items() if name == kind), None) if profile else None
    if profile and way is None:
        kind, way = profile.default_auth, profile.auth[profile.default_auth]
    return site.page(
        "connect.html",
        person,
        status,
        vendors=standard.vendors(),
        upload=UPLOAD,
        parameter=PARAMETER,
        profile=profile,
        vendor=vendor,
        kind=kind,
        way=way,
        values=defaultdict(str, values),  # the template asks for every field
        wrong=wrong,
    )
