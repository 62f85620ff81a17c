"""Invitations from the console: what is sent, to whom, what is said where it cannot be, and what is written nowhere."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest
from playwright.sync_api import expect
from tests.console.conftest import Browser
from tests.console.serving import chromium, served, sign_in, violations, visit
from tests.console.world import DISTRICT, World
from tests.support.mailserver import Mailbox, serving

from roster_operator.console.invitation_mail import Inviting
from roster_operator.console.settings import Settings, SettingsError, load
from roster_operator.mail import MailSettings, Security
from roster_operator.store import readers

LINK = "https://app.example/join?token={token}"
MAIL = {"ROSTER_SMTP_HOST": "mail.example", "ROSTER_SMTP_FROM": "roster@district.example"}


def mail_at(port: int) -> MailSettings:
    return MailSettings("127.0.0.1", "roster@district.example", security=Security.NONE, port=port)


def inviting(world: World, port: int, link: str = LINK) -> Settings:
    made = Inviting(link, "Test Platform", timedelta(hours=72), mail_at(port), "help@district.example")
    return replace(world.settings, inviting=made)


def teacher(world: World) -> tuple[str, str]:
    """(sourcedId, address)."""
    return world.roster.ask(
        "select sourced_id, email from roster.users where tenant = %s and role = 'teacher' and status = 'active'"
        " and email is not null order by 1 limit 1",
        world.tenant,
    )[0]


def path(world: World, tail: str = "") -> str:
    return f"/namespaces/{world.namespace}/connections/{DISTRICT}/access{tail}"


def token_in(mailbox: Mailbox) -> str:
    found = re.findall(r"https://app\.example/join\?token=([A-Za-z0-9_-]{43})\s", mailbox.mails[-1][1].get_content())
    assert len(found) == 1
    return found[0]


@contextmanager
def application(world: World) -> Iterator[str]:
    """The URL of an application's login that may see the district."""
    login = f"application_{uuid4().hex[:12]}"
    yield readers.create(world.roster.database.owner_url, login, [world.tenant])
    readers.drop(world.roster.database.owner_url, login)


def redeemed(url: str, token: str, *, look: bool = False) -> tuple[Any, ...]:
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute("select * from roster_app.redeem_invitation(%s, %s)", (token, look)).fetchone()
    assert row
    return row


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """What the console and its libraries wrote. The mail server of the tests writes what it hears."""
    return "\n".join(each.getMessage() for each in caplog.records if each.name != "mail.log")


@asynccontextmanager
async def desk(world: World, mailbox: Mailbox) -> AsyncIterator[Browser]:
    """Mona at a console that invites, in a district whose first sync was merged."""
    async with serving(mailbox) as port:
        one = Browser(inviting(world, port))
        await one.sign_in(world.person("mona", "roster-data-manager"), world.namespace)
        yield one
        await one.close()


@pytest.fixture
def merged(world: World) -> World:
    world.stage("springfield-1")
    world.merge("springfield-1")
    return world


@pytest.mark.apiserver
@pytest.mark.store
async def test_somebody_is_activated_and_comes_in_with_a_link_that_works_once(
    merged: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mailbox, (user, address) = Mailbox(), teacher(merged)
    async with desk(merged, mailbox) as mona:
        page = path(merged, f"?text={user}")
        assert "invite by e-mail" in (await mona.get(page)).text
        done = await mona.send(page, path(merged, "/invite"), user=user, permissions="tests:view")
        assert (done.status_code, done.headers["location"]) == (303, path(merged, "?done=invited"))
        assert [to for to, _ in mailbox.mails] == [(address,)]
        mail = mailbox.mails[0][1]
        assert (mail["To"], mail["Subject"]) == (address, "Your access to Test Platform")
        assert "help@district.example" in mail.get_content()
        assert "on its way" in (await mona.get(done.headers["location"])).text
        first = token_in(mailbox)
        again = await mona.send(page, path(merged, "/invite"), user=user, back="person")
        assert again.headers["location"].endswith(f"/people/person?id={user}&done=invited")
        assert "on its way" in (await mona.get(again.headers["location"])).text
        second = token_in(mailbox)
        with application(merged) as url:
            assert redeemed(url, first)[0] == "Unknown"
            assert redeemed(url, second, look=True)[0] == "Valid"
            assert redeemed(url, second) == ("Redeemed", merged.tenant, user, user, ["tests:view"])
            assert redeemed(url, second)[0] == "Used"
        assert "Used" in (await mona.get(path(merged))).text
        used = await mona.send(page, path(merged, "/invite"), user=user)
        assert (used.status_code, "has used their invitation" in used.text) == (422, True)
        activity = (await mona.get(path(merged).replace("/access", "/activity?kind=invited"))).text
        assert activity.count("wrote an invitation") == 2
        assert "took an invitation in" in activity
        assert merged.who("mona") in activity
    assert address not in activity
    assert not [secret for secret in (address, first, second) if secret in logged(caplog)]


@pytest.mark.apiserver
@pytest.mark.store
async def test_an_address_that_the_server_refuses_is_told_with_what_to_do_and_the_invitation_waits(
    merged: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (user, address), mailbox = teacher(merged), Mailbox()
    mailbox.answers[address] = f"550 5.1.1 <{address}> is unknown here"
    async with desk(merged, mailbox) as mona:
        done = await mona.send(path(merged), path(merged, "/invite"), user=user, permissions="tests:view")
        told = (await mona.get(done.headers["location"])).text
        assert "The invitation waits." in told
        assert "does not accept mail to this recipient" in told
        assert "correct it there, sync, and send the invitation again" in told
        assert "Not sent" in told
        assert "MailRecipientRefused" in told
        assert "The access counts" in told
        assert address not in done.headers["location"]
        mailbox.answers.clear()
        done = await mona.send(path(merged), path(merged, "/invite"), user=user)
        assert done.headers["location"].endswith("done=invited")
        assert "Sent" in (await mona.get(path(merged))).text
        done = await mona.send(path(merged), path(merged, "/withdraw"), user=user)
        assert "opens nothing any more" in (await mona.get(done.headers["location"])).text
    with application(merged) as url:
        assert redeemed(url, token_in(mailbox))[0] == "Unknown"
    effective = merged.roster.one("select revoked_at is null from roster.app_access where tenant = %s", merged.tenant)
    assert effective
    assert address not in logged(caplog)


@pytest.mark.apiserver
@pytest.mark.store
async def test_through_the_api_and_where_no_server_answers(merged: World) -> None:
    user, address = teacher(merged)
    one = Browser(inviting(merged, 1))  # nobody listens there
    mine = {"Authorization": f"Bearer {merged.person('mona', 'roster-data-manager')}"}
    other = {"Authorization": f"Bearer {merged.person('anna', 'roster-approver')}"}
    there = f"/api{path(merged)}"
    body = {"user": user, "permissions": ["tests:view"], "reason": "teaches"}
    assert (await one.client.post(f"{there}/invite", json=body, headers=other)).status_code == 403
    said = (await one.client.post(f"{there}/invite", json=body, headers=mine)).json()
    assert (said["sent"], said["reason"]) == (False, "MailServerUnreachable")
    assert said["next"]
    (held,) = (await one.client.get(there, headers=mine)).json()["items"]
    assert (held["effective"], held["invitation"]) == (True, "Waiting")
    assert held["invitationTrouble"] == "MailServerUnreachable"
    for _ in range(2):
        await one.client.post(f"{there}/invite", json={"user": user}, headers=mine)
    often = await one.client.post(f"{there}/invite", json={"user": user}, headers=mine)
    assert (often.status_code, often.json()["reason"]) == (422, "InvitedTooOften")
    assert (await one.client.post(f"{there}/withdraw", json={"user": user}, headers=other)).status_code == 403
    done = await one.client.post(f"{there}/withdraw", json={"user": user}, headers=mine)
    assert done.json()["done"] == "withdrawn"
    again = await one.client.post(f"{there}/withdraw", json={"user": user}, headers=mine)
    assert (again.status_code, again.json()["reason"]) == (422, "InvitationUnknown")
    assert address not in str((said, often.json()))
    await one.close()


@pytest.mark.apiserver
@pytest.mark.store
async def test_where_nothing_can_be_sent_nothing_is_granted(merged: World, visitor: Browser) -> None:
    user, _ = teacher(merged)
    await visitor.sign_in(merged.person("mona", "roster-data-manager"), merged.namespace)
    assert "by e-mail" not in (await visitor.get(path(merged, f"?text={user}"))).text
    done = await visitor.send(path(merged), path(merged, "/invite"), user=user, permissions="tests:view")
    assert (done.status_code, "sends no invitations" in done.text) == (404, True)
    mailbox = Mailbox()
    with merged.roster.owner() as conn:
        conn.execute("update roster.users set email = null where sourced_id = %s", (user,))
    async with desk(merged, mailbox) as mona:
        assert "by e-mail" not in (await mona.get(path(merged, f"?text={user}"))).text
        done = await mona.send(path(merged), path(merged, "/invite"), user=user, permissions="tests:view")
        assert (done.status_code, "no e-mail address of this person" in done.text) == (422, True)
    assert merged.roster.one("select count(*) from roster.app_access where tenant = %s", merged.tenant) == 0
    assert mailbox.mails == []


class Application(BaseHTTPRequestHandler):
    """What an application does with a link: it shows a page, and takes the invitation in when somebody agrees."""

    database = ""

    def do_GET(self) -> None:
        token = parse_qs(urlsplit(self.path).query)["token"][0]
        outcome = redeemed(self.database, token, look=True)[0]
        self._say(f'<h1>{outcome}</h1><form method="post"><button>Begin</button></form>')

    def do_POST(self) -> None:
        token = parse_qs(urlsplit(self.path).query)["token"][0]
        outcome, _, _, person, permissions = redeemed(self.database, token)
        self._say(f"<h1>{outcome}</h1><p>{person}: {permissions}</p>")

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(
            f"<!doctype html><html lang=en><link rel=icon href=data:,><title>Test Platform</title>{text}".encode()
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def post_office(mailbox: Mailbox) -> Iterator[int]:
    """The mailbox's port, served by a thread, as the browser keeps this one."""
    ready, ports = threading.Event(), list[int]()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving(mailbox) as port:
            ports.append(port)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield ports[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


@contextmanager
def opened_application(database: str) -> Iterator[str]:
    Application.database = database
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/join?token={{token}}"
        server.shutdown()


@pytest.mark.apiserver
@pytest.mark.store
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_in_a_browser_from_the_button_to_the_application(merged: World, scripts: bool) -> None:
    (user, address), mailbox = teacher(merged), Mailbox()
    with (
        application(merged) as database,
        opened_application(database) as link,
        post_office(mailbox) as port,
        served(inviting(merged, port, link)) as home,
        chromium() as browser,
        visit(browser, scripts=scripts) as (page, complaints),
    ):
        sign_in(page, home, merged.person("mona", "roster-data-manager"), merged.namespace)
        page.goto(f"{home}{path(merged)}?text={user}")
        page.get_by_label("Permissions").fill("tests:view")
        page.get_by_role("button", name="Activate and invite by e-mail").click()
        expect(page.get_by_role("status")).to_contain_text("the link is on its way")
        row = page.get_by_role("row").filter(has_text="tests:view")
        expect(row).to_contain_text("Sent")
        expect(row.get_by_role("button", name="Send again")).to_be_visible()
        assert not scripts or violations(page) == []
        assert [to for to, _ in mailbox.mails] == [(address,)]
        found = re.search(r"http://127\.0\.0\.1:\d+/join\S+", mailbox.mails[0][1].get_content())
        assert found
        page.goto(found[0])
        page.get_by_role("heading", name="Valid").wait_for()
        page.get_by_role("button", name="Begin").click()
        page.get_by_role("heading", name="Redeemed").wait_for()
        assert f"{user}: ['tests:view']" in page.content()
        page.goto(found[0])
        page.get_by_role("heading", name="Used").wait_for()
        page.goto(f"{home}{path(merged)}")
        row = page.get_by_role("row").filter(has_text="tests:view")
        expect(row).to_contain_text("Used")
        expect(row.get_by_role("button", name="Send again")).to_have_count(0)
        assert complaints == []


def settings_of(**changes: str) -> Settings:
    given = {"ROSTER_CONSOLE_API_SERVER": "https://10.0.0.1", "ROSTER_CONSOLE_INVITATION_URL": LINK}
    return load(given | MAIL | {f"ROSTER_CONSOLE_INVITATION_{key}": value for key, value in changes.items()})


def test_how_the_console_invites_comes_from_its_settings() -> None:
    made = settings_of().inviting
    assert made
    assert (made.url, made.application, made.lifetime) == (LINK, "app.example", timedelta(hours=72))
    named = settings_of(APPLICATION="Test Platform", HOURS="24").inviting
    assert named
    assert (named.application, named.lifetime) == ("Test Platform", timedelta(hours=24))
    assert load({"ROSTER_CONSOLE_API_SERVER": "https://10.0.0.1"} | MAIL).inviting is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"URL": "http://app.example/join?token={token}"},
        {"URL": "https://app.example/join"},
        {"URL": "https://app.example/{token}?again={token}"},
        {"URL": "https://{token}.example/"},
        {"URL": "https://user@app.example/{token}"},
        {"URL": "https://app.example/ {token}"},
        {"URL": "https://[app/{token}"},
        {"URL": "javascript:{token}"},
        {"HOURS": "0"},
        {"HOURS": "721"},
        {"HOURS": "soon"},
        {"APPLICATION": "two\nlines"},
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"ROSTER_CONSOLE_INVITATION_{next(iter(wrong))}"):
        settings_of(**wrong)


def test_invitations_without_a_mail_server_are_a_mistake() -> None:
    with pytest.raises(SettingsError, match="ROSTER_SMTP_HOST"):
        load({"ROSTER_CONSOLE_API_SERVER": "https://10.0.0.1", "ROSTER_CONSOLE_INVITATION_URL": LINK})
    given = {"ROSTER_CONSOLE_API_SERVER": "https://10.0.0.1", "ROSTER_CONSOLE_INVITATION_URL": LINK}
    with pytest.raises(SettingsError, match="sender"):
        load(given | MAIL | {"ROSTER_SMTP_FROM": "nobody"})
