"""People, access, uploads and activity, on a real API server and a real PostgreSQL."""

from __future__ import annotations

import html
import io
import re
import zipfile
from urllib.parse import quote, urlencode

import httpx
import pytest
from tests.console.conftest import SAME_ORIGIN, Browser, form_token
from tests.console.world import DISTRICT, World

from roster_sample_sis import generate
from roster_sample_sis.bundles import bundle
from roster_sample_sis.faults import Rekey
from roster_sample_sis.variants import one_percent_changed

pytestmark = [pytest.mark.apiserver, pytest.mark.store]


@pytest.fixture
async def manager(world: World, visitor: Browser) -> Browser:
    """A data manager at a district with two merged syncs."""
    world.stage("springfield-1")
    world.merge("springfield-1")
    await visitor.sign_in(world.person("mona", "roster-data-manager"), world.namespace)
    return visitor


def path(world: World, tail: str = "") -> str:
    return f"/namespaces/{world.namespace}/connections/{DISTRICT}{tail}"


def one(world: World, query: str) -> tuple[str, ...]:
    return world.roster.ask(f"{query} and tenant = %s order by sourced_id limit 1", world.tenant)[0]


async def test_a_person_is_found_by_part_of_the_name_and_told_to_the_end(world: World, manager: Browser) -> None:
    world.stage("springfield-2", one_percent_changed(generate(7, 300), 3))
    world.merge("springfield-2")
    changed = world.roster.ask(
        "select l.sourced_id, u.given_name, u.family_name from roster.change_log l join roster.users u"
        " on u.tenant = l.tenant and u.sourced_id = l.sourced_id where l.tenant = %s and l.entity = 'users'"
        " and l.action = 'update' and u.status = 'active' limit 1",
        world.tenant,
    )[0]
    found = await manager.get(path(world, f"/people?{urlencode({'text': f'{changed[1]} {changed[2]}'.upper()})}"))
    assert f"person?id={changed[0]}" in found.text
    text = html.unescape((await manager.get(path(world, f"/people/person?id={changed[0]}"))).text)
    assert f"{changed[1]} {changed[2]}" in text
    assert "Came with the source" in text
    assert "springfield-2" in text
    assert '<dl class="diff">' in text
    assert "approved by ada" in text
    assert ("person", True) in world.roster.ask(
        "select kind, subject is not null from roster.reading where tenant = %s", world.tenant
    )
    assert (await manager.get(path(world, "/people/person?id=nobody"))).status_code == 404


async def test_a_list_of_people_is_paged_and_narrowed(world: World, manager: Browser) -> None:
    school = one(world, "select sourced_id from roster.orgs where type = 'school'")[0]
    expected = world.roster.one(
        "select count(*) from roster.users where tenant = %s and role = 'student' and %s = any (org_sourced_ids)",
        world.tenant,
        school,
    )
    seen: list[str] = []
    address = path(world, f"/people?{urlencode({'role': 'student', 'school': school})}")
    while address:
        text = (await manager.get(address)).text
        seen += re.findall(r"person\?id=([^\"]+)", text)
        more = re.search(r'<a class="button" href="([^"]+)">Next</a>', text)
        address = html.unescape(more[1]) if more else ""
    assert len(seen) == len(set(seen)) == expected
    assert "Nobody like this" in (await manager.get(path(world, "/people?status=inactive"))).text


async def test_a_student_is_added_changed_and_deactivated(world: World, manager: Browser) -> None:
    school, klass = one(world, "select school_sourced_id, sourced_id from roster.classes where status = 'active'")
    form = path(world, f"/people/student?school={school}")
    typed = {
        "school": school,
        "given_name": "Zoë",
        "family_name": "<b>O'Neill</b>",
        "grades": "03, 04",
        "classes": klass,
    }
    refused = await manager.send(form, path(world, "/people/student"), **(typed | {"given_name": " "}))
    assert refused.status_code == 422
    assert "given name" in refused.text
    assert html.escape("<b>O'Neill</b>", quote=False) in html.unescape(refused.text).replace(
        "<b>", "&lt;b&gt;"
    ).replace("</b>", "&lt;/b&gt;")
    made = await manager.send(form, path(world, "/people/student"), **typed, reason="arrived today")
    assert made.status_code == 303
    page = made.headers["location"]
    text = (await manager.get(page)).text
    assert "Zoë &lt;b&gt;O&#39;Neill&lt;/b&gt;" in text
    assert "Added by hand" in text
    assert "arrived today" in text
    assert world.who("mona") in text
    identity = page.rpartition("=")[2]
    form = path(world, f"/people/student?id={identity}")
    assert (await manager.get(form)).text.count("checked") == 1
    changed = await manager.send(
        form, path(world, "/people/student"), id=identity, school=school, given_name="Zoë", family_name="Neill"
    )
    assert changed.status_code == 303
    assert "Zoë Neill" in (await manager.get(page)).text
    assert (await manager.send(page, path(world, "/people/end"), id=identity)).status_code == 303
    assert "Deactivated" in (await manager.get(page)).text
    foreign = one(world, "select sourced_id from roster.users where source = 'SIS'")[0]
    for tail in ("/people/end", "/people/student"):
        answer = await manager.send(page, path(world, tail), id=foreign, school=school, given_name="X", family_name="Y")
        assert answer.status_code in (404, 422)
    assert world.roster.one("select given_name from roster.users where sourced_id = %s", foreign) != "X"


async def test_an_imported_teacher_is_activated_and_revoked(world: World, manager: Browser) -> None:
    teacher, family = one(
        world, "select sourced_id, family_name from roster.users where role = 'teacher' and status = 'active'"
    )
    found = path(world, f"/access?{urlencode({'text': family})}")
    assert teacher in (await manager.get(found)).text
    given = {"user": teacher, "permissions": "tests:create tests:view", "reason": "term"}
    assert (await manager.send(found, path(world, "/access/grant"), **given)).status_code == 303
    held = world.roster.ask("select permissions, granted_by, reason from roster.app_access")
    assert held == [(["tests:create", "tests:view"], world.who("mona"), "term")]
    assert "tests:create, tests:view" in (await manager.get(path(world, "/access"))).text
    for wrong in ({"permissions": ""}, {"permissions": "a;b"}, {"user": "nobody"}):
        assert (await manager.send(found, path(world, "/access/grant"), **(given | wrong))).status_code == 422
    assert (await manager.send(found, path(world, "/access/revoke"), user=teacher)).status_code == 303
    assert "Ended" in (await manager.get(path(world, "/access"))).text
    activity = (await manager.get(path(world, "/activity"))).text
    for said in ("Gave access", "Ended an access", "Merged a sync", world.who("mona")):
        assert said in activity
    assert "who has access" in (await manager.get(path(world, "/activity?kind=read"))).text


async def test_a_value_is_pinned_on_the_page_of_the_person_and_released(world: World, manager: Browser) -> None:
    student = one(world, "select sourced_id from roster.users where role = 'student' and status = 'active'")[0]
    page = path(world, f"/people/person?id={quote(student)}")
    field = {"entity": "users", "id": student, "field": "email", "back": "person"}
    typed = field | {"value": "<b>@school.example", "reason": "asked for it", "until": "2099-06-30"}
    pinned = await manager.send(page, path(world, "/by-hand/pin"), **typed)
    assert pinned.status_code == 303
    text = (await manager.get(pinned.headers["location"])).text
    assert "&lt;b&gt;@school.example" in text
    assert "asked for it" in text
    assert "until 2099-06-30" in text
    assert student in (await manager.get(path(world, "/by-hand"))).text
    for wrong in ({"until": "soon"}, {"until": "2020-01-01"}, {"value": " "}, {"field": "role"}, {"entity": "x"}):
        assert (await manager.send(page, path(world, "/by-hand/pin"), **(typed | wrong))).status_code == 422
    assert (await manager.send(page, path(world, "/by-hand/release"), **field)).status_code == 303
    assert "Ends with the next sync" in (await manager.get(page)).text


async def test_two_who_may_be_one_are_linked_and_parted_again(world: World, manager: Browser) -> None:
    student, given, family, school = one(
        world,
        "select sourced_id, given_name, family_name, org_sourced_ids[1] from roster.users where role = 'student'"
        " and status = 'active'",
    )
    form = path(world, f"/people/student?school={school}")
    added = await manager.send(
        form, path(world, "/people/student"), school=school, given_name=given, family_name=family
    )
    made = added.headers["location"].rpartition("=")[2]
    page = path(world, "/by-hand")
    assert "May be one person" in (text := (await manager.get(page)).text)
    assert made in text
    assert student in text
    two = {"manual": made, "sis": student}
    linked = await manager.send(page, path(world, "/by-hand/matches/accept"), **two, reason="the same birth date")
    assert linked.headers["location"].endswith("?done=accept")
    text = (await manager.get(page)).text
    assert "the same birth date" in text
    assert "Part them" in text
    assert (await manager.send(page, path(world, "/by-hand/matches/undo"), **two)).status_code == 303
    assert "Ask again" in (await manager.get(page)).text
    assert (await manager.send(page, path(world, "/by-hand/matches/none"), **two)).status_code == 400


async def test_a_merged_sync_is_taken_back_by_a_plan_like_any_other(world: World, manager: Browser) -> None:
    review = f"/namespaces/{world.namespace}/syncs/springfield-1"
    assert "Plan the undo" in (await manager.get(review)).text
    begun = await manager.send(review, f"{review}/undo", overwrite="yes")
    assert begun.status_code == 303
    made = world.server.read("rostersync", begun.headers["location"].rpartition("/")[2], world.namespace)
    assert made is not None
    assert (made["spec"]["undoes"], made["spec"]["undoConflicts"]) == ("springfield-1", "Overwrite")
    text = (await manager.get(begun.headers["location"])).text
    assert f'An undo of <a href="{review}">' in text
    assert "Plan the undo" not in text


async def test_who_is_who_is_shown_where_everybody_has_another_id(world: World, manager: Browser) -> None:
    world.sis.faults.add(Rekey())
    world.stage("springfield-2")
    review = f"/namespaces/{world.namespace}/syncs/springfield-2"
    text = (await manager.get(review)).text
    assert f'href="{review}/keys"' in text
    seen: dict[str, str] = {}
    address = f"{review}/keys"
    while address:
        text = (await manager.get(address)).text
        ids = re.findall(r'class="soft id">([^<]+)<', text)
        seen |= dict(zip(ids[::2], ids[1::2], strict=True))
        more = re.search(r'<a class="button" href="([^"]+)">Next</a>', text)
        address = html.unescape(more[1]) if more else ""
    assert len(seen) > 100
    assert all(new == old.replace("PER", "ANEW") for old, new in seen.items())


async def send_bundle(world: World, browser: Browser, content: bytes, **more: str) -> httpx.Response:
    page = path(world, "/upload")
    token = form_token(await browser.get(page))
    return await browser.client.post(
        page, data={"form_token": token} | more, files={"bundle": ("district.zip", content)}, headers=SAME_ORIGIN
    )


async def test_a_bundle_is_looked_at_kept_and_staged(world: World, manager: Browser) -> None:
    world.server.kubectl(
        "-n", world.namespace, "patch", "rosterconnection", DISTRICT, "--type=json",
        "-p", '[{"op":"remove","path":"/spec/api"},{"op":"add","path":"/spec/csv","value":{"upload":{}}}]',
    )  # fmt: skip
    good = bundle(generate(5, 60), "1.2")
    kept = await send_bundle(world, manager, good)
    assert kept.status_code == 200
    assert "Kept" in kept.text
    digest = re.search(r'name="digest" value="(sha256:[0-9a-f]{64})"', kept.text)
    assert digest
    assert world.roster.ask("select digest, uploaded_by from roster.upload") == [(digest[1], world.who("mona"))]
    begun = await manager.send(path(world, "/upload"), path(world, "/upload/stage"), digest=digest[1])
    assert begun.status_code == 303
    made = world.server.read("rostersync", begun.headers["location"].rpartition("/")[2], world.namespace)
    assert made is not None
    assert made["spec"]["source"] == {"upload": digest[1]}
    for bad in (b"", b"no zip at all", broken(good)):
        answer = await send_bundle(world, manager, bad)
        assert answer.status_code == 422
    assert world.roster.one("select count(*) from roster.upload") == 1
    foreign = await send_bundle(world, manager, good, form_token="x")
    assert foreign.status_code == 403


def broken(good: bytes) -> bytes:
    """A bundle without its manifest."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(held, "w") as new:
        for name in old.namelist():
            if name != "manifest.csv":
                new.writestr(name, old.read(name))
    return held.getvalue()


async def test_each_page_of_records_needs_its_own_right_and_writes_nothing_without(
    world: World, visitor: Browser
) -> None:
    world.stage("springfield-1")
    world.merge("springfield-1")
    teacher = one(world, "select sourced_id from roster.users where role = 'teacher'")[0]
    await visitor.sign_in(world.person("anna", "roster-approver"), world.namespace)
    home = path(world)
    text = (await visitor.get(home)).text
    assert "/people" not in text
    assert "/access" not in text
    for tail in (
        "/by-hand",
        "/people",
        f"/people/person?id={quote(teacher)}",
        "/people/student",
        "/access",
        "/upload",
        "/activity",
    ):
        answer = await visitor.get(home + tail)
        assert answer.status_code == 403, tail
        assert teacher not in answer.text
    for tail in (
        "/by-hand/pin",
        "/by-hand/matches/accept",
        "/people/student",
        "/people/end",
        "/access/grant",
        "/access/revoke",
        "/upload/stage",
    ):
        answer = await visitor.send(home, home + tail, id=teacher, user=teacher, permissions="x", digest="sha256:x")
        assert answer.status_code in (403, 422), tail
    assert world.readings() == []
    assert world.roster.one("select count(*) from roster.app_access") == 0
