"""Signing in and out, the list of districts, and help. Every page is complete without JavaScript."""

from __future__ import annotations

import asyncio
import re
import secrets
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from . import listings as listings_of
from . import problems, views
from .guard import check_form_token, check_origin, read_form
from .inputs import clean_namespaces, clean_token, own_page
from .problems import Problem
from .site import LOGIN_COOKIE, SESSION_COOKIE, Site
from .visitor import Here, Person

_LOGIN_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

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


@router.get("/login")
async def login_form(request: Request, site: Here) -> Response:
    """The form to sign in."""
    page = own_page(request.query_params.get("next"))
    return _login_page(request, site, page)


@router.post("/login")
async def login(request: Request, site: Here) -> Response:
    """Sign in. The browser's old session, whoever made it, ends here."""
    check_origin(request)
    form = dict(await read_form(request))
    check_form_token(form.get("form_token"), request.cookies.get(LOGIN_COOKIE))
    page = own_page(form.get("next"))
    named = form.get("namespaces", "")
    token, namespaces = clean_token(form.get("token", "")), clean_namespaces(named)
    if token is None:
        return _login_page(request, site, page, named=named, wrong="token", status=400)
    if namespaces is None:
        return _login_page(request, site, page, named=named, wrong="namespaces", status=400)
    try:
        person = await site.cluster.person(token)
    except Problem as problem:
        return _login_page(request, site, page, named=named, problem=problem, status=problem.status)
    site.sessions.end(request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse(page, 303)
    _set_cookie(response, SESSION_COOKIE, site.sessions.begin(token, person, namespaces))
    _drop_cookie(response, LOGIN_COOKIE)
    return response


@router.post("/logout")
async def logout(request: Request, site: Here) -> Response:
    """Sign out: the token is forgotten."""
    check_origin(request)
    form = dict(await read_form(request))
    session = site.session(request)
    if session is not None:
        check_form_token(form.get("form_token"), session.form_token)
        site.sessions.end(request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse("/login", 303)
    drop_session_cookie(response)
    return response


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


def _login_page(
    request: Request,
    site: Site,
    page: str,
    *,
    named: str = "",
    wrong: str = "",
    problem: Problem | None = None,
    status: int = 200,
) -> Response:
    # A browser's second tab keeps the first one's form good.
    brought = request.cookies.get(LOGIN_COOKIE, "")
    form_token = brought if _LOGIN_TOKEN.fullmatch(brought) else secrets.token_urlsafe(32)
    response = site.page(
        "login.html", None, status, form_token=form_token, page=page, named=named, wrong=wrong, problem=problem
    )
    _set_cookie(response, LOGIN_COOKIE, form_token)
    return response


def sign_in_address(page: str) -> str:
    """The address of the form, which then leads to `page`."""
    return "/login" if page == "/" else f"/login?next={quote(page, safe='')}"


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def drop_session_cookie(response: Response) -> None:
    """The browser forgets its session."""
    _drop_cookie(response, SESSION_COOKIE)


def _drop_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
