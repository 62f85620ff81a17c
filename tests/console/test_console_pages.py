"""What the pages say, and that data stays data."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from tests.console.conftest import Browser
from tests.console.fake_cluster import DIGEST, FakeCluster, blocked, connection, ready, sync

from roster_operator.console import views
from roster_operator.store.activity import KINDS
from roster_operator.store.readings import Kind
from roster_operator.store.removals import CAUSES
from roster_operator.store.review import ACTIONS

NAUGHTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% include 'login.html' %}",
    "</textarea></title></pre><svg/onload=alert(1)>",
    "&lt;script&gt;",
)
TAGS = {
    "html", "head", "meta", "title", "link", "body", "a", "header", "div", "span", "form", "input", "button", "main",
    "h1", "h2", "h3", "p", "strong", "section", "nav", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot",
    "tr", "th", "td", "time", "code", "pre", "label", "abbr", "footer", "ol", "i", "br", "h4", "textarea", "details",
    "summary", "select", "option", "fieldset", "legend", "ins", "del", "article",
    "figure", "figcaption", "svg", "rect", "circle", "path", "defs", "pattern", "script",
}  # fmt: skip


class Reader(HTMLParser):
    """All tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def page(browser: Browser, path: str) -> Reader:
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return Reader(answer.text)


def harmless(reader: Reader) -> None:
    assert {tag for tag, _ in reader.tags} <= TAGS
    for _, attributes in reader.tags:
        assert not any(name.startswith(("on", "hx-on")) or name in ("style", "hx-vals") for name in attributes)
        for name in ("href", "action", "src", "hx-get"):
            link = attributes.get(name)
            assert link is None or link.startswith(("/", "#"))
    scripts = reader.all("script")
    assert len(scripts) == 1
    assert (scripts[0]["src"] or "").startswith("/static/htmx.min.js?")


def naughty_sync(text: str) -> dict[str, Any]:
    ascii_text = text
    body = sync(
        "naughty",
        "Failed",
        conditions=[ready("False", "Reason", ascii_text)],
        issues=[{"code": text, "severity": "error", "entity": text[:32], "count": 1}],
        approval={"digest": DIGEST, "at": "2026-11-24T03:00:00Z", "via": text[:32], "by": text},
        failure={"reason": "Reason", "message": ascii_text, "retryable": True},
    )
    body["spec"]["rejected"] = {"reason": text}
    plan = body["status"]["plan"]
    plan["entities"][text] = plan["entities"]["users"]
    plan["limits"] = [{"limit": text[:32], "entity": text[:32], "count": 1, "of": 1, "maxPercent": 1, "maxCount": 1}]
    plan["complete"], plan["incompleteReason"] = False, text
    return body


@pytest.mark.parametrize("text", NAUGHTY)
async def test_naughty_strings_stay_text_in_every_place(browser: Browser, cluster: FakeCluster, text: str) -> None:
    cluster.people["ada-token"] = text
    away = naughty_sync(text) | {"metadata": sync()["metadata"] | {"name": "waiting"}}
    away["status"] = away["status"] | {"phase": "Blocked"}
    odd = connection(
        "odd",
        conditions=[ready("False", "Reason", text)],
        version=text[:16],
        tenant=text,
        counts={text: 1},
        pendingPlan={"sync": text, "digest": text, "shortDigest": text[:16], "summary": text},
    )
    strange = {"metadata": {"name": text}, "spec": {"newer": 1}}
    cluster.objects = {
        ("k12", "rosterconnections"): [odd, strange],
        ("k12", "rostersyncs"): [naughty_sync(text), away],
    }
    for one in cluster.objects["k12", "rostersyncs"]:
        one["spec"]["connectionRef"] = {"name": "odd"}
    await browser.sign_in()
    for path in (
        "/",
        "/namespaces/k12/connections/odd",
        "/namespaces/k12/syncs/naughty",
        "/namespaces/k12/syncs/waiting",
    ):
        reader = await page(browser, path)
        harmless(reader)
        assert text in reader.text
        assert "49" not in reader.text or "{{" not in text
    again = await browser.sign_in("nobody token", text)
    harmless(Reader(again.text))


async def test_issues_are_shown_by_what_they_mean_for_the_records(browser: Browser, cluster: FakeCluster) -> None:
    odd = [("DanglingReference", "error", "roles", 2), ("NotImported", "info", "bundle", 1)]
    keys = ("code", "severity", "entity", "count")
    one = sync("odd", "AwaitingApproval", issues=[dict(zip(keys, each, strict=True)) for each in odd])
    one["status"]["plan"]["entities"]["users"]["invalid"] = 0
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [one]}
    await browser.sign_in()
    text = (await page(browser, "/namespaces/k12/syncs/odd")).text
    assert "not taken" in text
    assert "for information" in text
    assert "2 rows not taken" in text


async def test_a_plan_says_what_of_the_source_was_taken(browser: Browser, cluster: FakeCluster) -> None:
    one = sync("narrow", "AwaitingApproval")
    cluster.objects = {("k12", "rosterconnections"): [connection()], ("k12", "rostersyncs"): [one]}
    await browser.sign_in()
    assert "Taken of the source" not in (await page(browser, "/namespaces/k12/syncs/narrow")).text
    one["status"]["plan"]["taken"] = {"schools": 2, "omitted": ["users.phone"]}
    text = (await page(browser, "/namespaces/k12/syncs/narrow")).text
    assert "Taken of the source: 2 schools; without users.phone." in text


async def test_what_needs_a_person_comes_first_held_before_waiting_before_broken(
    browser: Browser, cluster: FakeCluster
) -> None:
    failure = {"reason": "TokenRejected", "message": "The SIS refuses the client. Check the Secret."}
    old = sync("old-failure", "Failed", failure=failure)
    old["metadata"]["creationTimestamp"] = "2026-11-01T03:00:00Z"
    broken = connection("broken", conditions=[ready("False", "DNSFailed", "No such host. Check the endpoint.")])
    cluster.objects = {
        ("k12", "rosterconnections"): [broken, connection()],
        ("k12", "rostersyncs"): [sync("calm", "Merged"), sync("waiting"), blocked("held"), old],
    }
    await browser.sign_in()
    text = (await browser.get("/")).text
    needs = text[: text.index("</ul>")]
    assert needs.index("held") < needs.index("waiting") < needs.index("No such host. Check the endpoint.")
    assert "calm" not in needs
    assert "old-failure" not in needs  # a newer sync of the connection is there
    assert "1,760 of 12,394 users (14.2 %) would be deactivated; the limit is 10 % and 20" in needs


async def test_a_failed_newest_sync_needs_a_person(browser: Browser, cluster: FakeCluster) -> None:
    failure = {"reason": "TokenRejected", "message": "The SIS refuses the client. Check the Secret."}
    cluster.objects = {("k12", "rostersyncs"): [sync("bad", "Failed", failure=failure)]}
    await browser.sign_in()
    assert "Check the Secret." in (await browser.get("/")).text


async def test_namespaces_come_from_the_address_or_from_signing_in(browser: Browser, cluster: FakeCluster) -> None:
    cluster.objects = {
        ("k12", "rosterconnections"): [connection()],
        ("north", "rosterconnections"): [connection("northern", "north")],
    }
    await browser.sign_in(namespaces="k12")
    assert "northern" not in (await browser.get("/")).text
    both = (await browser.get("/?namespaces=k12,north")).text
    assert "northern" in both
    assert "springfield" in both
    partly = await browser.get("/?namespaces=k12 other")
    assert partly.status_code == 200
    assert "springfield" in partly.text
    assert "You may not list rosterconnections in the namespace other." in partly.text.replace("&#39;", "'")


async def test_without_a_namespace_the_page_asks_for_one(browser: Browser) -> None:
    await browser.sign_in(namespaces="")
    assert "Name the namespaces" in (await browser.get("/")).text


async def test_one_object_that_cannot_be_read_does_not_hide_the_others(browser: Browser, cluster: FakeCluster) -> None:
    newer = connection("newer")
    newer["spec"]["carrierPigeon"] = {}
    cluster.objects = {("k12", "rosterconnections"): [newer, connection()]}
    await browser.sign_in()
    text = (await browser.get("/")).text
    assert "springfield" in text
    assert "do not know" in text or "does not know" in text
    answer = (await browser.get("/api/namespaces/k12/connections", Authorization="Bearer ada-token")).json()
    assert (answer["unreadable"], [item["metadata"]["name"] for item in answer["items"]]) == (
        ["newer"],
        ["springfield"],
    )
    single = await browser.get("/namespaces/k12/connections/newer")
    assert (single.status_code, "ObjectUnreadable" in single.text) == (502, True)


async def test_long_lists_are_read_in_parts_and_cut_in_the_open(browser: Browser, cluster: FakeCluster) -> None:
    cluster.objects = {("k12", "rosterconnections"): [connection(f"d-{number}") for number in range(1010)]}
    await browser.sign_in()
    text = (await browser.get("/")).text
    assert "d-999<" in text
    assert "d-1000<" not in text
    assert "ListCut" in text
    first = (await browser.get("/api/namespaces/k12/connections?limit=2", Authorization="Bearer ada-token")).json()
    assert first["continue"] == "2"
    path = "/api/namespaces/k12/connections?limit=1&continue=2"
    second = (await browser.get(path, Authorization="Bearer ada-token")).json()
    assert second["items"][0]["metadata"]["name"] == "d-2"


async def test_a_district_shows_its_conditions_counts_and_only_its_syncs(
    browser: Browser, cluster: FakeCluster
) -> None:
    other = sync("other-1")
    other["spec"]["connectionRef"]["name"] = "other"
    cluster.objects = {
        ("k12", "rosterconnections"): [connection(counts={"users": 12400, "orgs": 9}, version="1.2")],
        ("k12", "rostersyncs"): [sync(), other],
    }
    await browser.sign_in()
    text = (await page(browser, "/namespaces/k12/connections/springfield")).text
    for said in ("All entities can be read.", "12,400", "OneRoster 1.2", "springfield-1", "k12.springfield"):
        assert said in text
    assert "other-1" not in text
    assert text.index("orgs") < text.index("users", text.index("Records at the source"))


async def test_a_held_sync_shows_its_limits_and_how_to_approve_this_very_digest(
    browser: Browser, cluster: FakeCluster
) -> None:
    cluster.objects = {("k12", "rostersyncs"): [blocked()]}
    await browser.sign_in()
    text = (await page(browser, "/namespaces/k12/syncs/springfield-1")).text
    assert (
        "kubectl -n k12 patch rostersyncs.roster-operator.io springfield-1 --field-manager=roster-console --type=merge "
        f"""-p '{{"spec": {{"approvedPlan": "{DIGEST}"}}}}'"""
    ) in text
    assert f"spec:\n  approvedPlan: {DIGEST}" in text
    for said in ("14.2 %", "1,760", "12,394", "1,702 unexplained removals", "proved that it saw every record"):
        assert said in text


@pytest.mark.parametrize("phase", ["Pending", "Staging", "Merging", "Merged", "Rejected", "Failed"])
async def test_where_nothing_is_to_decide_no_approval_is_offered(
    browser: Browser, cluster: FakeCluster, phase: str
) -> None:
    cluster.objects = {("k12", "rostersyncs"): [sync(phase=phase)]}
    await browser.sign_in()
    text = (await page(browser, "/namespaces/k12/syncs/springfield-1")).text
    assert "kubectl" not in text


async def test_objects_that_nobody_has_looked_at_yet_have_a_page(browser: Browser, cluster: FakeCluster) -> None:
    fresh, young = sync(), connection()
    del fresh["status"], young["status"]
    cluster.objects = {("k12", "rosterconnections"): [young], ("k12", "rostersyncs"): [fresh]}
    await browser.sign_in()
    for path in ("/", "/namespaces/k12/connections/springfield", "/namespaces/k12/syncs/springfield-1"):
        harmless(await page(browser, path))


async def test_pages_are_made_for_screen_readers_and_small_screens(browser: Browser, cluster: FakeCluster) -> None:
    cluster.objects = {
        ("k12", "rosterconnections"): [connection(counts={"users": 1})],
        ("k12", "rostersyncs"): [blocked()],
    }
    await browser.sign_in()
    for path in ("/login", "/", "/namespaces/k12/connections/springfield", "/namespaces/k12/syncs/springfield-1"):
        reader = await page(browser, path)
        harmless(reader)
        assert reader.all("html")[0]["lang"] == "en"
        assert len(reader.all("h1")) == len(reader.all("main")) == 1
        assert any("width=device-width" in (meta.get("content") or "") for meta in reader.all("meta"))
        identities = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(identities) == len(set(identities))
        labelled = {label["for"] for label in reader.all("label")}
        for field in reader.all("input"):
            assert field.get("type") == "hidden" or field["id"] in labelled
            assert set((field.get("aria-describedby") or "").split()) <= set(identities)
        assert all(cell.get("scope") in ("row", "col") for cell in reader.all("th"))
        for _, attributes in reader.tags:
            assert attributes.get("aria-labelledby", identities[0]) in identities


def test_everything_that_can_happen_to_a_record_has_words() -> None:
    assert set(views.ACTIONS) >= set(ACTIONS)
    # What is pinned is shown in a review; nothing happens to the record.
    assert set(views.EVENTS) >= set(ACTIONS) - {"pinned"} | {"manualCreate", "manualUpdate", "manualEnd"}
    assert set(views.CAUSES) >= set(CAUSES)
    assert set(views.READ) == set(Kind)
    assert set(views.ACTS) == set(KINDS)


async def test_the_openapi_document_describes_the_resources_and_asks_for_a_bearer_token(browser: Browser) -> None:
    document = (await browser.get("/api/openapi.json")).json()
    paths = document["paths"]
    of_sync = "/api/namespaces/{namespace}/syncs/{name}"
    # What else there is stands in docs/reference/api.md, which a test compares.
    assert {path: set(methods) for path, methods in paths.items()}.items() >= {
        "/api/namespaces/{namespace}/connections": {"get"},
        "/api/namespaces/{namespace}/connections/{name}": {"get"},
        "/api/namespaces/{namespace}/syncs": {"get"},
        of_sync: {"get"},
        f"{of_sync}/rights": {"get"},
        f"{of_sync}/changes": {"get"},
        f"{of_sync}/issues": {"get"},
        f"{of_sync}/approve": {"post"},
        f"{of_sync}/reject": {"post"},
    }.items()
    assert all(method["security"] for path in paths.values() for method in path.values())
    schemas = document["components"]["schemas"]
    assert "approvedPlan" in schemas["RosterSyncSpec"]["properties"]
    assert "clientIDKey" in schemas["CredentialsRef"]["properties"]


async def test_the_api_gives_an_object_as_it_stands_in_yaml(browser: Browser, cluster: FakeCluster) -> None:
    cluster.objects = {("k12", "rostersyncs"): [blocked()]}
    answer = (await browser.get("/api/namespaces/k12/syncs/springfield-1", Authorization="Bearer ada-token")).json()
    assert answer["status"]["plan"]["limits"][0]["maxPercent"] == 10
    assert answer["spec"]["connectionRef"] == {"name": "springfield"}
    assert answer["status"]["plan"]["digest"] == DIGEST
