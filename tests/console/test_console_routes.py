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
# By an identity provider: test_console_oidc.py. A console without one has no such pages.
OPEN |= {("POST", "/login/provider"), ("GET", "/login/callback")}
# Pages about nothing that belongs to anybody: whoever is signed in may see them.
COMMON = {("GET", "/"), ("GET", "/help"), ("GET", "/connect"), ("POST", "/connect")}
SERVER = Settings(server="http://127.0.0.1:1")


def routes() -> list[tuple[str, str]]:
    found = [route for room in ROOMS for route in room.router.routes if isinstance(route, APIRoute)]
    return sorted((method, route.path) for route in found for method in route.methods)


PAGES = [(method, path) for method, path in routes() if not path.startswith("/api/") and (method, path) not in OPEN]
API = [(method, path) for method, path in routes() if path.startswith("/api/")]
DIGEST = "sha256:" + "0" * 64
_TWO = {"manual": "x", "sis": "y"}
_FIELD = {"entity": "users", "sourcedId": "x", "field": "email"}
_NOBODY = {"user": "x", "permissions": ["tests:view"]}
_STUDENT = {"givenName": "A", "familyName": "B", "school": "s"}
# What is sent, and what a person hears who may read the district and no more, in a console without a database.
API_CASES: dict[tuple[str, str], tuple[object, int]] = {
    ("POST", "syncs/{name}/approve"): ({"digest": DIGEST}, 403),
    ("POST", "syncs/{name}/reject"): ({"reason": "no"}, 403),
    ("POST", "syncs/{name}/undo"): ({}, 409),
    ("GET", "syncs/{name}/changes"): (None, 404),
    ("GET", "syncs/{name}/issues"): (None, 404),
    ("GET", "connections/{name}/people"): (None, 404),
    ("GET", "connections/{name}/people/person"): (None, 404),
    ("GET", "connections/{name}/schools"): (None, 404),
    ("GET", "connections/{name}/classes"): (None, 404),
    ("POST", "connections/{name}/students"): (_STUDENT, 404),
    ("PUT", "connections/{name}/students"): (_STUDENT, 404),
    ("PATCH", "connections/{name}/students"): ({"email": "n@example.org"}, 404),
    ("DELETE", "connections/{name}/students"): (None, 404),
    ("GET", "connections/{name}/access"): (None, 404),
    ("POST", "connections/{name}/access/grant"): (_NOBODY, 404),
    ("POST", "connections/{name}/access/revoke"): ({"user": "x"}, 404),
    ("POST", "connections/{name}/access/invite"): ({"user": "x"}, 404),
    ("POST", "connections/{name}/access/withdraw"): ({"user": "x"}, 404),
    ("GET", "connections/{name}/uploads"): (None, 404),
    ("POST", "connections/{name}/uploads"): (None, 422),
    ("POST", "connections/{name}/uploads/stage"): ({"digest": DIGEST}, 422),
    ("GET", "connections/{name}/pins"): (None, 404),
    ("POST", "connections/{name}/pins"): (_FIELD | {"value": "x"}, 404),
    ("POST", "connections/{name}/pins/release"): (_FIELD, 404),
    ("GET", "connections/{name}/matches"): (None, 404),
    ("POST", "connections/{name}/matches/{decision}"): (_TWO, 404),
}


def at(path: str, namespace: str = "k12") -> str:
    name = "springfield-1" if "/syncs/" in path else "springfield"
    path = path.replace("{decision}", "accept").replace("{file}", "console.css")
    return path.replace("{namespace}", namespace).replace("{name}", name)


def api_case(method: str, path: str) -> tuple[object, int]:
    return API_CASES.get((method, path.removeprefix("/api/namespaces/{namespace}/")), (None, 200))


@pytest.fixture(autouse=True)
def filled(cluster: FakeCluster) -> None:
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [sync()]}


def test_there_are_routes_to_ask() -> None:
    assert len(PAGES) > 25
    assert set(API_CASES) < {(method, path.removeprefix("/api/namespaces/{namespace}/")) for method, path in API}


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
    form |= {"value": "x", "manual": "x", "sis": "y"}
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
    body, expected = api_case(method, path)
    address = at(path) + "?id=x&school=s"
    without = await browser.client.request(method, address, json=body, headers=SAME_ORIGIN)
    assert (without.status_code, without.json()["reason"]) == (401, "NotSignedIn")
    foreign = {"Authorization": "Bearer foreign-token"}
    refused = await browser.client.request(method, address, json=body, headers=foreign)
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    mine = {"Authorization": "Bearer ada-token"}
    own = await browser.client.request(method, address, json=body, headers=mine)
    assert own.status_code == expected
    assert cluster.changed == []


async def test_the_api_approves_what_may_be_approved(browser: Browser, cluster: FakeCluster) -> None:
    cluster.verbs = {"ada-token": {"approve rostersyncs", "patch rostersyncs"}}
    mine = {"Authorization": "Bearer ada-token"}
    digest = sync()["status"]["plan"]["digest"]
    path = "/api/namespaces/k12/syncs/springfield-1/approve"
    wrong = await browser.client.post(path, json={"digest": DIGEST}, headers=mine)
    assert (wrong.status_code, wrong.json()["reason"]) == (409, "PlanChanged")
    done = await browser.client.post(path, json={"digest": digest, "note": "seen"}, headers=mine)
    assert done.json() == {"decision": "approved", "by": "ada"}
    assert len(cluster.changed) == 1


@schemathesis.serializer("application/zip")
def as_it_is(_: schemathesis.SerializationContext, value: object) -> bytes:
    """Any bytes: whether they are a zip is what the console finds out."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


schema = schemathesis.openapi.from_dict(build_inner(SERVER).openapi())


@schema.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_api_answers_as_its_document_says(case: schemathesis.Case, fuzzed: str) -> None:
    # Which field an entity has, or what a token is, no schema can say.
    told_elsewhere = [positive_data_acceptance, ignored_auth]
    headers = {"Authorization": "Bearer ada-token"}
    case.call_and_validate(base_url=fuzzed, headers=headers, excluded_checks=told_elsewhere)
