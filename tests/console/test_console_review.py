"""The review of a sync as people of different rights see it, on a real API server and a real PostgreSQL."""

from __future__ import annotations

import csv
import html
import io
import re
from urllib.parse import urlencode

import pytest
from tests.console.conftest import Browser
from tests.console.world import World

from roster_sample_sis import generate
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed

pytestmark = [pytest.mark.apiserver, pytest.mark.store]
FIRST, SECOND = "springfield-1", "springfield-2"


def prepared(world: World) -> str:
    """One merged sync, and one that is held. The page of the second."""
    district = generate(7, 300)
    world.stage(FIRST)
    world.merge(FIRST)
    world.stage(SECOND, lost_a_fifth(one_percent_changed(district, 3)))
    return f"/namespaces/{world.namespace}/syncs/{SECOND}"


async def test_each_person_sees_of_a_review_what_their_rights_show(world: World, visitor: Browser) -> None:
    page = prepared(world)
    rights = {
        "vera": ("roster-viewer",),
        "anna": ("roster-approver",),
        "mona": ("roster-data-manager",),
        "boss": ("roster-admin",),
    }
    for name, roles in rights.items():
        await visitor.sign_in(world.person(name, *roles), world.namespace)
        text = (await visitor.get(page)).text
        assert "Held: look at this before anybody approves" in text
        assert ("/approve" in text) is (name in ("anna", "boss"))
        assert ("By school" in text) is (name in ("mona", "boss"))
        for part in ("changes", "issues", "issues.csv"):
            answer = await visitor.get(f"{page}/{part}")
            assert answer.status_code == (200 if name in ("mona", "boss") else 403), (name, part)
    assert {person for person, _ in world.readings()} == {world.who("mona"), world.who("boss")}
    assert world.readings().count((world.who("mona"), "report")) == 1


async def test_the_lists_show_old_and_new_and_can_be_searched_and_paged(world: World, visitor: Browser) -> None:
    page = prepared(world)
    await visitor.sign_in(world.person("mona", "roster-data-manager"), world.namespace)
    seen: list[str] = []
    address = f"{page}/changes?{urlencode({'entity': 'enrollments', 'action': 'vanished'})}"
    while address:
        text = (await visitor.get(address)).text
        seen += re.findall(r'<span class="soft id">([^<]+)</span>', text)
        found = re.search(r'<a class="button" href="([^"]+)">Next</a>', text)
        address = html.unescape(found[1]) if found else ""
    expected = world.roster.one(
        "select (plan -> 'entities' -> 'enrollments' ->> 'vanished')::int from roster.sync_run where name = %s", SECOND
    )
    assert expected > 50
    assert len(seen) == len(set(seen)) == expected
    changed = await visitor.get(f"{page}/changes?entity=users&action=update")
    names = re.findall(r'<th scope="row">([^<]+)<br>', changed.text)
    assert names
    assert "<del>" in changed.text
    assert "<ins>" in changed.text
    one = await visitor.get(f"{page}/changes?{urlencode({'search': html.unescape(names[0]).split()[-1].upper()})}")
    assert names[0] in one.text
    assert "No record like this changes" in (await visitor.get(f"{page}/changes?search=nobody-%25")).text


@pytest.mark.parametrize(
    "query",
    ["entity=passwords", "action=drop", "entity=users&field=tenant", "search=%00", "after=%00", "entity=" + "x" * 300],
)
async def test_a_list_that_makes_no_sense_is_refused(world: World, visitor: Browser, query: str) -> None:
    page = prepared(world)
    await visitor.sign_in(world.person("mona", "roster-data-manager"), world.namespace)
    assert (await visitor.get(f"{page}/changes?{query}")).status_code == 400


async def test_an_approver_approves_and_the_api_server_keeps_who(world: World, visitor: Browser) -> None:
    page = prepared(world)
    await visitor.sign_in(world.person("anna", "roster-approver"), world.namespace)
    digest = re.search(r'name="digest" value="([^"]+)"', (await visitor.get(page)).text)
    assert digest
    answer = await visitor.send(page, f"{page}/approve", digest=digest[1], looked="yes", note="closed school")
    assert answer.status_code == 303
    body = world.server.read("rostersync", SECOND, world.namespace)
    assert body is not None
    assert body["spec"]["approvedPlan"] == digest[1]
    assert body["metadata"]["annotations"]["roster-operator.io/approved-by"] == world.who("anna")
    assert "Approved." in (await visitor.get(answer.headers["location"])).text
    assert (await visitor.send(page, f"{page}/reject", reason="late")).status_code == 409


async def test_what_was_merged_or_belongs_to_another_is_not_listed(world: World, visitor: Browser) -> None:
    page = prepared(world)
    await visitor.sign_in(world.person("mona", "roster-data-manager"), world.namespace)
    gone = await visitor.get(page.replace(SECOND, FIRST) + "/changes")
    assert gone.status_code == 422
    assert "NotStaged" in gone.text
    with world.roster.owner() as conn:
        conn.execute("update roster.tenant set claimed_by_name = 'somebody' where tenant = %s", (world.tenant,))
    before = world.readings()
    stolen = await visitor.get(f"{page}/changes")
    assert stolen.status_code == 422
    assert "TenantNotOpen" in stolen.text
    assert "TenantNotOpen" in (await visitor.get(page)).text  # the page itself is shown with its counts
    assert world.readings() == before


async def test_a_connection_that_only_names_a_tenant_opens_nothing(world: World, visitor: Browser) -> None:
    prepared(world)
    other = {"apiVersion": "roster-operator.io/v1alpha1", "kind": "RosterConnection", "spec": world.spec}
    world.server.apply(other | {"metadata": {"name": "thief", "namespace": world.namespace}})
    world.server.apply(
        {
            "apiVersion": "roster-operator.io/v1alpha1",
            "kind": "RosterSync",
            "metadata": {"name": "theft", "namespace": world.namespace},
            "spec": {"connectionRef": {"name": "thief"}},
        }
    )
    await visitor.sign_in(world.person("boss", "roster-admin"), world.namespace)
    answer = await visitor.get(f"/namespaces/{world.namespace}/syncs/theft/changes")
    assert answer.status_code == 422
    assert "has not claimed" in answer.text
    # Not even with a status that says so: the database knows who claimed it.
    world.status("rosterconnection", "thief", world.tested())
    answer = await visitor.get(f"/namespaces/{world.namespace}/syncs/theft/changes")
    assert "TenantNotOpen" in answer.text
    assert world.readings() == []


async def test_the_file_for_the_school_has_a_line_a_problem(world: World, visitor: Browser) -> None:
    page = prepared(world)
    with world.roster.owner() as conn:
        run = conn.execute("select run, token from roster.sync_run where name = %s", (SECOND,)).fetchone()
        assert run is not None
        table = conn.execute("select roster.stage_table(%s, %s, %s, 'issue')", (world.tenant, *run)).fetchone()
        assert table is not None
        user = conn.execute("select sourced_id from roster.users where role = 'student' limit 1").fetchone()
        assert user is not None
        conn.execute(
            f"insert into roster_stage.{table[0]} values ('users', %s, 'MissingExpected', 'warning', 'given_name'),"
            " ('users', '=cmd()', 'BadStatus', 'error', 'status')".encode(),
            user,
        )
    await visitor.sign_in(world.person("mona", "roster-data-manager"), world.namespace)
    answer = await visitor.get(f"{page}/issues.csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="{SECOND}-issues.csv"'
    header, *lines = csv.reader(io.StringIO(answer.text.lstrip("\ufeff")))
    assert header[:4] == ["School", "Kind of record", "sourcedId", "Name"]
    assert [line[2] for line in lines] == ["'=cmd()", user[0]]
    assert all(line[9] for line in lines)
    assert lines[1][0]
    listed = (await visitor.get(f"{page}/issues?code=MissingExpected")).text
    assert user[0] in listed
    assert "=cmd()" not in listed
