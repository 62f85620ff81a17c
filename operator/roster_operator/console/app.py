"""The application: only wiring, and how failures are shown."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse

from roster_operator import __version__

from . import access, activity, api_reviews, connect, district, endpoints, pages, people, problems, syncs, uploading
from .cluster import Cluster
from .guard import Guarded
from .inputs import own_page
from .pages import drop_session_cookie, sign_in_address
from .problems import Problem
from .records import Records
from .sessions import Sessions
from .settings import Settings
from .site import SESSION_COOKIE, Site, site_of
from .visitor import SignInNeeded

log = logging.getLogger(__name__)

# Everything that can be asked for.
ROOMS = (endpoints, api_reviews, pages, connect, district, syncs, people, access, uploading, activity)


def build(settings: Settings, sessions: Sessions | None = None) -> Guarded:
    """The whole console, guarded."""
    return Guarded(build_inner(settings, sessions))


def build_inner(settings: Settings, sessions: Sessions | None = None) -> FastAPI:
    """The application without its guard; its OpenAPI document is made from this."""
    cluster = Cluster(settings)
    records = Records(settings, cluster)
    site = Site(cluster, records, Sessions() if sessions is None else sessions, settings.support)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await site.cluster.close()

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


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _show(request, error)


async def _sign_in(_: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeeded)
    return RedirectResponse(sign_in_address(error.page), 303)


async def _bad_request(request: Request, _: Exception) -> Response:
    return _show(request, problems.bad_request())  # FastAPI's own answer repeats the input


async def _no_such_page(request: Request, _: Exception) -> Response:
    return _show(request, problems.no_such_page())


async def _not_allowed(request: Request, error: Exception) -> Response:
    response = _show(request, problems.not_allowed())
    response.headers.update(getattr(error, "headers", None) or {})  # Allow
    return response


async def _defect(request: Request, _: Exception) -> Response:
    return _show(request, problems.defect())  # the server logs the traceback


def _show(request: Request, problem: Problem) -> Response:
    if problem.status >= 500:
        log.warning("%s %s: %d %s", request.method, request.url.path, problem.status, problem.body.reason)
    if request.url.path.startswith("/api/"):
        headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
        return JSONResponse(problem.body.to_dict(), problem.status, headers)
    site = site_of(request)
    ended = problem.status == 401
    if ended:  # a token that the cluster refuses is of no more use to anybody
        site.sessions.end(request.cookies.get(SESSION_COOKIE))
    # After a form that was refused: the page that it stood on.
    back = own_page(request.url.path.rpartition("/")[0]) if request.method == "POST" else ""
    response = site.page(
        "problem.html", None if ended else site.session(request), problem.status, problem=problem, back=back
    )
    if ended:
        drop_session_cookie(response)
    return response
