"""Walking through listings as servers in the field page them. No network."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.http import Response
from roster_operator.oneroster.paging import Next, PullReport, Walk, completeness

URL = "https://sis.example.org/ims/oneroster/v1p1/orgs?limit=100&offset=0"


def rows(*numbers: int) -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps({"sourcedId": f"org-{number}"}).encode()) for number in numbers]


def answer(status: int = 200, url: str = URL, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-").lower(): value for name, value in headers.items()}, b"", url)


def total(count: int) -> Response:
    return answer(x_total_count=str(count))


def test_offsets_go_by_what_was_received() -> None:
    walk = Walk(Entity.ORGS, 100)
    walk.take(total(5), rows(0, 1))
    assert walk.due == Next(2)
    walk.take(total(5), rows(2, 3))
    assert walk.due == Next(4)
    page = walk.take(total(5), rows(4))
    assert page is not None
    assert (page.number, page.offset, page.total) == (3, 4, 5)
    assert (walk.due, walk.ended_by) == (None, "total")
    assert completeness(walk.report(), 5) == completeness(walk.report(), 5)
    assert completeness(walk.report(), 5).complete


def test_a_total_that_counts_only_the_page_hides_nobody() -> None:
    walk = Walk(Entity.ORGS, 100)
    walk.take(total(2), rows(0, 1))
    assert walk.due == Next(2)
    walk.take(total(2), rows(2, 3))
    walk.take(total(1), rows(4))
    walk.take(total(0), [])
    report = walk.report()
    assert (report.records, report.ended_by) == (5, "empty page")
    assert not completeness(report, 5).complete


@pytest.mark.parametrize("status", [404, 410])
def test_not_found_past_the_end_is_the_end(status: int) -> None:
    walk = Walk(Entity.ORGS, 2)
    assert not walk.ends_at(status)
    walk.take(answer(), rows(0, 1))
    assert walk.ends_at(status)


def test_another_error_is_the_end_only_where_the_end_is_due() -> None:
    walk = Walk(Entity.ORGS, 2)
    walk.take(total(4), rows(0, 1))
    assert not walk.ends_at(500)
    walk.take(total(4), rows(2, 3))
    assert walk.ends_at(500)
    assert walk.ends_at(400)
    assert not walk.ends_at(401)
    assert not walk.ends_at(429)


def test_an_error_after_a_full_page_without_total_is_no_end() -> None:
    walk = Walk(Entity.ORGS, 2)
    walk.take(answer(), rows(0, 1))
    assert not walk.ends_at(500)


def test_no_content_ends() -> None:
    walk = Walk(Entity.ORGS, 2)
    walk.take(answer(), rows(0, 1))
    assert walk.take(answer(204), []) is None
    assert walk.ended_by == "no content"


def test_a_page_that_comes_again_ends_and_is_not_used() -> None:
    walk = Walk(Entity.ORGS, 2)
    walk.take(total(6), rows(0, 1))
    assert walk.take(total(6), rows(0, 1)) is None
    report = walk.report()
    assert (report.ended_by, report.records) == ("no new id", 2)
    assert completeness(report, 2).reason == "FewerThanTotal"


def test_known_ids_in_another_order_end_a_listing_without_total() -> None:
    walk = Walk(Entity.ORGS, 4)
    walk.take(answer(), rows(0, 1, 2, 3))
    walk.take(answer(), rows(4, 5, 6, 7))
    assert walk.take(answer(), rows(7, 2, 0)) is None
    assert walk.ended_by == "no new id"
    assert completeness(walk.report(), 8).reason == "NoTotal"


def test_a_listing_that_grows_without_end_is_stopped() -> None:
    walk = Walk(Entity.ORGS, 2)
    for start in range(0, 40, 2):
        walk.take(total(10), rows(start, start + 1))
    with pytest.raises(OneRosterError) as caught:
        walk.take(total(10), rows(98, 99))
    assert caught.value.reason is Reason.LISTING_UNSTABLE


def test_a_cursor_link_is_followed_and_its_absence_ends() -> None:
    walk = Walk(Entity.ORGS, 2)
    walk.take(answer(link='<https://sis.example.org/c?cursor=abc>; rel="next"', x_total_count="4"), rows(0, 1))
    assert walk.due == Next(2, "https://sis.example.org/c?cursor=abc")
    walk.take(answer(url="https://sis.example.org/c?cursor=abc", x_total_count="4"), rows(2, 3))
    assert (walk.due, walk.ended_by) == (None, "no next link")
    assert completeness(walk.report(), 4).complete


def test_a_cursor_link_that_loops_is_left_for_offsets() -> None:
    walk = Walk(Entity.ORGS, 2)
    link = "</c?cursor=abc>; rel=next"
    walk.take(answer(link=link), rows(0, 1))
    walk.take(answer(link=link), rows(2, 3))
    assert walk.due == Next(4)


def test_a_link_that_has_lost_its_place_is_left_for_offsets() -> None:
    walk = Walk(Entity.ORGS, 2)
    walk.take(answer(link="</c?limit=2>; rel=next", **{"x-total-count": "4"}), rows(0, 1))
    assert walk.take(answer(**{"x-total-count": "4"}), rows(0, 1)) is None
    assert walk.due == Next(2)
    walk.take(total(4), rows(2, 3))
    walk.take(total(4), rows(2, 3))
    assert (walk.records, walk.ended_by) == (4, "no new id")


@pytest.mark.parametrize(
    "link",
    [
        '<http://sis.example.org/c?cursor=1>; rel="next"',
        '<https://sis.example.org:8443/c?cursor=1>; rel="next"',
        '<https://evil.example.com/c?cursor=1>; rel="next"',
        '<https://user:word@sis.example.org/c?cursor=1>; rel="next"',
        '<//evil.example.com/c>; rel="next"',
        '<https://sis.example.org/orgs?limit=100&offset=100>; rel="next"',
        '<https://sis.example.org/c?cursor=1>; rel="last"',
        "<<<<>>>; rel=next",
        '<http://[bad>; rel="next"',
        "<" * 16_000,
        "<a>" + "; " * 8_000,
        "<a>; rel=" + " " * 16_000,
    ],
)
def test_links_elsewhere_by_offset_or_broken_are_not_followed(link: str) -> None:
    walk = Walk(Entity.ORGS, 100)
    walk.take(answer(link=link), rows(0, 1))
    assert walk.due == Next(2)


@pytest.mark.parametrize("value", ["-1", "1e3", "abc", "9" * 30, "\u0663", "3, 3", ""])
def test_a_total_that_is_no_number_is_none(value: str) -> None:
    walk = Walk(Entity.ORGS, 100)
    walk.take(answer(x_total_count=value), rows(0))
    assert walk.report().total is None


def test_a_refused_limit_is_lowered_step_by_step() -> None:
    walk = Walk(Entity.ORGS, 5000)
    tried: list[int] = []
    while walk.lower_limit():
        tried.append(walk.limit)
    assert tried == [1000, 500, 100]


def _reports() -> Iterator[tuple[PullReport, int, str]]:
    base = PullReport(Entity.USERS, 3, 10, 10, "empty page", False, False, 4)
    change = msgspec.structs.replace
    yield base, 10, "DistinctEqualsTotal"
    yield change(base, ended_by=None), 10, "NotFinished"
    yield change(base, total=None), 10, "NoTotal"
    yield change(base, total=None, looks_agree=False), 10, "LooksDiffer"
    yield change(base, total=None, looks_agree=True), 10, "TwoEqualLooks"
    yield change(base, total=None, looks_agree=True), 9, "DuplicateIds"
    yield change(base, total=None, looks_agree=True, revision_changed=True), 10, "ChangedWhilePaging"
    yield change(base, total=None, looks_agree=True, ended_by="error past the end"), 10, "EndNotSeen"
    yield change(base, total=None, looks_agree=True, ended_by="no new id", pages=1), 10, "EndNotSeen"
    yield change(base, total=None, looks_agree=True, ended_by="no new id"), 10, "TwoEqualLooks"
    yield change(base, total_changed=True), 10, "ChangedWhilePaging"
    yield change(base, revision_changed=True), 10, "ChangedWhilePaging"
    yield base, 9, "DuplicateIds"
    yield change(base, total=11), 10, "FewerThanTotal"
    yield change(base, total=9), 10, "MoreThanTotal"
    yield change(base, ended_by="error past the end"), 10, "DistinctEqualsTotal"
    yield change(base, ended_by="error past the end", pages=1), 10, "EndNotSeen"


@pytest.mark.parametrize(("report", "distinct", "reason"), list(_reports()))
def test_proof_of_completeness(report: PullReport, distinct: int, reason: str) -> None:
    found = completeness(report, distinct)
    assert found.reason == reason
    assert found.complete is (reason in ("DistinctEqualsTotal", "TwoEqualLooks"))
