"""The application: only wiring, and how failures are shown."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.routing import APIRoute

from roster_operator import __version__
from roster_operator.store.pool import Pool

from . import (
    access,
    activity,
    api_access,
    api_by_hand,
    api_people,
    api_reviews,
    api_uploads,
    by_hand_pages,
    connect,
    district,
    endpoints,
    pages,
    people,
    problems,
    signing_in,
    syncs,
    uploading,
)
from .cluster import Cluster
from .guard import Guarded
from .inputs import own_page
from .kept_sessions import KeptSessions
from .oidc import Provider
from .problems import Problem
from .records import Records
from .renewing import RenewingSessions
from .sessions import Session, Sessions, SessionsInMemory
from .settings import Settings
from .signing_in import drop_session_cookie, sign_in_address
from .site import SESSION_COOKIE, Site, site_of
from .visitor import SignInNeeded

log = logging.getLogger(__name__)

# Everything that can be asked for.
ROOMS = (
    *(endpoints, api_reviews, api_people, api_access, api_uploads, api_by_hand),
    *(pages, signing_in, connect, district, syncs, people, by_hand_pages, access, uploading, activity),
)


def build(settings: Settings, sessions: Sessions | None = None) -> Guarded:
    """The whole console, guarded."""
    return Guarded(build_inner(settings, sessions))


def build_inner(settings: Settings, sessions: Sessions | None = None) -> FastAPI:
    """The application without its guard; its OpenAPI document is made from this."""
    cluster = Cluster(settings)
    pool = Pool(settings.database) if settings.database else None
    records = Records(settings, cluster, pool)
    kept = _sessions(settings, pool) if sessions is None else sessions
    provider = Provider(settings.oidc) if settings.oidc else None
    if provider:
        kept = RenewingSessions(kept, provider)
    site = Site(cluster, records, kept, settings.support, pool, provider, settings.token_login, settings.inviting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await site.close()

    app = FastAPI(
        title="roster-operator console",
        version=__version__,
        description="RosterConnections, RosterSyncs and their reviews, with the caller's own Kubernetes token.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # these two load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={
            Problem: _problem,
            SignInNeeded: _sign_in,
            RequestValidationError: _bad_request,
            400: _bad_request,  # a body that is no text at all
            404: _no_such_page,
            405: _not_allowed,
            500: _defect,
        },
    )
    app.state.site = site
    for room in ROOMS:
        app.include_router(room.router)
    return app


def _sessions(settings: Settings, pool: Pool | None) -> Sessions:
    if pool is not None and settings.session_keys:
        return KeptSessions(pool.connection, settings.session_keys)
    return SessionsInMemory()


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return await _show(request, error)


async def _sign_in(_: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeeded)
    return RedirectResponse(sign_in_address(error.page), 303)


async def _bad_request(request: Request, _: Exception) -> Response:
    return await _show(request, problems.bad_request())  # FastAPI's own answer repeats the input


async def _no_such_page(request: Request, _: Exception) -> Response:
    return await _show(request, problems.no_such_page())


async def _not_allowed(request: Request, _: Exception) -> Response:
    response = await _show(request, problems.not_allowed())
    # The framework names the methods of the first route of this address alone.
    routes = (route for room in ROOMS for route in room.router.routes if isinstance(route, APIRoute))
    methods = {each for route in routes if route.path_regex.match(request.url.path) for each in route.methods or ()}
    response.headers["Allow"] = ", ".join(sorted(methods))
    return response


async def _defect(request: Request, _: Exception) -> Response:
    return await _show(request, problems.defect())  # the server logs the traceback


async def _show(request: Request, problem: Problem) -> Response:
    if problem.status >= 500:
        log.warning("%s %s: %d %s", request.method, request.url.path, problem.status, problem.body.reason)
    if request.url.path.startswith("/api/"):
        headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
        return JSONResponse(problem.body.to_dict(), problem.status, headers)
    site = site_of(request)
    ended = problem.status == 401
    session = await _session_for(site, request, ended=ended)
    # After a form that was refused: the page that it stood on.
    back = own_page(request.url.path.rpartition("/")[0]) if request.method == "POST" else ""
    response = site.page("problem.html", session, problem.status, problem=problem, back=back)
    if ended:
        drop_session_cookie(response)
    return response


async def _session_for(site: Site, request: Request, *, ended: bool) -> Session | None:
    """Who is told about a problem. It may be the sessions' own, and is shown to nobody in particular then."""
    try:
        if not ended:
            return await site.session(request)
        # A token that the cluster refuses is of no more use to anybody.
        await site.sessions.end(request.cookies.get(SESSION_COOKIE))
    except Problem:
        return None
    return None
