"""Signing in and out: with a token of one's own, or by the identity provider.

Browsers leave out SameSite=Strict cookies where another site led to a page, and forbid a form to end at another site
(form-action 'self'). So each way between the two sites goes over a small page of the console's own, which leads on.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from . import oidc_problems, problems
from .guard import CONTENT_SECURITY_POLICY, check_form_token, check_origin, read_form
from .inputs import clean_namespaces, clean_token, own_page
from .oidc import Attempt, Provider, attempt
from .problems import Problem
from .sessions import Session, SignedIn
from .site import ATTEMPT_COOKIE, LOGIN_COOKIE, SESSION_COOKIE, Site
from .visitor import Here

ATTEMPT_LASTS = 600  # seconds
_LOGIN_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

router = APIRouter(include_in_schema=False)


@router.get("/login")
async def login_form(request: Request, site: Here) -> Response:
    """The form to sign in."""
    page = own_page(request.query_params.get("next"))
    return _login_page(request, site, page)


@router.post("/login")
async def login(request: Request, site: Here) -> Response:
    """Sign in. The browser's old session, whoever made it, ends here."""
    form = await _posted(request)
    if not site.token_login:
        raise oidc_problems.token_login_off()
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
    response = RedirectResponse(page, 303)
    await _begin(request, site, response, token, person, namespaces)
    return response


@router.post("/logout")
async def logout(request: Request, site: Here) -> Response:
    """Sign out: the token is forgotten, and who came by the identity provider goes to its sign-out, if it has one."""
    check_origin(request)
    form = dict(await read_form(request))
    session = await site.session(request)
    if session is not None:
        check_form_token(form.get("form_token"), session.form_token)
        await site.sessions.end(request.cookies.get(SESSION_COOKIE))
    response: Response = RedirectResponse("/login", 303)
    if session is not None and session.subject and (there := await _sign_out_there(site, session)):
        response = _leave(site, there, session.token)
    drop_session_cookie(response)
    return response


@router.post("/login/provider")
async def begin_at_provider(request: Request, site: Here) -> Response:
    """To the identity provider. What has to come back rests in a cookie of this browser."""
    form = await _posted(request)
    page, named = own_page(form.get("next")), form.get("namespaces", "")
    namespaces = clean_namespaces(named)
    if namespaces is None:
        return _login_page(request, site, page, named=named, wrong="namespaces", status=400)
    begun = attempt()
    try:
        address = await _provider(site).where_to_sign_in(begun)
    except Problem as problem:
        return _login_page(request, site, page, named=named, problem=problem, status=problem.status)
    response = _hop(site, address, "To the identity provider")
    rest = urlencode({**asdict(begun), "next": page, "namespaces": " ".join(namespaces)})
    # Lax: the provider's page leads back here. It is read by the callback alone.
    response.set_cookie(
        ATTEMPT_COOKIE, rest, max_age=ATTEMPT_LASTS, path="/", secure=True, httponly=True, samesite="lax"
    )
    return response


@router.get("/login/callback")
async def back_from_provider(request: Request, site: Here) -> Response:
    """From the identity provider. An attempt is good for one answer."""
    begun, page, namespaces = _attempt(request.cookies.get(ATTEMPT_COOKIE, ""))
    try:
        response = await _signed_in(request, site, begun, page, namespaces)
    except Problem as problem:
        named = " ".join(namespaces)
        response = _login_page(request, site, page, named=named, problem=problem, status=problem.status)
    response.delete_cookie(ATTEMPT_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


async def _signed_in(
    request: Request, site: Site, begun: Attempt | None, page: str, namespaces: tuple[str, ...]
) -> Response:
    provider, query = _provider(site), request.query_params
    if begun is None or not secrets.compare_digest(begun.state.encode(), query.get("state", "").encode()):
        raise oidc_problems.state_wrong()
    # RFC 9207: where the provider says who answers, it has to be the one that was asked.
    mine = provider.settings.issuer
    if query.get("iss", "" if await provider.says_who_answers() else mine) != mine:
        raise oidc_problems.other_issuer()
    if error := query.get("error"):
        raise oidc_problems.from_authorization(error)
    if not query.get("code"):
        raise oidc_problems.strange()
    tokens = await provider.exchange(query["code"], begun)
    try:
        person = await site.cluster.person(tokens.id_token)
    except Problem as problem:
        raise (oidc_problems.cluster_refuses() if problem.status == 401 else problem) from None
    response = _hop(site, page, "Signed in")
    by = SignedIn(tokens.refresh, tokens.expires, tokens.subject)
    await _begin(request, site, response, tokens.id_token, person, namespaces, by)
    return response


def _attempt(cookie: str) -> tuple[Attempt | None, str, tuple[str, ...]]:
    found = parse_qs(cookie, max_num_fields=8) if cookie.count("&") < 8 else {}
    values = {name: found.get(name, [""])[0] for name in ("state", "nonce", "verifier")}
    page = own_page(found.get("next", ["/"])[0])
    namespaces = clean_namespaces(found.get("namespaces", [""])[0]) or ()
    return (Attempt(**values) if all(values.values()) else None), page, namespaces


def _provider(site: Site) -> Provider:
    if site.provider is None:
        raise problems.no_such_page()
    return site.provider


async def _sign_out_there(site: Site, session: Session) -> str | None:
    try:
        if site.provider is None:
            return None
        await site.provider.forget(session.refresh)
        return await site.provider.where_to_sign_out()
    except Problem:
        return None  # the session here has ended, whatever the provider does


async def _posted(request: Request) -> dict[str, str]:
    check_origin(request)
    form = dict(await read_form(request))
    check_form_token(form.get("form_token"), request.cookies.get(LOGIN_COOKIE))
    return form


async def _begin(
    request: Request,
    site: Site,
    response: Response,
    token: str,
    person: str,
    namespaces: tuple[str, ...],
    by: SignedIn | None = None,
) -> None:
    """A session of its own: the one that the browser brought, whoever made it, ends."""
    await site.sessions.end(request.cookies.get(SESSION_COOKIE))
    _set_cookie(response, SESSION_COOKIE, await site.sessions.begin(token, person, namespaces, by))
    _drop_cookie(response, LOGIN_COOKIE)


def _hop(site: Site, address: str, title: str) -> Response:
    return site.page("hop.html", None, address=address, title=title)


def _leave(site: Site, address: str, token: str) -> Response:
    """A page whose form ends the session at the provider. By the token the provider knows whose, and need not ask.

    It goes in a form, never in an address: a token that is read from a history or a log would open the cluster."""
    response = site.page("leave.html", None, address=address, token=token, client_id=_provider(site).settings.client_id)
    # The provider may lead on to another host of its own, and browsers hold form-action against that, too.
    policy = CONTENT_SECURITY_POLICY.replace("form-action 'self'", "form-action https:")
    response.headers["Content-Security-Policy"] = policy
    return response


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
        "login.html",
        None,
        status,
        form_token=form_token,
        page=page,
        named=named,
        wrong=wrong,
        problem=problem,
        provider=site.provider is not None,
        token_login=site.token_login,
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
