"""Each fault does what its name says, and no more."""

from __future__ import annotations

import http.client
import time

import pytest
from tests.sample_sis.browser import Browser

from roster_sample_sis import District, Fault, SampleSIS
from roster_sample_sis.faults import (
    KINDS,
    Cut,
    Die,
    Empty,
    EndlessNext,
    ExpireTokens,
    ForbidDemographics,
    ForeignNext,
    Html,
    IgnoreLimit,
    LoseRecord,
    NoTotal,
    Refuse,
    RepeatRecord,
    Slow,
    WrongTotal,
    decode,
    encode,
)

_GONE = (OSError, http.client.HTTPException)


def test_a_server_that_dies_refuses_connections_and_recovers(browser: Browser) -> None:
    browser.sis.faults.add(Die(after=2, connections=3))
    assert [browser.get("users").status, browser.get("orgs").status] == [200, 200]
    with pytest.raises(_GONE):
        browser.get("users")
    for _ in range(3):
        with pytest.raises(_GONE):
            browser.get("users")
    assert [browser.get("users").status for _ in range(5)] == [200] * 5
    assert browser.sis.snapshot().refused_connections == 3


def test_a_dead_server_drops_connections_that_were_open(sis: SampleSIS) -> None:
    one, two = Browser(sis).sign_in(), Browser(sis).sign_in()
    sis.faults.add(Die(connections=1))
    with pytest.raises(_GONE):
        one.get("users")
    with pytest.raises(_GONE):
        two.get("users")


@pytest.mark.parametrize(("status", "retry_after"), [(500, ""), (503, "2"), (429, "7")])
def test_a_status_is_answered_so_many_times(browser: Browser, status: int, retry_after: str) -> None:
    browser.sis.faults.add(Refuse(status=status, retry_after=retry_after, after=1, times=2))
    replies = [browser.get("users") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, status, status, 200]
    assert replies[1].headers["Retry-After"] == (retry_after or None)
    assert replies[1].json["imsx_codeMajor"] == "failure"


def test_the_token_endpoint_can_fail(sis: SampleSIS) -> None:
    sis.faults.add(Refuse(on="token", status=503, times=1))
    browser = Browser(sis)
    assert [browser.ask_token().status, browser.ask_token().status] == [503, 200]


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_connection_drops_in_mid_body(browser: Browser, coding: str) -> None:
    browser.sign_in()
    browser.sis.faults.add(Cut(times=1))
    with pytest.raises(_GONE):
        browser.get("users", {"Accept-Encoding": coding}, limit=500)
    assert browser.get("users", limit=500).status == 200


def test_a_slow_server_keeps_one_waiting(browser: Browser) -> None:
    browser.sign_in()
    browser.sis.faults.add(Slow(0.3, times=1))
    started = time.monotonic()
    browser.get("users")
    assert time.monotonic() - started >= 0.3
    size = len(browser.get("orgs").body)
    browser.sis.faults.set(Slow(0, rate=size * 2))
    started = time.monotonic()
    assert len(browser.get("orgs").body) == size
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("honest", [False, True])
def test_a_record_gets_lost_between_pages(browser: Browser, district: District, honest: bool) -> None:
    browser.sis.faults.add(LoseRecord(on="users", honest=honest))
    everybody = [user.sourced_id for user in district.users]
    read = browser.every_id("users", 100)
    assert len(read) == len(set(read)) == len(everybody) - 1
    assert set(everybody) - set(read) == {everybody[100]}
    assert browser.get("users").total == len(everybody)
    assert browser.get("users", offset=100).total == len(everybody) - honest
    assert len(browser.every_id("enrollments", 500)) == len(district.enrollments)


@pytest.mark.parametrize("honest", [False, True])
def test_a_record_comes_on_two_pages(browser: Browser, district: District, honest: bool) -> None:
    browser.sis.faults.add(RepeatRecord(on="users", honest=honest))
    everybody = [user.sourced_id for user in district.users]
    read = browser.every_id("users", 100)
    assert read == [*everybody[:100], everybody[99], *everybody[100:]]
    assert browser.get("users", offset=100).total == len(everybody) + honest


def test_totals_are_wrong_or_missing(browser: Browser, district: District) -> None:
    browser.sis.faults.set(WrongTotal(-3, on="users"))
    assert browser.get("users").total == len(district.users) - 3
    browser.sis.faults.set(NoTotal())
    reply = browser.get("users")
    assert reply.headers["X-Total-Count"] is None
    assert "next" in reply.links
    browser.sis.faults.set(NoTotal(links=False))
    assert browser.get("users").links == {}
    assert len(browser.every_id("users", 500)) == len(district.users)


def test_html_comes_with_200(browser: Browser) -> None:
    browser.sis.faults.add(Html(on="classes"))
    reply = browser.get("classes")
    assert reply.status == 200
    assert reply.headers.get_content_type() == "text/html"
    assert b"Sign in" in reply.body


def test_demographics_are_forbidden_and_the_rest_is_not(browser: Browser) -> None:
    browser.sis.faults.add(ForbidDemographics())
    assert [browser.get("demographics").status, browser.get("users").status] == [403, 200]


def test_users_come_empty(browser: Browser) -> None:
    browser.sis.faults.add(Empty(on="users"))
    reply = browser.get("users")
    assert (reply.status, reply.ids, reply.total) == (200, [], 0)
    assert browser.get("students").total > 0


@pytest.mark.parametrize("status", [401, 403])
def test_tokens_expire_in_mid_pull(browser: Browser, status: int) -> None:
    browser.sis.faults.add(ExpireTokens(after=2, status=status))
    assert [browser.get("users").status for _ in range(4)] == [200, 200, status, status]
    assert browser.sign_in().get("users").status == 200


def test_the_limit_is_ignored(browser: Browser) -> None:
    browser.sis.faults.add(IgnoreLimit(30))
    reply = browser.get("users", limit=500)
    assert len(reply.ids) == 30
    assert "offset=30" in reply.links["next"]


def test_the_next_link_names_another_host(browser: Browser) -> None:
    browser.sis.faults.add(ForeignNext("http://elsewhere.example"))
    assert browser.get("users").links["next"].startswith("http://elsewhere.example/ims/")


def test_the_next_link_never_ends(browser: Browser, district: District) -> None:
    browser.sis.faults.add(EndlessNext())
    past = browser.get("users", limit=100, offset=5000)
    assert past.ids == [user.sourced_id for user in district.users[:100]]
    assert "offset=5100" in past.links["next"]
    browser.sis.faults.set(EndlessNext(empty=True))
    past = browser.get("users", limit=100, offset=5000)
    assert past.ids == []
    assert "next" in past.links


def test_faults_work_together_and_clear(browser: Browser) -> None:
    browser.sis.faults.add(WrongTotal(5), ForeignNext(), Refuse(after=1, times=1, status=503))
    count = len(browser.sis.district.orgs)
    assert browser.get("orgs").total == count + 5
    assert browser.get("orgs").status == 503
    browser.sis.faults.clear()
    assert browser.get("orgs").total == count


def test_a_server_may_be_odd_from_the_start(district: District) -> None:
    with SampleSIS(district, faults=[NoTotal(links=False)]) as sis:
        assert Browser(sis).get("users").headers["X-Total-Count"] is None


@pytest.mark.parametrize("name", KINDS)
def test_every_fault_has_a_name_and_can_be_written_down(name: str) -> None:
    fault = decode({"fault": name, "on": "users", "after": 2})
    assert isinstance(fault, Fault)
    assert encode(fault)["fault"] == name
    assert (fault.on, fault.after) == ("users", 2)


@pytest.mark.parametrize(
    "value", [7, {}, {"fault": "unknown"}, {"fault": "slow", "secnds": 1}, {"fault": "slow", "seconds": "long"}]
)
def test_what_is_no_fault_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(value)
