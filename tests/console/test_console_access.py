"""Who gets in, what they may see, and what a request from elsewhere gets."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.console.conftest import Browser, form_token
from tests.console.fake_cluster import FakeCluster, connection, sync

from roster_operator.console import sessions as limits
from roster_operator.console.guard import HEADERS
from roster_operator.console.sessions import SessionsInMemory

PAGES = ("/", "/namespaces/k12/connections/springfield", "/namespaces/k12/syncs/springfield-1")
API = (
    "/api/namespaces/k12/connections",
    "/api/namespaces/k12/connections/springfield",
    "/api/namespaces/k12/syncs",
    "/api/namespaces/k12/syncs/springfield-1",
)


def fill(cluster: FakeCluster) -> None:
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [sync()]}


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_session_every_page_leads_to_sign_in_and_back(
    browser: Browser, cluster: FakeCluster, path: str
) -> None:
    fill(cluster)
    answer = await browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert cluster.asked == []
    page = await browser.get(answer.headers["location"])
    back = re.search(r'name="next" value="([^"]+)"', page.text)
    assert back
    assert back[1] == path
    assert (await browser.sign_in(next=path)).headers["location"] == path
    assert (await browser.get(path)).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_a_person_without_rights_gets_a_403_page_that_repeats_nothing_of_the_api_server(
    browser: Browser, cluster: FakeCluster, path: str
) -> None:
    fill(cluster)
    await browser.sign_in("foreign-token")
    answer = await browser.get(path)
    assert answer.status_code == 403
    assert "You may not" in answer.text
    assert "secret-detail" not in answer.text
    assert "springfield-1" not in answer.text.replace(path, "")


@pytest.mark.parametrize("path", API)
async def test_the_api_answers_by_the_bearer_token_alone(browser: Browser, cluster: FakeCluster, path: str) -> None:
    fill(cluster)
    await browser.sign_in()
    without = await browser.get(path)  # the session's cookie goes along, and counts for nothing
    assert (without.status_code, without.json()["reason"]) == (401, "NotSignedIn")
    assert without.headers["www-authenticate"] == "Bearer"
    assert (await browser.get(path, Authorization="Bearer ada-token")).status_code == 200
    refused = await browser.get(path, Authorization="Bearer nobody")
    assert (refused.status_code, refused.json()["reason"]) == (401, "TokenRejected")
    foreign = await browser.get(path, Authorization="Bearer foreign-token")
    assert (foreign.status_code, foreign.json()["reason"]) == (403, "Forbidden")
    assert "secret-detail" not in foreign.text


async def test_the_bearer_token_opens_no_page(browser: Browser) -> None:
    assert (await browser.get("/", Authorization="Bearer ada-token")).status_code == 303


async def test_every_request_to_the_api_server_carries_the_persons_token_and_nobodys_cookie(
    browser: Browser, cluster: FakeCluster
) -> None:
    fill(cluster)
    await browser.sign_in()
    await browser.get("/")
    await browser.get(API[0], Authorization="Bearer foreign-token")
    assert [token for *_, token in cluster.asked] == ["ada-token"] * 3 + ["foreign-token"]
    assert {method for method, target, _ in cluster.asked if "selfsubject" not in target} == {"GET"}


async def test_a_missing_object_is_a_404_only_for_those_who_may_look(browser: Browser, cluster: FakeCluster) -> None:
    await browser.sign_in()
    absent = await browser.get("/namespaces/k12/syncs/absent")
    assert absent.status_code == 404
    assert "secret-detail" not in absent.text
    assert (await browser.get("/namespaces/other/syncs/absent")).status_code == 403


async def test_a_token_that_ended_ends_the_session(browser: Browser, cluster: FakeCluster) -> None:
    await browser.sign_in()
    del cluster.people["ada-token"]
    answer = await browser.get("/")
    assert answer.status_code == 401
    assert "TokenRejected" in answer.text
    assert len(browser.sessions) == 0
    assert (await browser.get("/")).status_code == 303


@pytest.mark.parametrize("token", ["nobody", "", "two\nlines: x", "ada-token\r\nX-Evil: 1", "ümlaut", "a" * 20000])
async def test_a_token_that_is_none_begins_no_session_and_is_not_repeated(browser: Browser, token: str) -> None:
    answer = await browser.sign_in(token)
    assert answer.status_code in (400, 401)
    assert len(browser.sessions) == 0
    assert not token or token not in answer.text
    assert "session" not in "".join(answer.headers.get_list("set-cookie"))


async def test_blanks_around_a_pasted_token_do_not_matter(browser: Browser) -> None:
    assert (await browser.sign_in("  Bearer ada-token\n")).status_code == 303


@pytest.mark.parametrize("named", ["K12", "../x", "a b c d e f g h i", "<b>", "a/b"])
async def test_a_namespace_that_is_none_goes_nowhere(browser: Browser, cluster: FakeCluster, named: str) -> None:
    assert (await browser.sign_in(namespaces=named)).status_code == 400
    await browser.sign_in()
    before = len(cluster.asked)
    assert (await browser.client.get("/", params={"namespaces": named})).status_code == 400
    assert len(cluster.asked) == before


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2fb", "A", "a%00", "a%0a", "-", "x" * 254])
async def test_a_name_that_is_none_never_reaches_the_api_server(
    browser: Browser, cluster: FakeCluster, name: str
) -> None:
    answer = await browser.get(f"/api/namespaces/k12/syncs/{name}", Authorization="Bearer ada-token")
    assert answer.status_code in (400, 404, 200)
    assert not any("/rostersyncs/" in target for _, target, _ in cluster.asked)
    assert name == ".." or answer.status_code != 200


@pytest.mark.parametrize("page", ["//evil.example", "https://evil.example", "/\\evil.example", "/login", "/x\r\ny"])
async def test_signing_in_leads_nowhere_but_to_own_pages(browser: Browser, page: str) -> None:
    assert (await browser.sign_in(next=page)).headers["location"] == "/"


async def test_the_cookies_are_kept_from_scripts_other_sites_and_plain_http(browser: Browser) -> None:
    page = await browser.get("/login")
    answer = await browser.sign_in()
    for line in page.headers.get_list("set-cookie") + answer.headers.get_list("set-cookie"):
        assert line.startswith("__Host-roster-")
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=strict"} <= set(line.split("; "))
        assert "Domain" not in line
        assert "ada-token" not in line


async def test_signing_in_gives_a_new_id_and_ends_the_one_that_was_brought(browser: Browser) -> None:
    browser.client.cookies.set("__Host-roster-session", "chosen-by-someone-else", domain="console.test")
    await browser.sign_in()
    first = browser.client.cookies["__Host-roster-session"]
    assert first != "chosen-by-someone-else"
    await browser.sign_in()
    assert browser.client.cookies["__Host-roster-session"] != first
    assert len(browser.sessions) == 1
    stolen = browser.another()
    stolen.cookies.set("__Host-roster-session", first, domain="console.test")
    assert (await stolen.get("/")).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://console.test"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://[::"},
    ],
)
async def test_a_form_from_elsewhere_is_refused(
    browser: Browser, cluster: FakeCluster, headers: dict[str, str]
) -> None:
    token = form_token(await browser.get("/login"))
    answer = await browser.post("/login", {"form_token": token, "token": "ada-token"}, headers)
    assert answer.status_code == 403
    assert "CrossSiteRequest" in answer.text
    assert cluster.asked == []
    await browser.sign_in()
    token = form_token(await browser.get("/"))
    assert (await browser.post("/logout", {"form_token": token}, headers)).status_code == 403
    assert len(browser.sessions) == 1


async def test_an_old_browser_that_names_our_origin_gets_in(browser: Browser) -> None:
    token = form_token(await browser.get("/login"))
    answer = await browser.post(
        "/login", {"form_token": token, "token": "ada-token"}, {"Origin": "https://console.test"}
    )
    assert answer.status_code == 303


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_a_form_without_its_token_is_refused(browser: Browser, token: str) -> None:
    await browser.get("/login")
    assert (await browser.post("/login", {"form_token": token, "token": "ada-token"})).status_code == 403
    await browser.sign_in()
    assert (await browser.post("/logout", {"form_token": token})).status_code == 403
    assert len(browser.sessions) == 1


async def test_a_form_with_another_browsers_token_is_refused(browser: Browser) -> None:
    async with browser.another() as other:
        token = form_token(await other.get("/login"))
    await browser.get("/login")
    assert (await browser.post("/login", {"form_token": token, "token": "ada-token"})).status_code == 403


async def test_a_form_that_is_too_large_is_refused(browser: Browser) -> None:
    answer = await browser.sign_in("x" * 100_000)
    assert answer.status_code == 413


async def test_signing_out_forgets_the_token(browser: Browser) -> None:
    await browser.sign_in()
    kept = browser.client.cookies["__Host-roster-session"]
    answer = await browser.post("/logout", {"form_token": form_token(await browser.get("/"))})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    browser.client.cookies.set("__Host-roster-session", kept, domain="console.test")
    assert (await browser.get("/")).status_code == 303


async def test_a_session_ends_when_unused_and_when_old(browser: Browser) -> None:
    await browser.sign_in()
    browser.now += limits.IDLE + 1
    assert (await browser.get("/")).status_code == 303
    await browser.sign_in()
    for _ in range(9):
        browser.now += limits.LIFETIME / 9 + 1
        answer = await browser.get("/")
    assert answer.status_code == 303
    assert len(browser.sessions) == 0


async def test_sessions_are_bounded_in_all_and_for_each_person() -> None:
    now = [0.0]
    sessions = SessionsInMemory(lambda: now[0])
    bystander = await sessions.begin("t", "bystander", ())
    flood = [await sessions.begin("t", "flooder", ()) for _ in range(limits.MOST_EACH + 5)]
    assert await sessions.find(bystander)
    assert sum([await sessions.find(one) is not None for one in flood]) == limits.MOST_EACH
    for number in range(limits.MOST + 10):
        now[0] += 0.001
        await sessions.begin("t", f"person-{number}", ())
    assert len(sessions) == limits.MOST


async def test_a_session_shows_no_token_when_printed() -> None:
    sessions = SessionsInMemory()
    assert "geheim" not in repr(await sessions.find(await sessions.begin("geheim", "ada", ())))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/login"),
        ("GET", "/"),
        ("POST", "/"),
        ("POST", "/login"),
        ("GET", "/static/console.css"),
        ("GET", "/nowhere"),
        ("GET", "/api/nowhere"),
        ("GET", "/api/openapi.json"),
        ("GET", "/api/namespaces/k12/syncs"),
        ("GET", "/api/namespaces/K12/syncs"),
        ("DELETE", "/api/namespaces/k12/syncs"),
        ("GET", "/healthz"),
        ("GET", "/namespaces/k12/syncs/defect"),
    ],
)
async def test_every_answer_has_the_security_headers(
    browser: Browser, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path.endswith("/defect"):
        await browser.sign_in()

        def fail(*_: object) -> None:
            raise RuntimeError("ada-token")

        monkeypatch.setattr("roster_operator.console.views.instructions", fail)
        monkeypatch.setattr("roster_operator.console.cluster.Cluster.sync", fail)
    answer = await browser.client.request(method, path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert ("immutable" if "static" in path else "no-store") in answer.headers["cache-control"]
    assert "server" not in answer.headers
    if path.endswith("/defect"):
        assert (answer.status_code, "InternalError" in answer.text, "ada-token" in answer.text) == (500, True, False)


async def test_the_policy_allows_only_what_comes_from_here_and_no_frames(browser: Browser) -> None:
    policy = (await browser.get("/login")).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    sources = {source for part in policy.split("; ") for source in part.split()[1:]}
    assert sources == {"'none'", "'self'"}


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ((500, b"{}", {}), 503, "ApiServerUnavailable"),
        ((429, b"{}", {}), 503, "ApiServerUnavailable"),
        ((200, b"<html>", {}), 502, "ApiServerAnswerUnusable"),
        ((200, b"[" * 100_000, {}), 502, "ApiServerAnswerUnusable"),
        ((200, b"[]", {}), 502, "ApiServerAnswerUnusable"),
        ((302, b"{}", {"Location": "http://127.0.0.1:1/"}), 502, "ApiServerAnswerUnusable"),
        ((404, b"{}", {}), 404, "NotInstalled"),
    ],
)
async def test_an_api_server_in_trouble_is_named_as_such(
    browser: Browser, cluster: FakeCluster, answer: tuple[int, bytes, dict[str, str]], status: int, reason: str
) -> None:
    cluster.answer = answer
    got = await browser.get(API[0], Authorization="Bearer ada-token")
    assert (got.status_code, got.json()["reason"]) == (status, reason)
    assert set(got.json()) == {"reason", "message", "next"}


async def test_an_api_server_that_is_away_leaves_the_process_healthy(cluster: FakeCluster, browser: Browser) -> None:
    cluster.__exit__()
    got = await browser.get(API[0], Authorization="Bearer ada-token")
    assert (got.status_code, got.json()["reason"]) == (503, "ApiServerUnavailable")
    signing_in = await browser.sign_in()
    assert signing_in.status_code == 503
    assert (await browser.get("/healthz")).text == "ok"


async def test_an_endless_answer_is_not_read_to_its_end(
    browser: Browser, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roster_operator.console.cluster.BODY_LIMIT", 1000)
    cluster.answer = (200, b" " * 200_000, {})
    got: httpx.Response = await browser.get(API[0], Authorization="Bearer ada-token")
    assert got.json()["reason"] == "ApiServerAnswerUnusable"
