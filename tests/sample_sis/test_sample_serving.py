"""The sample SIS answers as the standard has it."""

from __future__ import annotations

import threading
import time
import urllib.request
from datetime import datetime, timedelta

import pytest
from tests.sample_sis.browser import Browser
from tests.sample_sis.consistency import TABLES, records

from roster_sample_sis import District, SampleSIS, TokenAuth, Version, generate
from roster_sample_sis.districts import instant_text
from roster_sample_sis.shelves import BLOCK, COLLECTIONS
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed


@pytest.mark.parametrize("limit", [1, 7, 100, 499, 5000])
def test_pages_cover_every_id_once_for_any_limit(browser: Browser, district: District, limit: int) -> None:
    for path in ("orgs", "users", "students", "enrollments"):
        if limit == 1 and path == "enrollments":
            continue
        expected = [row["sourcedId"] for row in records(district, browser.version)[COLLECTIONS[path].table]]
        if path == "students":
            expected = [user.sourced_id for user in district.students]
        assert browser.every_id(path, limit) == expected


def test_pages_cover_every_id_across_blocks() -> None:
    district = generate(2, 2000, enrollments=10_000)
    with SampleSIS(district) as sis:
        browser = Browser(sis)
        for limit in (BLOCK - 1, BLOCK, BLOCK + 1, 1000):
            assert browser.every_id("enrollments", limit) == [each.sourced_id for each in district.enrollments]


def test_following_next_links_covers_every_id_once(browser: Browser, district: District) -> None:
    reply = browser.get("users", limit=37, filter="status='active'")
    ids = reply.ids
    while "next" in reply.links:
        assert reply.links["next"].startswith(browser.sis.url)
        target = reply.links["next"].removeprefix(browser.sis.url)
        reply = browser.send("GET", target, headers={"Authorization": f"Bearer {browser.token}"})
        ids += reply.ids
    assert ids == [user.sourced_id for user in district.users]


def test_every_collection_has_its_wrapper_its_total_and_reads_by_id(browser: Browser, district: District) -> None:
    tables = records(district, browser.version)
    for path, collection in COLLECTIONS.items():
        reply = browser.get(path, limit=10_000)
        assert reply.status == 200
        assert list(reply.json) == [collection.many]
        assert reply.total == len(reply.records) > 0
        assert len(reply.records) <= len(tables[collection.table])
        for record in (reply.records[0], reply.records[-1]):
            assert browser.get(f"{path}/{record['sourcedId']}").json == {TABLES[collection.table]: record}
    assert {row["type"] for row in browser.get("schools").records} == {"school"}
    assert {row["type"] for row in browser.get("terms").records} == {"term"}
    assert {row["type"] for row in browser.get("gradingPeriods").records} == {"gradingPeriod"}


def test_an_id_outside_its_collection_is_not_found(browser: Browser, district: District) -> None:
    teacher = district.teachers[0].sourced_id
    assert browser.get(f"teachers/{teacher}").status == 200
    for path in (
        f"students/{teacher}",
        "users/PER99999999",
        "users/nonsense",
        "users/PER0",
        f"orgs/{teacher}",
        "enrollments/ENR1",
    ):
        reply = browser.get(path)
        assert reply.status == 404
        assert "unknownobject" in reply.body.decode()


def test_a_limit_is_clamped_and_nonsense_refused(district: District) -> None:
    with SampleSIS(district, max_limit=50) as sis:
        browser = Browser(sis)
        assert len(browser.get("users", limit=5000).ids) == 50
        assert "limit=50&" in browser.get("users", limit=5000).links["next"]
        assert len(browser.get("users").ids) == 50
        for query in ({"limit": 0}, {"limit": "x"}, {"offset": -1}, {"sort": "name"}, {"filter": "nonsense"}):
            assert browser.get("users", **query).status == 400


def test_without_a_limit_a_page_has_a_hundred(browser: Browser) -> None:
    assert len(browser.get("users").ids) == 100


def test_past_the_end_there_is_an_empty_list(browser: Browser, district: District) -> None:
    reply = browser.get("users", offset=1_000_000)
    assert (reply.status, reply.ids, reply.total) == (200, [], len(district.users))
    assert "next" not in reply.links


def test_a_filter_on_the_date_finds_what_changed(browser: Browser, district: District) -> None:
    since = instant_text(district.as_of)
    assert browser.get("users", filter=f"dateLastModified>'{since}'").total == 0
    browser.sis.swap(one_percent_changed(district))
    for path in ("users", "enrollments"):
        changed = browser.get(path, limit=5000, filter=f"dateLastModified>'{since}'")
        everything = browser.get(path, limit=10_000).records
        assert changed.ids == [row["sourcedId"] for row in everything if row["dateLastModified"] > since]
        assert 0 < changed.total == len(changed.ids) < len(everything) / 10
        others = browser.get(path, limit=10_000, filter=f"dateLastModified<='{since}'")
        assert others.total + changed.total == len(everything)


def test_filters_compare_other_fields_and_join_two(browser: Browser, district: District) -> None:
    everybody = browser.get("users", limit=10_000).records
    family = everybody[0]["familyName"]
    expected = [row["sourcedId"] for row in everybody if row["familyName"] == family]
    assert browser.get("users", limit=10_000, filter=f"familyName='{family}'").ids == expected
    either = browser.get(
        "users", limit=10_000, filter=f"familyName='{family}' OR sourcedId='{everybody[-1]['sourcedId']}'"
    )
    assert either.ids == [*expected, everybody[-1]["sourcedId"]]
    assert browser.get("users", filter=f"familyName='{family}' AND sourcedId='{everybody[-1]['sourcedId']}'").total == 0
    assert browser.get("users", filter="email~'STAFF.'").total > 0
    assert browser.get("users", filter="a='1' AND b='2' AND c='3'").status == 400


def test_sorting_by_sourced_id_changes_nothing_and_descending_turns_it_round(browser: Browser) -> None:
    plain = browser.every_id("classes", 20)
    assert browser.every_id("classes", 20, sort="sourcedId") == plain
    assert browser.every_id("classes", 20, sort="sourcedId", orderBy="desc") == plain[::-1]
    dates = [row["dateLastModified"] for row in browser.get("classes", limit=5000, sort="dateLastModified").records]
    assert dates == sorted(dates)


def test_credentials_are_taken_as_basic_and_in_the_body(sis: SampleSIS) -> None:
    browser = Browser(sis)
    for basic in (True, False):
        reply = browser.ask_token(basic=basic)
        assert reply.status == 200
        assert reply.json["token_type"] == "Bearer"
        assert reply.json["expires_in"] == 3600
        assert set(reply.json["scope"].split()) == set(Version.V1_1.scopes)


def test_wrong_credentials_scopes_and_grants_are_refused(sis: SampleSIS) -> None:
    browser = Browser(sis)
    for basic in (True, False):
        reply = browser.ask_token(secret="wrong", basic=basic)
        assert (reply.status, reply.json["error"]) == (401, "invalid_client")
    assert browser.ask_token(grant_type="password").json["error"] == "unsupported_grant_type"
    assert browser.ask_token(()).json["error"] == "invalid_scope"
    assert browser.ask_token(("roster.unknown",)).json["error"] == "invalid_scope"


def test_a_server_can_take_one_way_of_credentials_only(district: District) -> None:
    with SampleSIS(district, token_auth=[TokenAuth.BODY], client_secret="p@ss:w/rd +%") as sis:
        assert Browser(sis).ask_token(basic=False).status == 200
        assert Browser(sis).ask_token(basic=True).status == 401
    with SampleSIS(district, token_auth=[TokenAuth.BASIC], client_secret="p@ss:w/rd +%") as sis:
        assert Browser(sis).ask_token(basic=False).status == 401
        assert Browser(sis).ask_token(basic=True).status == 200


def test_a_scope_opens_what_it_names_and_nothing_else(browser: Browser) -> None:
    core, nested, demographics = browser.version.scopes
    expected = {core: (200, 403, 403), nested: (403, 403, 404), demographics: (403, 200, 403)}
    for scope, statuses in expected.items():
        browser.sign_in((scope,))
        paths = ("users", "demographics", "schools/ORG00101/classes")
        assert tuple(browser.get(path).status for path in paths) == statuses
    other = Version.V1_2 if browser.version is Version.V1_1 else Version.V1_1
    browser.sign_in(other.scopes)
    assert browser.get("users").status == 403


def test_errors_are_written_as_each_version_has_them(browser: Browser) -> None:
    browser.token = "wrong"
    reply = browser.get("users")
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert reply.json["imsx_codeMajor"] == "failure"
    assert reply.json["imsx_severity"] == "error"
    if browser.version is Version.V1_1:
        assert reply.json["imsx_codeMinor"] == "unauthorisedrequest"
    else:
        (field,) = reply.json["imsx_CodeMinor"]["imsx_codeMinorField"]
        assert field["imsx_codeMinorFieldValue"] == "unauthorisedrequest"


def test_a_token_expires(district: District) -> None:
    with SampleSIS(district, token_lifetime=0.2) as sis:
        browser = Browser(sis).sign_in()
        assert browser.get("users").status == 200
        time.sleep(0.25)
        assert browser.get("users").status == 401
        assert browser.sign_in().get("users").status == 200
        sis.tokens.expire(403)
        assert browser.get("users").status == 403


def test_a_server_of_one_version_does_not_know_the_other(district: District) -> None:
    with SampleSIS(district, ["1.2"]) as sis:
        assert Browser(sis, "1.2").get("users").status == 200
        assert Browser(sis, "1.1").ask_token().json["error"] == "invalid_scope"
        assert Browser(sis, "1.2").send("GET", "/ims/oneroster/v1p1/users").status == 404


def test_gzip_is_sent_when_it_is_asked_for(sis: SampleSIS) -> None:
    browser = Browser(sis)
    plain = browser.get("users", limit=500)
    for coding in ("gzip", "deflate, gzip;q=0.5"):
        for _ in range(2):
            packed = browser.get("users", {"Accept-Encoding": coding}, limit=500)
            assert packed.headers["Content-Encoding"] == "gzip"
            assert packed.json == plain.json
            assert len(packed.body) < len(plain.body) / 3
    for coding in ("gzip;q=0", "br", ""):
        assert browser.get("users", {"Accept-Encoding": coding}, limit=500).headers["Content-Encoding"] is None


def test_a_swap_shows_with_the_next_request(browser: Browser, district: District) -> None:
    assert browser.get("users").total == len(district.users)
    browser.get("users", {"Accept-Encoding": "gzip"}, limit=500)
    less = lost_a_fifth(district)
    browser.sis.swap(less)
    assert browser.sis.district is less
    assert browser.get("users").total == len(less.users)
    assert browser.every_id("users", 500) == [user.sourced_id for user in less.users]
    packed = browser.get("users", {"Accept-Encoding": "gzip"}, limit=500)
    assert packed.ids == [user.sourced_id for user in less.users][:500]


def test_a_small_cache_serves_the_same(district: District) -> None:
    with SampleSIS(district, cache_bytes=1) as sis:
        browser = Browser(sis)
        assert browser.every_id("enrollments", 300) == [each.sourced_id for each in district.enrollments]


def test_requests_are_counted_by_path(sis: SampleSIS) -> None:
    browser = Browser(sis)
    first, second = browser.get("users", limit=2).ids
    browser.get(f"users/{first}")
    browser.get(f"users/{second}")
    stats = sis.snapshot()
    assert stats.by_path["/oauth/token"] == 1
    assert stats.by_path["/ims/oneroster/v1p1/users"] == 1
    assert stats.by_path["/ims/oneroster/v1p1/users/{id}"] == 2
    assert (stats.requests, stats.pages, stats.records, stats.connections) == (4, 1, 2, 1)
    assert stats.by_status == {200: 4}


def test_several_clients_read_at_once(sis: SampleSIS, district: District) -> None:
    found: list[int] = []
    readers = [
        threading.Thread(target=lambda: found.append(len(Browser(sis).every_id("enrollments", 150)))) for _ in range(6)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [len(district.enrollments)] * 6


def test_only_reading_is_allowed_and_bodies_are_bounded(sis: SampleSIS) -> None:
    browser = Browser(sis).sign_in()
    headers = {"Authorization": f"Bearer {browser.token}"}
    assert browser.send("POST", "/ims/oneroster/v1p1/users", "{}", headers).status == 405
    assert browser.send("GET", "/oauth/token").status == 405
    assert browser.send("POST", "/oauth/token", "x" * 100_000).status == 413


def test_health_needs_no_token(sis: SampleSIS) -> None:
    with urllib.request.urlopen(f"{sis.url}/healthz", timeout=5) as reply:
        assert (reply.status, reply.read()) == (200, b"ok\n")


def test_after_stop_nobody_answers(district: District) -> None:
    with SampleSIS(district) as sis:
        browser = Browser(sis)
        assert browser.get("users").status == 200
    with pytest.raises(OSError):  # noqa: PT011 - reset, refused or closed: all mean gone
        browser.send("GET", "/healthz")
    browser.connect()
    with pytest.raises(ConnectionRefusedError):
        browser.send("GET", "/healthz")


def test_dates_are_dates(browser: Browser) -> None:
    for record in browser.get("academicSessions").records:
        assert record["startDate"] < record["endDate"]
        assert datetime.fromisoformat(record["dateLastModified"]).utcoffset() == timedelta(0)
