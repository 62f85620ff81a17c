"""Activity: who did what in a district, and who read records."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from roster_operator.store import activity as store
from roster_operator.store.readings import Kind

from . import problems
from .endpoints import Name, Namespace
from .rights import rights_of
from .visitor import Here, Person

router = APIRouter(include_in_schema=False)


@router.get("/namespaces/{namespace}/connections/{name}/activity")
async def activity(
    namespace: Namespace, name: Name, person: Person, site: Here, kind: Annotated[str, Query(max_length=16)] = ""
) -> Response:
    """The newest first."""
    if kind and kind not in store.KINDS:
        raise problems.bad_request()
    connection = await site.cluster.connection(person.token, namespace, name)
    acts = await site.records.use(
        person, connection, Kind.ACTIVITY, lambda conn, tenant: store.listing(conn, tenant, kind=kind or None)
    )
    return site.page(
        "activity.html",
        person,
        connection=connection,
        rights=await rights_of(site.cluster, person.token, namespace, name),
        acts=acts,
        kind=kind,
        kinds=store.KINDS,
    )
