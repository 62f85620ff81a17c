"""The console in a real browser: accessible in every dress, by keyboard, without scripts, and nicer with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect
from tests.console.serving import chromium, served, sign_in, violations, visit
from tests.console.world import DISTRICT, World
from tests.support.apiserver import ApiServer
from tests.support.standing import standing_world

from roster_operator.cli.embedded import EmbeddedPostgres
from roster_operator.store import access, manual, pins
from roster_sample_sis import generate
from roster_sample_sis.faults import Rekey
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed

pytestmark = [pytest.mark.apiserver, pytest.mark.store]
HELD, REKEYED = "springfield-20261125-0300", "springfield-20261126-0300"
# A folder to keep pictures in, as docs/console does: ROSTER_SCREENSHOTS=docs/console
PICTURES = os.environ.get("ROSTER_SCREENSHOTS")


@dataclass
class Standing:
    """A district whose third sync is held, a console, and a browser."""

    world: World
    home: str
    browser: Browser
    pages: dict[str, str]

    def token(self, name: str = "ada", role: str = "roster-admin") -> str:
        return self.world.person(name, role)


@pytest.fixture(scope="module")
def standing(apiserver: ApiServer, pg18: EmbeddedPostgres) -> Iterator[Standing]:
    with standing_world(apiserver, pg18, "k12", 900) as world:
        namespace, sis, district = world.namespace, world.sis, generate(7, 900)
        for name, shown in (("springfield-20261123-0300", None), ("springfield-20261124-0300", 3)):
            world.stage(name, one_percent_changed(district, shown) if shown else None)
            world.merge(name)
        teacher, school, klass = world.roster.ask(
            "select u.sourced_id, c.school_sourced_id, c.sourced_id from roster.users u, roster.classes c"
            " where u.tenant = c.tenant and u.role = 'teacher' and c.status = 'active' order by 1, 3 limit 1"
        )[0]
        owner = world.roster.database.owner_url
        access.grant(owner, world.tenant, teacher, ["tests:create", "tests:view"], by="ada", reason="Autumn term")
        student = manual.Student("Nia", "Novak", school, grades=["03"], classes=[klass])
        added = manual.add(owner, world.tenant, student, by="ada", reason="Arrived today")
        world.stage(HELD, lost_a_fifth(one_percent_changed(district, 5)))
        pupil, given, family, home_school = world.roster.ask(
            "select sourced_id, given_name, family_name, org_sourced_ids[1] from roster.users where role = 'student'"
            " and source = 'SIS' and status = 'active' order by 1 limit 1"
        )[0]
        manual.add(owner, world.tenant, manual.Student(given, family, home_school, grades=["03"]), by="ada")
        pins.put(
            owner, world.tenant, "users", pupil, "email", "a.new.one@school.example", by="ada", reason="Asked for it"
        )
        sis.faults.add(Rekey())
        world.stage(REKEYED, district)
        here = f"/namespaces/{namespace}/connections/{DISTRICT}"
        review = f"/namespaces/{namespace}/syncs/{HELD}"
        pages = {
            "districts": "/",
            "district": here,
            "review": review,
            "changes": f"{review}/changes?entity=users&action=update",
            "issues": f"{review}/issues",
            "keys": f"/namespaces/{namespace}/syncs/{REKEYED}/keys",
            "rekeyed": f"/namespaces/{namespace}/syncs/{REKEYED}",
            "merged": f"/namespaces/{namespace}/syncs/springfield-20261124-0300",
            "by-hand": f"{here}/by-hand",
            "pinned": f"{here}/people/person?id={quote(pupil)}",
            "people": f"{here}/people?role=teacher",
            "person": f"{here}/people/person?id={quote(added)}",
            "student": f"{here}/people/student?id={quote(added)}",
            "access": f"{here}/access?text=an",
            "upload": f"{here}/upload",
            "activity": f"{here}/activity",
            "connect": "/connect?vendor=InfiniteCampus",
            "connect-classlink": "/connect?vendor=ClassLink&auth=Bearer",
            "help": "/help",
            "problem": "/nowhere",
        }
        with served(world.settings) as home, chromium() as browser:
            yield Standing(world, home, browser, pages)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_shuts_anybody_out(standing: Standing, width: int, dark: bool) -> None:
    with visit(standing.browser, width=width, dark=dark) as (page, complaints):
        page.goto(f"{standing.home}/login")
        found = {"login": violations(page)}
        wide = [] if page.evaluate("document.documentElement.scrollWidth") <= width else ["login"]
        sign_in(page, standing.home, standing.token(), standing.world.namespace)
        for name, path in standing.pages.items():
            answer = page.goto(standing.home + path)
            assert answer is not None
            assert answer.status == (404 if name == "problem" else 200), name
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            found[name] = violations(page)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append(name)
            if PICTURES and (width == 1280 or (name == "review" and not dark)):
                page.goto(standing.home + path)
                dress = ("-dark" if dark else "") + ("-small" if width == 320 else "")
                if name not in ("problem", "connect-classlink", "rekeyed") and (
                    not dark or name in ("review", "districts")
                ):
                    page.screenshot(
                        path=Path(PICTURES) / f"{name}{dress}.png",
                        full_page=name in ("review", "merged", "pinned") and not dark and width == 1280,
                    )
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert wide == []
    assert [each for each in complaints if "404" not in each] == []


def test_the_review_is_decided_with_the_keyboard_alone(standing: Standing) -> None:
    with visit(standing.browser) as (page, _):
        sign_in(page, standing.home, standing.token(), standing.world.namespace)
        page.goto(standing.home + standing.pages["review"])
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        seen: list[str] = []
        for _ in range(120):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "[document.activeElement.id || document.activeElement.textContent.trim(),"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            assert focused[1] != "none", focused
            seen.append(focused[0])
            if focused[0] == "Decide":
                page.keyboard.press("Enter")
            if focused[0] == "note":
                page.keyboard.type("Seen by keyboard")
            if focused[0] == "looked":
                page.keyboard.press("Space")
                break
        assert {"Decide", "note", "looked"} <= set(seen)
        expect(page.get_by_role("checkbox")).to_be_checked()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent").startswith("Approve ")


def test_everything_that_matters_works_without_scripts(standing: Standing) -> None:
    with visit(standing.browser, scripts=False) as (page, _):
        page.set_default_timeout(10_000)
        sign_in(page, standing.home, standing.token(), standing.world.namespace)
        page.get_by_role("link", name=HELD).first.click()
        page.get_by_role("link", name="Search the records that change").click()
        page.get_by_label("What happens").select_option("update")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("No longer shown", exact=True).locator("visible=true")).to_have_count(0)
        name = page.locator("tbody th").first.inner_text().splitlines()[0]
        page.get_by_label("Name, id or address").fill(name.split()[-1])
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody th").first).to_contain_text(name.split()[-1])
        page.goto(standing.home + standing.pages["review"])
        page.get_by_label("Reason").fill("A fifth of the pupils is missing")
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("status")).to_contain_text("Rejected.")
    body = standing.world.server.read("rostersync", HELD, standing.world.namespace)
    assert body is not None
    assert body["spec"]["rejected"] == {"reason": "A fifth of the pupils is missing"}


def test_with_scripts_a_list_follows_what_is_typed(standing: Standing) -> None:
    with visit(standing.browser) as (page, complaints):
        sign_in(page, standing.home, standing.token(), standing.world.namespace)
        page.goto(standing.home + standing.pages["people"].replace("?role=teacher", ""))
        page.evaluate("window.stayed = true")
        page.get_by_label("Name, id, user name or address").press_sequentially("Novak", delay=20)
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody th")).to_contain_text("Nia Novak")
        assert page.evaluate("window.stayed") is True
        assert "text=Novak" in page.url
    assert complaints == []


def test_no_other_site_frames_the_console_or_sends_its_forms(standing: Standing) -> None:
    with visit(standing.browser) as (page, complaints):
        sign_in(page, standing.home, standing.token(), standing.world.namespace)
        page.route("https://evil.example/", lambda route: route.fulfill(
            content_type="text/html",
            body=f'<iframe src="{standing.home}/"></iframe><form method="post" action="{standing.home}'
            f'{standing.pages["review"]}/reject"><input name="reason" value="x"><button>Win</button></form>',
        ))  # fmt: skip
        page.goto("https://evil.example/")
        framed = page.frames[1]
        framed.wait_for_load_state()
        assert "Districts" not in framed.content()
        assert (
            any("frame-ancestors" in said or "X-Frame-Options" in said for said in complaints) or "error" in framed.url
        )
        page.get_by_role("button", name="Win").click()
        page.wait_for_load_state()
        assert page.get_by_role("heading", level=1).inner_text() != ""
        assert "Sign in" in page.content() or "CrossSiteRequest" in page.content()
