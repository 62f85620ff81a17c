"""Every route, asked by everybody: nobody, people without rights, people of another namespace, other web sites."""

from __future__ import annotations

import re

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from tests.console.conftest import SAME_ORIGIN, Browser
from tests.console.fake_cluster import FakeCluster, connection, sync

from roster_operator.console.app import ROOMS, build_inner
from roster_operator.console.settings import Settings

OPEN = {("GET", "/healthz"), ("GET", "/login"), ("POST", "/login"), ("POST", "/logout"), ("GET", "/static/{file}")}
# Pages about nothing that belongs to anybody: whoever is signed in may see them.
COMMON = {("GET", "/"), ("GET", "/help"), ("GET", "/connect"), ("POST", "/connect")}
SERVER = Settings(server="http://127.0.0.1:1")


def routes() -> list[tuple[str, str]]:
    found = [route for room in ROOMS for route in room.router.routes if isinstance(route, APIRoute)]
    return sorted((method, route.path) for route in found for method in route.methods)


PAGES = [(method, path) for method, path in routes() if not path.startswith("/api/") and (method, path) not in OPEN]
API = [(method, path) for method, path in routes() if path.startswith("/api/")]
BODIES = {"approve": {"digest": "sha256:" + "0" * 64}, "reject": {"reason": "no"}}


def at(path: str, namespace: str = "k12") -> str:
    name = "springfield-1" if "/syncs/" in path else "springfield"
    return path.replace("{namespace}", namespace).replace("{name}", name).replace("{file}", "console.css")


@pytest.fixture(autouse=True)
def filled(cluster: FakeCluster) -> None:
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [sync()]}


def test_there_are_routes_to_ask() -> None:
    assert len(PAGES) > 25
    assert len(API) == 9


@pytest.mark.parametrize(("method", "path"), PAGES)
async def test_nobody_gets_past_the_form_to_sign_in(
    browser: Browser, cluster: FakeCluster, method: str, path: str
) -> None:
    answer = await browser.client.request(method, at(path), headers=SAME_ORIGIN)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    assert cluster.asked == []


@pytest.mark.parametrize(("method", "path"), [each for each in PAGES if each not in COMMON])
async def test_a_person_of_another_namespace_gets_nothing_and_changes_nothing(
    browser: Browser, cluster: FakeCluster, method: str, path: str
) -> None:
    await browser.sign_in("foreign-token")
    token = re.search(r'name="form_token" value="([^"]+)"', (await browser.get("/help")).text)
    assert token
    form = {"form_token": token[1], "digest": "sha256:" + "0" * 64, "reason": "no", "at": "03:00", "every": "daily"}
    answer = await browser.client.request(
        method, at(path), headers=SAME_ORIGIN, data=form | {"id": "x", "user": "x", "permissions": "x", "school": "s"}
    ) if method == "POST" else await browser.get(f"{at(path)}?id=x")  # fmt: skip
    assert answer.status_code in (403, 404)
    assert "sis.example" not in answer.text
    assert cluster.changed == []


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
@pytest.mark.parametrize(
    "path", [path for method, path in routes() if method == "POST" and not path.startswith("/api/")]
)
async def test_no_form_of_another_site_does_anything(
    browser: Browser, cluster: FakeCluster, path: str, headers: dict[str, str]
) -> None:
    cluster.verbs = {"ada-token": {"approve rostersyncs", "patch rostersyncs", "patch rosterconnections"}}
    await browser.sign_in()
    answer = await browser.client.post(at(path), data={"digest": "x", "reason": "x"}, headers=headers)
    assert answer.status_code == 403
    assert cluster.changed == []


@pytest.mark.parametrize(("method", "path"), API)
async def test_the_api_takes_a_token_and_nothing_else(
    browser: Browser, cluster: FakeCluster, method: str, path: str
) -> None:
    await browser.sign_in()
    body = BODIES.get(path.rpartition("/")[2])
    without = await browser.client.request(method, at(path), json=body, headers=SAME_ORIGIN)
    assert (without.status_code, without.json()["reason"]) == (401, "NotSignedIn")
    foreign = {"Authorization": "Bearer foreign-token"}
    refused = await browser.client.request(method, at(path), json=body, headers=foreign)
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    mine = {"Authorization": "Bearer ada-token"}
    own = await browser.client.request(method, at(path), json=body, headers=mine)
    expected = {"approve": 403, "reject": 403, "changes": 404, "issues": 404}.get(path.rpartition("/")[2], 200)
    assert own.status_code == expected
    assert cluster.changed == []


async def test_the_api_approves_what_may_be_approved(browser: Browser, cluster: FakeCluster) -> None:
    cluster.verbs = {"ada-token": {"approve rostersyncs", "patch rostersyncs"}}
    mine = {"Authorization": "Bearer ada-token"}
    digest = sync()["status"]["plan"]["digest"]
    path = "/api/namespaces/k12/syncs/springfield-1/approve"
    wrong = await browser.client.post(path, json=BODIES["approve"], headers=mine)
    assert (wrong.status_code, wrong.json()["reason"]) == (409, "PlanChanged")
    done = await browser.client.post(path, json={"digest": digest, "note": "seen"}, headers=mine)
    assert done.json() == {"decision": "approved", "by": "ada"}
    assert len(cluster.changed) == 1


schema = schemathesis.openapi.from_dict(build_inner(SERVER).openapi())


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_api_answers_as_its_document_says(case: schemathesis.Case, fuzzed: str) -> None:
    # Which field an entity has, or what a token is, no schema can say.
    told_elsewhere = [positive_data_acceptance, ignored_auth]
    headers = {"Authorization": "Bearer ada-token"}
    case.call_and_validate(base_url=fuzzed, headers=headers, excluded_checks=told_elsewhere)
