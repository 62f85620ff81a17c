"""The JSON API of people, access, uploads, pins, matches and undos, on a real API server and a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.console.conftest import Browser
from tests.console.world import DISTRICT, World

from roster_sample_sis import generate
from roster_sample_sis.bundles import bundle

pytestmark = [pytest.mark.apiserver, pytest.mark.store]


class Caller:
    """A program with one person's token."""

    def __init__(self, world: World, visitor: Browser, token: str) -> None:
        self._home = f"/api/namespaces/{world.namespace}"
        self._client, self._headers = visitor.client, {"Authorization": f"Bearer {token}"}

    async def __call__(self, method: str, path: str, *, of: str = "", **more: Any) -> httpx.Response:
        target = f"{self._home}/syncs/{of}/{path}" if of else f"{self._home}/connections/{DISTRICT}/{path}"
        return await self._client.request(method, target, headers=self._headers, **more)


@pytest.fixture
def manager(world: World, visitor: Browser) -> Caller:
    """A data manager at a district with one merged sync."""
    world.stage("springfield-1")
    world.merge("springfield-1")
    return Caller(world, visitor, world.person("mona", "roster-data-manager"))


def of_the_sis(world: World, role: str) -> tuple[str, str, str]:
    return world.roster.ask(
        "select sourced_id, given_name, family_name from roster.users where tenant = %s and role = %s"
        " and status = 'active' order by sourced_id limit 1",
        world.tenant,
        role,
    )[0]


async def test_people_are_found_told_granted_and_added(world: World, manager: Caller) -> None:
    teacher, given, family = of_the_sis(world, "teacher")
    found = (await manager("GET", "people", params={"text": f"{given} {family}"})).json()["items"]
    assert teacher in {each["sourcedId"] for each in found}
    part = (await manager("GET", "people", params={"role": "student", "limit": 7})).json()
    following = (await manager("GET", "people", params={"role": "student", "after": part["after"]})).json()
    assert len(part["items"]) == 7
    assert part["after"] < following["items"][0]["sourcedId"]

    grant = {"user": teacher, "permissions": ["tests:create"], "reason": "term"}
    assert (await manager("POST", "access/grant", json=grant)).json() == {"done": "granted", "by": world.who("mona")}
    story = (await manager("GET", "people/person", params={"id": teacher})).json()
    assert story["access"]["permissions"] == ["tests:create"]
    assert story["access"]["effective"]
    assert story["record"]["given_name"] == given
    assert not {"row_hash", "tenant"} & set(story["record"])
    assert [each["effective"] for each in (await manager("GET", "access")).json()["items"]] == [True]
    assert (await manager("POST", "access/revoke", json={"user": teacher})).status_code == 200
    again = await manager("POST", "access/revoke", json={"user": teacher})
    assert (again.status_code, again.json()["reason"]) == (422, "AccessUnknown")
    assert (await manager("GET", "people/person", params={"id": "nobody"})).status_code == 404

    [school] = {each["sourcedId"] for each in (await manager("GET", "schools")).json()["items"][:1]}
    klass = (await manager("GET", "classes", params={"school": school})).json()["items"][0]["sourcedId"]
    student = {"givenName": "Nia", "familyName": "Novak", "school": school, "classes": [klass]}
    made = (await manager("POST", "students", json=student)).json()["sourcedId"]
    changed = student | {"familyName": "Nowak", "classes": []}
    assert (await manager("PUT", "students", params={"id": made}, json=changed)).status_code == 200
    told = (await manager("GET", "people/person", params={"id": made})).json()
    assert (told["name"], told["record"]["source"]) == ("Nia Nowak", "Manual")
    assert [each["status"] for each in told["classes"]] == ["inactive"]
    assert (await manager("PUT", "students", params={"id": teacher}, json=changed)).json()["reason"] == "PersonUnknown"
    amended = await manager("PATCH", "students", params={"id": made}, json={"email": "n@example.org"})
    assert amended.json() == {"sourcedId": made}
    record = (await manager("GET", "people/person", params={"id": made})).json()["record"]
    assert (record["family_name"], record["email"]) == ("Nowak", "n@example.org")
    nameless = await manager("PATCH", "students", params={"id": made}, json={"familyName": None})
    assert nameless.status_code == 400
    assert (await manager("DELETE", "students", params={"id": made})).status_code == 200
    assert {kind for _, kind in world.readings()} == {"people", "person", "access", "student"}


async def test_values_are_pinned_and_matches_decided(world: World, manager: Caller) -> None:
    student, given, family = of_the_sis(world, "student")
    school = world.roster.one(
        "select org_sourced_ids[1] from roster.users where tenant = %s and sourced_id = %s", world.tenant, student
    )
    field = {"entity": "users", "sourcedId": student, "field": "email"}
    pinned = await manager("POST", "pins", json=field | {"value": "new@school.example", "reason": "asked for it"})
    assert pinned.json() == {"done": "pinned", "by": world.who("mona")}
    [pin] = (await manager("GET", "pins", params={"entity": "users", "id": student})).json()["items"]
    assert (pin["value"], pin["reason"], pin["released"]) == ("new@school.example", "asked for it", False)
    for wrong, reason in (
        (field | {"field": "role", "value": "administrator"}, "FieldNotPinnable"),
        (field | {"entity": "nothing", "value": "x"}, "EntityUnknown"),
        (field | {"sourcedId": "nobody", "value": "x"}, "RecordUnknown"),
        (field | {"value": "x", "until": "2020-01-01"}, "NotValid"),
    ):
        refused = await manager("POST", "pins", json=wrong)
        assert (refused.status_code, refused.json()["reason"]) == (422, reason)
    assert (await manager("POST", "pins/release", json=field)).json()["done"] == "released"

    new = {"givenName": given, "familyName": family, "school": school}
    made = (await manager("POST", "students", json=new)).json()["sourcedId"]
    [match] = [
        each for each in (await manager("GET", "matches")).json()["items"] if each["sis"]["sourcedId"] == student
    ]
    assert (match["manual"]["sourcedId"], match["basis"]) == (made, "name")
    two = {"manual": made, "sis": student}
    assert (await manager("POST", "matches/accept", json=two)).json()["done"] == "accept"
    known = (await manager("GET", "matches")).json()
    assert [(each["linked"], each["by"]) for each in known["decisions"]] == [(True, world.who("mona"))]
    assert (await manager("POST", "matches/undo", json=two)).status_code == 200
    assert (await manager("POST", "matches/undo", json=two)).status_code == 200  # the refusal, too
    assert (await manager("POST", "matches/undo", json=two)).json()["reason"] == "MatchUnknown"
    assert {"pin", "pins", "match", "matches"} <= {kind for _, kind in world.readings()}


async def test_a_bundle_is_sent_in_staged_and_a_merged_sync_undone(world: World, manager: Caller) -> None:
    undone = await manager("POST", "undo", of="springfield-1", json={"overwrite": True})
    assert undone.status_code == 201
    made = world.server.read("rostersync", undone.json()["name"], world.namespace)
    assert made is not None
    assert {key: made["spec"][key] for key in ("mode", "undoes", "undoConflicts")} == {
        "mode": "Undo", "undoes": "springfield-1", "undoConflicts": "Overwrite",
    }  # fmt: skip
    again = await manager("POST", "undo", of=undone.json()["name"], json={})
    assert (again.status_code, again.json()["reason"]) == (409, "NotMerged")

    good = bundle(generate(5, 60), "1.2")
    assert (await manager("POST", "uploads", content=good)).json()["reason"] == "NotValid"  # of another source
    world.server.kubectl(
        "-n", world.namespace, "patch", "rosterconnection", DISTRICT, "--type=json",
        "-p", '[{"op":"remove","path":"/spec/api"},{"op":"add","path":"/spec/csv","value":{"upload":{}}}]',
    )  # fmt: skip
    bad = (await manager("POST", "uploads", content=b"no zip at all")).json()
    assert bad["kept"] is False
    assert bad["findings"]
    kept = (await manager("POST", "uploads", content=good)).json()
    assert (kept["kept"], kept["version"], kept["before"]) == (True, "1.2", False)
    assert [each["digest"] for each in (await manager("GET", "uploads")).json()["items"]] == [kept["digest"]]
    staged = await manager("POST", "uploads/stage", json={"digest": kept["digest"]})
    body = world.server.read("rostersync", staged.json()["name"], world.namespace)
    assert body is not None
    assert body["spec"]["source"] == {"upload": kept["digest"]}


async def test_each_needs_its_own_right_and_leaves_no_trace_without(world: World, visitor: Browser) -> None:
    world.stage("springfield-1")
    world.merge("springfield-1")
    teacher = of_the_sis(world, "teacher")[0]
    anna = Caller(world, visitor, world.person("anna", "roster-approver"))
    field = {"entity": "users", "sourcedId": teacher, "field": "email"}
    two, school = {"manual": teacher, "sis": teacher}, {"givenName": "A", "familyName": "B", "school": "s"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "people", {}),
        ("GET", "people/person", {"params": {"id": teacher}}),
        ("GET", "schools", {}),
        ("GET", "access", {}),
        ("GET", "uploads", {}),
        ("GET", "pins", {}),
        ("GET", "matches", {}),
        ("POST", "students", {"json": school}),
        ("DELETE", "students", {"params": {"id": teacher}}),
        ("POST", "access/grant", {"json": {"user": teacher, "permissions": ["x"]}}),
        ("POST", "pins", {"json": field | {"value": "x"}}),
        ("POST", "pins/release", {"json": field}),
        ("POST", "matches/accept", {"json": two}),
    ]
    for method, path, more in asked:
        answer = await anna(method, path, **more)
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden"), (method, path)
    assert (
        await anna("POST", "undo", of="springfield-1", json={})
    ).status_code == 403  # may change syncs, not make any
    assert world.readings() == []
    assert world.roster.one("select count(*) from roster.app_access") == 0
