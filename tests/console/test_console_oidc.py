"""Signing in by a real identity provider, whose tokens a real API server accepts."""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.console.conftest import Browser, form_token
from tests.console.serving import chromium, served, visit
from tests.support.apiserver import ApiServer
from tests.support.identity_provider import (
    ADA,
    BEN,
    GROUP,
    MAIL,
    PASSWORD,
    SECRET,
    IdentityProvider,
    sign_in_there,
)

from roster_operator.console import renewing
from roster_operator.console.oidc_settings import Oidc
from roster_operator.console.problems import Problem
from roster_operator.console.settings import Settings, load
from roster_operator.console.site import ATTEMPT_COOKIE, SESSION_COOKIE

pytestmark = pytest.mark.apiserver
SCOPES = "openid email groups offline_access"


@pytest.fixture(scope="module")
def district(apiserver: ApiServer) -> Iterator[str]:
    """A namespace of which the provider's group may read the districts."""
    name, group = "k12-oidc", "rbac.authorization.k8s.io"
    apiserver.kubectl("create", "namespace", name)
    where = {"name": "district-data", "namespace": name}
    read = {"apiGroups": ["roster-operator.io"], "resources": ["*"], "verbs": ["get", "list"]}
    apiserver.apply(
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": where, "rules": [read]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": where,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "district-data"},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": f"oidc:{GROUP}"}],
        },
    )
    return name


def settings_of(apiserver: ApiServer, identity: IdentityProvider, client_id: str = "console") -> Settings:
    oidc = Oidc(identity.issuer, client_id, identity.home, SECRET, SCOPES, identity.authority)
    return replace(load({"KUBECONFIG": str(apiserver.kubeconfig)}), oidc=oidc)


class Visitor(Browser):
    """A browser at a console that has an identity provider, and at that provider."""

    def __init__(self, settings: Settings, identity: IdentityProvider) -> None:
        super().__init__(settings)
        self.there = identity.client()

    async def begin(self, page: str = "/", namespaces: str = "k12-oidc") -> str:
        """Press the button; the address at the provider."""
        form = {"form_token": form_token(await self.get("/login")), "next": page, "namespaces": namespaces}
        return hop(await self.post("/login/provider", form))

    async def come_back(self, address: str, client: httpx.AsyncClient | None = None) -> httpx.Response:
        parts = urlsplit(address)
        return await (client or self.client).get(
            f"{parts.path}?{parts.query}", headers={"Sec-Fetch-Site": "cross-site"}
        )

    async def by_provider(self, person: str = ADA, page: str = "/") -> httpx.Response:
        return await self.come_back(sign_in_there(self.there, await self.begin(page), person))

    async def close(self) -> None:
        self.there.close()
        await super().close()


def hop(answer: httpx.Response) -> str:
    """Where a page leads on to."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
    assert found, answer.text
    return html.unescape(found[1])


def leaving(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where the form of the sign-out goes, and what is in it."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'<form method="post" action="([^"]+)" id="leave">(.*?)</form>', answer.text, re.S)
    assert found, answer.text
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', found[2])
    return html.unescape(found[1]), {name: html.unescape(value) for name, value in fields}


@asynccontextmanager
async def at(settings: Settings, identity: IdentityProvider) -> AsyncIterator[Visitor]:
    one = Visitor(settings, identity)
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture
async def visitor(apiserver: ApiServer, identity: IdentityProvider, district: str) -> AsyncIterator[Visitor]:
    async with at(settings_of(apiserver, identity), identity) as one:
        yield one


async def test_a_person_comes_by_the_provider_and_has_the_rights_of_their_group(
    visitor: Visitor, identity: IdentityProvider
) -> None:
    address = await visitor.begin("/help")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["redirect_uri"] == f"{identity.home}/login/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert hop(await visitor.come_back(sign_in_there(visitor.there, address))) == "/help"
    districts = await visitor.get("/")
    assert districts.status_code == 200
    assert f"oidc:{MAIL[ADA]}" in districts.text
    # The token is nowhere but in the session.
    session = await visitor.site.sessions.find(visitor.client.cookies[SESSION_COOKIE])
    assert session is not None
    assert session.token not in districts.text
    assert session.refresh
    assert ATTEMPT_COOKIE not in visitor.client.cookies


async def test_who_is_in_no_group_is_signed_in_and_may_nothing(visitor: Visitor) -> None:
    assert hop(await visitor.by_provider(BEN)) == "/"
    answer = await visitor.get("/")
    assert answer.status_code == 403
    assert f"oidc:{MAIL[BEN]}" in answer.text
    assert "You may not" in answer.text


async def test_a_pasted_token_goes_on_working_beside_it(visitor: Visitor, apiserver: ApiServer, district: str) -> None:
    page = (await visitor.get("/login")).text
    assert "Sign in with the identity provider" in page
    assert 'name="token"' in page
    apiserver.kubectl("-n", district, "create", "serviceaccount", "pasted")
    token = apiserver.kubectl("-n", district, "create", "token", "pasted").stdout.strip()
    assert (await visitor.sign_in(token, district)).status_code == 303
    assert f"system:serviceaccount:{district}:pasted" in (await visitor.get("/help")).text
    # Signing out stays here: the provider knows nothing of them.
    gone = await visitor.send("/help", "/logout")
    assert (gone.status_code, gone.headers["Location"]) == (303, "/login")


async def test_the_session_of_before_ends_at_the_sign_in(visitor: Visitor) -> None:
    planted = "A" * 43
    visitor.client.cookies.set(SESSION_COOKIE, planted, domain="console.test", path="/")
    await visitor.by_provider()
    first = visitor.client.cookies[SESSION_COOKIE]
    assert first != planted
    assert (await visitor.get("/")).status_code == 200
    await visitor.by_provider(BEN)
    assert visitor.client.cookies[SESSION_COOKIE] != first
    assert await visitor.site.sessions.find(first) is None, "the old session outlived the sign-in"
    visitor.client.cookies.clear()
    visitor.client.cookies.set(SESSION_COOKIE, first[:-1] + ("A" if first[-1] != "A" else "B"), domain="console.test")
    assert (await visitor.get("/")).headers["Location"] == "/login", "a tampered cookie opened a session"


async def test_an_answer_without_the_browser_that_asked_is_refused(visitor: Visitor) -> None:
    back = sign_in_there(visitor.there, await visitor.begin())
    async with visitor.another() as victim:
        answer = await visitor.come_back(back, victim)
        assert_refused(answer, "SignInNotBegunHere")
        assert SESSION_COOKIE not in victim.cookies
        # A victim who is about to sign in has another state.
        page = await victim.get("/login")
        form = {"form_token": form_token(page), "next": "/", "namespaces": ""}
        await victim.post("/login/provider", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert_refused(await visitor.come_back(back, victim), "SignInNotBegunHere")
        assert SESSION_COOKIE not in victim.cookies


@pytest.mark.parametrize("state", ["", "state=", "state=guessed", "state=%C3%A9"])
async def test_a_state_that_is_missing_or_wrong_is_refused(visitor: Visitor, state: str) -> None:
    back = sign_in_there(visitor.there, await visitor.begin())
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert_refused(await visitor.come_back(f"/login/callback?code={code}&{state}"), "SignInNotBegunHere")
    assert SESSION_COOKIE not in visitor.client.cookies


async def test_an_answer_is_good_once(visitor: Visitor) -> None:
    address = await visitor.begin()
    attempt = visitor.client.cookies[ATTEMPT_COOKIE]
    back = sign_in_there(visitor.there, address)
    hop(await visitor.come_back(back))
    assert_refused(await visitor.come_back(back), "SignInNotBegunHere")
    # Even with the cookie of that time: the provider gives nothing for a code twice.
    visitor.client.cookies.clear()
    visitor.client.cookies.set(ATTEMPT_COOKIE, attempt, domain="console.test", path="/")
    assert_refused(await visitor.come_back(back), "SignInEnded")
    assert SESSION_COOKIE not in visitor.client.cookies


async def test_a_code_is_worth_nothing_without_the_verifier_of_its_browser(visitor: Visitor) -> None:
    back = sign_in_there(visitor.there, await visitor.begin())
    stolen = parse_qs(urlsplit(back).query)["code"][0]
    async with visitor.another() as thief:
        page = await thief.get("/login")
        form = {"form_token": form_token(page), "next": "/", "namespaces": ""}
        begun = await thief.post("/login/provider", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        state = parse_qs(urlsplit(hop(begun)).query)["state"][0]
        answer = await visitor.come_back(f"/login/callback?code={stolen}&state={state}", thief)
        assert_refused(answer, "SignInEnded")
        assert SESSION_COOKIE not in thief.cookies


async def test_an_answer_of_another_issuer_is_refused_before_its_code_goes_anywhere(visitor: Visitor) -> None:
    back = sign_in_there(visitor.there, await visitor.begin())
    assert_refused(await visitor.come_back(f"{back}&iss=https%3A%2F%2Fevil.example"), "SignInMixedUp")


@pytest.mark.parametrize(
    "page", ["https://evil.example/", "//evil.example", "/\\evil.example", "/login", "javascript:alert(1)", "/help?x"]
)
async def test_nobody_is_led_elsewhere_after_signing_in(visitor: Visitor, page: str) -> None:
    assert hop(await visitor.by_provider(page=page)) == "/"


async def test_what_rests_in_the_browser_leads_nowhere_else_either(visitor: Visitor) -> None:
    back = sign_in_there(visitor.there, await visitor.begin("/help"))
    resting = visitor.client.cookies[ATTEMPT_COOKIE]
    visitor.client.cookies.clear()
    changed = resting.replace("next=%2Fhelp", "next=%2F%2Fevil.example")
    assert changed != resting
    visitor.client.cookies.set(ATTEMPT_COOKIE, changed, domain="console.test", path="/")
    assert hop(await visitor.come_back(back)) == "/"


async def test_another_site_cannot_begin_a_sign_in(visitor: Visitor) -> None:
    form = {"form_token": form_token(await visitor.get("/login")), "next": "/", "namespaces": ""}
    assert (await visitor.post("/login/provider", form, {"Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert (await visitor.post("/login/provider", form | {"form_token": "x" * 43})).status_code == 403
    assert ATTEMPT_COOKIE not in visitor.client.cookies


async def test_the_provider_sends_people_to_no_other_address(apiserver: ApiServer, identity: IdentityProvider) -> None:
    settings = settings_of(apiserver, identity)
    assert settings.oidc
    elsewhere = replace(settings, oidc=replace(settings.oidc, url="https://evil.example"))
    async with at(elsewhere, identity) as visitor:
        answer = visitor.there.get(await visitor.begin())
        assert answer.status_code == 400
        assert "Location" not in answer.headers


async def test_who_does_not_agree_is_told_so(visitor: Visitor) -> None:
    for error, reason in (
        ("access_denied", "SignInRefused"),
        ("temporarily_unavailable", "IdentityProviderUnavailable"),
        ("<script>", "IdentityClientRefused"),
    ):
        state = parse_qs(urlsplit(await visitor.begin()).query)["state"][0]
        answer = await visitor.come_back(f"/login/callback?error={error}&state={state}&error_description=canary")
        assert_refused(answer, reason)
        assert "canary" not in answer.text


async def test_a_wrong_client_secret_is_the_platform_teams(apiserver: ApiServer, identity: IdentityProvider) -> None:
    settings = settings_of(apiserver, identity)
    assert settings.oidc
    async with at(replace(settings, oidc=replace(settings.oidc, client_secret="wrong")), identity) as visitor:
        assert_refused(await visitor.by_provider(), "IdentityClientRefused")


async def test_a_client_that_the_cluster_does_not_know_is_told_of(
    apiserver: ApiServer, identity: IdentityProvider
) -> None:
    async with at(settings_of(apiserver, identity, "other"), identity) as visitor:
        answer = await visitor.by_provider()
        assert_refused(answer, "ClusterRefusesIdentity")
        assert SESSION_COOKIE not in visitor.client.cookies


async def test_a_token_is_renewed_in_time_and_the_session_stays(
    apiserver: ApiServer, identity: IdentityProvider, district: str
) -> None:
    async with at(settings_of(apiserver, identity, "brief"), identity) as visitor:
        await visitor.by_provider()
        cookie = visitor.client.cookies[SESSION_COOKIE]
        first = await visitor.sessions.find(cookie)
        assert first is not None
        assert first.expires - time.time() < renewing.EARLY + 3
        await asyncio.sleep(first.expires - time.time() - renewing.EARLY + 0.1)
        answers = await asyncio.gather(*(visitor.get("/") for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        second = await visitor.sessions.find(cookie)
        assert second is not None
        assert second.token != first.token
        assert second.refresh != first.refresh, "the provider's refresh tokens are good for one use"
        assert second.expires > first.expires
        assert (second.person, second.form_token) == (first.person, first.form_token)
        # The API server knows them by the new one, too.
        assert await visitor.site.cluster.person(second.token) == f"oidc:{MAIL[ADA]}"


async def test_signing_out_ends_it_here_and_there(visitor: Visitor, identity: IdentityProvider) -> None:
    await visitor.by_provider()
    cookie = visitor.client.cookies[SESSION_COOKIE]
    session = await visitor.sessions.find(cookie)
    assert session is not None
    page = await visitor.send("/", "/logout")
    address, sent = leaving(page)
    assert address == f"{identity.issuer}/end_session"
    assert sent == {"id_token_hint": session.token, "client_id": "console"}
    assert "form-action https:;" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert visitor.there.post(address, data=sent, follow_redirects=True).text == "signed out successfully"
    assert await visitor.sessions.find(cookie) is None
    assert SESSION_COOKIE not in visitor.client.cookies
    provider = visitor.site.provider
    assert provider
    with pytest.raises(Problem) as refused:
        await provider.refresh(session.refresh, session.subject)
    assert refused.value.body.reason == "SignInEnded", "the refresh token outlived the sign-out"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_browser_goes_there_and_back_and_out(
    apiserver: ApiServer, identity: IdentityProvider, district: str, scripts: bool
) -> None:
    port = urlsplit(identity.home).port
    assert port
    with (
        served(settings_of(apiserver, identity), port) as home,
        chromium() as browser,
        visit(browser, scripts=scripts, any_certificate=True) as (page, complaints),
    ):
        page.goto(f"{home}/help")
        page.get_by_label("Namespaces").first.fill(district)
        page.get_by_role("button", name="Sign in with the identity provider").click()
        page.locator("input[name=username]").fill(ADA)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("input[name=password]").press("Enter")
        page.get_by_role("heading", name="Help", exact=True).wait_for()
        assert f"oidc:{MAIL[ADA]}" in page.content()
        page.get_by_role("button", name="Sign out").click()
        if not scripts:
            page.get_by_role("button", name="Sign out there, too").click()
        page.get_by_text("signed out successfully").wait_for()
        assert urlsplit(page.url).query == "", "the token, or anything, is in an address"
        page.goto(f"{home}/help")
        assert page.get_by_role("button", name="Sign in with the identity provider").is_visible()
        # The example's provider has no icon.
        assert [one for one in complaints if "404" not in one] == []


async def test_a_provider_that_is_down_keeps_nobody_from_a_pasted_token(
    visitor: Visitor, apiserver: ApiServer, identity: IdentityProvider, district: str
) -> None:
    apiserver.kubectl("-n", district, "create", "serviceaccount", "steady")
    token = apiserver.kubectl("-n", district, "create", "token", "steady").stdout.strip()
    back = sign_in_there(visitor.there, await visitor.begin())
    identity.stop()
    try:
        assert_refused(await visitor.come_back(back), "IdentityProviderUnavailable")
        assert (await visitor.sign_in(token, district)).status_code == 303
    finally:
        identity.start()
    # It came back with other keys, as after a rotation: console and API server read them by themselves.
    assert hop(await visitor.by_provider()) == "/"
    assert f"oidc:{MAIL[ADA]}" in (await visitor.get("/")).text


def assert_refused(answer: httpx.Response, reason: str) -> None:
    """Told in a sentence with a next step, on the page where one tries again."""
    assert answer.status_code >= 400
    assert f"<strong>{reason}</strong>" in answer.text
    assert "Sign in with the identity provider" in answer.text
    assert ATTEMPT_COOKIE not in answer.cookies
