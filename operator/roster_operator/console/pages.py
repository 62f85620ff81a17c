"""The list of districts, help, and what stands beside. Every page is complete without JavaScript."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from . import listings as listings_of
from . import problems, views
from .inputs import clean_namespaces
from .visitor import Here, Person

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """The process answers. The API server is not asked: restarting the console would not bring it back."""
    return PlainTextResponse("ok")


@router.get("/static/{file}")
async def static(file: str, site: Here) -> Response:
    """The style sheet, the script and the icon; their addresses change with their content."""
    found = site.static.get(file)
    if found is None:
        raise problems.no_such_page()
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=31536000, immutable"})


@router.get("/")
async def districts(request: Request, person: Person, site: Here) -> Response:
    """The districts of the namespaces that the person names, what needs them first."""
    named = request.query_params.get("namespaces", "")
    namespaces = clean_namespaces(named)
    if namespaces is None:
        raise problems.bad_request()
    namespaces = namespaces or person.namespaces
    listings = await asyncio.gather(*(listings_of.read(site, person, namespace) for namespace in namespaces))
    # Where nothing at all may be seen the whole page says so, with its status; else each namespace for itself.
    refused = [one.problems[0] for one in listings if one.problems and not one.connections and not one.syncs]
    if refused and len(refused) == len(listings):
        raise refused[0]
    connections = [one for listing in listings for one in listing.connections]
    syncs = [one for listing in listings for one in listing.syncs]
    return site.page(
        "districts.html",
        person,
        namespaces=namespaces,
        listings=listings,
        needs=views.needs(connections, syncs),
        anything=bool(connections or syncs),
    )


@router.get("/help")
async def help_page(person: Person, site: Here) -> Response:
    """What the words mean, and whom to ask."""
    return site.page("help.html", person)
