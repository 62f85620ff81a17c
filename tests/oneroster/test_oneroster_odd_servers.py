"""Servers that misbehave: each ends in a typed reason, in bounded time and memory, and nothing leaks."""

import gzip
import itertools
import json
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason, outside
from roster_operator.oneroster.rest import RestSource, Timeouts, completeness

from .fake_servers import SECRET, TOKEN, Answer, Asked, FakeServer, granted, listing, orgs, quick

CANARY = "canary-name-31d7"


def ids(source: RestSource, entity: Entity = Entity.ORGS) -> list[str]:
    return [json.loads(bytes(raw))["sourcedId"] for page in source.pages(entity) for raw in page.records]


def failure(answer: Callable[[Asked], Answer], entity: Entity = Entity.ORGS, **more: Any) -> OneRosterError:
    token = more.pop("token", None)
    with FakeServer(answer, token) as server, RestSource(server.settings(**more)) as source:
        with pytest.raises(OneRosterError) as caught:
            ids(source, entity)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.next_step
        for canary in (SECRET, TOKEN, CANARY):
            assert canary not in shown
        assert caught.value.message.isascii()
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 400
        return caught.value


# Answers to the first page, and the reason each one is.
SINGLE: list[tuple[str, Answer, Reason]] = [
    ("html", Answer(body=b"<!DOCTYPE html><p>Sign in, " + CANARY.encode()), Reason.ENDPOINT_NOT_ONEROSTER),
    ("plain text", Answer(body=b"OK"), Reason.ENDPOINT_NOT_ONEROSTER),
    ("another wrapper", Answer(body={"users": orgs(0, 2)}), Reason.ENDPOINT_NOT_ONEROSTER),
    ("no list", Answer(body={"orgs": {"sourcedId": CANARY}}), Reason.ENDPOINT_NOT_ONEROSTER),
    ("a number", Answer(body=5), Reason.ENDPOINT_NOT_ONEROSTER),
    ("an error with 200", Answer(body={"imsx_codeMajor": "failure"}), Reason.ENDPOINT_NOT_ONEROSTER),
    ("cut JSON", Answer(body=b'{"orgs": [{"sourcedId": "a"'), Reason.MALFORMED_RESPONSE),
    ("NaN", Answer(body=b'{"orgs": [{"sourcedId": NaN}]}'), Reason.MALFORMED_RESPONSE),
    ("deep JSON", Answer(body=b"[" * 1_000_000), Reason.MALFORMED_RESPONSE),
    ("deep JSON in a record", Answer(body=b'{"orgs": [' + b"[" * 1_000_000), Reason.MALFORMED_RESPONSE),
    ("two documents", Answer(body=b'{"orgs": []}{"orgs": []}'), Reason.MALFORMED_RESPONSE),
    ("400", Answer(400, {"imsx_codeMajor": "failure", "imsx_description": CANARY}), Reason.REQUEST_REFUSED),
    ("401", Answer(401), Reason.TOKEN_REJECTED),
    ("403", Answer(403, b"<html>" + CANARY.encode()), Reason.FORBIDDEN),
    ("404", Answer(404, b"<html>"), Reason.NOT_FOUND),
    ("410", Answer(410), Reason.NOT_FOUND),
    ("418", Answer(418), Reason.REQUEST_REFUSED),
    ("429", Answer(429, b"<html>"), Reason.THROTTLED),
    ("500", Answer(500, {"error": CANARY * 10}), Reason.SERVER_ERROR),
    ("501", Answer(501), Reason.SERVER_ERROR),
    ("503", Answer(503), Reason.SERVER_ERROR),
    ("a large error", Answer(400, b"x" * 5_000_000), Reason.REQUEST_REFUSED),
    ("a broken error", Answer(400, b"x", {"Content-Encoding": "gzip"}), Reason.REQUEST_REFUSED),
    ("redirect elsewhere", Answer(302, b"", {"Location": "https://evil.example.com/orgs"}), Reason.REDIRECT_REFUSED),
    ("redirect to localhost", Answer(302, b"", {"Location": "http://localhost/orgs"}), Reason.REDIRECT_REFUSED),
    ("redirect to a file", Answer(302, b"", {"Location": "file:///etc/passwd"}), Reason.REDIRECT_REFUSED),
    ("redirect to metadata", Answer(307, b"", {"Location": "http://169.254.169.254/"}), Reason.REDIRECT_REFUSED),
    ("redirect nowhere", Answer(302), Reason.REDIRECT_REFUSED),
    ("redirect broken", Answer(302, b"", {"Location": "http://[x"}), Reason.REDIRECT_REFUSED),
    ("redirect in circles", Answer(302, b"", {"Location": "?again"}), Reason.REDIRECT_REFUSED),
    ("brotli", Answer(body=b"x", headers={"Content-Encoding": "br"}), Reason.BAD_COMPRESSION),
    ("stacked gzip", Answer(body=b"x", headers={"Content-Encoding": "gzip, gzip"}), Reason.BAD_COMPRESSION),
    ("no gzip", Answer(body=b'{"orgs": []}', headers={"Content-Encoding": "gzip"}), Reason.BAD_COMPRESSION),
    ("gzip in gzip", Answer(body=gzip.compress(gzip.compress(b"{}")), headers={"Content-Encoding": "gzip"}),
     Reason.ENDPOINT_NOT_ONEROSTER),
    ("cut gzip", Answer(body=gzip.compress(b'{"orgs": []}' * 99)[:-9], headers={"Content-Encoding": "gzip"}),
     Reason.CONNECTION_LOST),
    ("a large length", Answer(body=b"{", headers={"Content-Length": "99999999999"}), Reason.BODY_TOO_LARGE),
    ("a lying length", Answer(body=b'{"orgs": []}', headers={"Content-Length": "500", "Connection": "close"}),
     Reason.CONNECTION_LOST),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reason"), [case[1:] for case in SINGLE], ids=[case[0] for case in SINGLE])
def test_each_bad_answer_has_its_reason(answer: Answer, reason: Reason) -> None:
    timeouts = Timeouts(connect=1, read=0.3, total=3)
    assert failure(lambda _: answer, timeouts=timeouts, retry_attempts=2).reason is reason


def test_a_bomb_is_bounded() -> None:
    bomb = gzip.compress(b"[" + b" " * (64 * 2**20))
    tracemalloc.start()
    try:
        error = failure(lambda _: Answer(body=bomb, headers={"Content-Encoding": "gzip"}), max_body=8 * 2**20)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()
    assert error.reason in (Reason.BODY_TOO_LARGE, Reason.BAD_COMPRESSION)


def test_an_endless_body_is_bounded() -> None:
    def endless(_: Asked) -> Answer:
        return Answer(chunks=itertools.repeat(b" " * 65_536))

    assert failure(endless, max_body=2**20).reason is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize(
    "timeouts",
    [Timeouts(connect=1, read=5, total=1), Timeouts(connect=1, read=5, total=30, grace=0.5, min_rate=1000)],
    ids=["by time", "by rate"],
)
def test_a_body_that_drips_is_given_up(timeouts: Timeouts) -> None:
    def drip(_: Asked) -> Answer:
        def slowly() -> Iterator[bytes]:
            for _ in range(100):
                time.sleep(0.1)
                yield b" "

        return Answer(chunks=slowly())

    started = time.monotonic()
    assert failure(drip, timeouts=timeouts, retry_attempts=1).reason is Reason.TIMED_OUT
    assert time.monotonic() - started < 4


def test_a_server_that_says_nothing_times_out() -> None:
    def silent(_: Asked) -> Answer:
        time.sleep(1)
        return Answer()

    error = failure(silent, timeouts=Timeouts(read=0.2, total=2), retry_attempts=2)
    assert (error.reason, error.retryable) == (Reason.TIMED_OUT, True)


def test_a_refused_connection_is_told_apart() -> None:
    with RestSource(quick("http://127.0.0.1:1", "http://127.0.0.1:1/token")) as source:
        with pytest.raises(OneRosterError) as caught:
            ids(source)
        assert (caught.value.reason, caught.value.retryable) == (Reason.CONNECT_FAILED, True)


@pytest.mark.usefixtures("torn_down_at_once")
def test_a_connection_torn_down_while_it_is_made_is_lost() -> None:
    error = failure(lambda _: Answer(), retry_attempts=1)
    assert (error.reason, error.retryable) == (Reason.CONNECTION_LOST, True)


@pytest.mark.parametrize(
    "token",
    [
        Answer(body=b"<html>sign in"),
        Answer(body={"access_token": "a\r\nX: 1"}),
        Answer(body=b"x" * 10_000_000),
    ],
    ids=["html", "newline", "10 MB"],
)
def test_bad_tokens(token: Answer) -> None:
    error = failure(listing(1), token=lambda _: token)
    assert error.reason in (Reason.TOKEN_MALFORMED, Reason.BODY_TOO_LARGE)


def test_a_token_request_is_never_redirected() -> None:
    error = failure(listing(1), token=lambda _: Answer(302, b"", {"Location": "/token2"}))
    assert error.reason is Reason.REDIRECT_REFUSED


def test_a_get_follows_redirects_within_the_origin_and_keeps_the_token() -> None:
    def answer(asked: Asked) -> Answer:
        if not asked.path.startswith("/moved"):
            return Answer(308, b"", {"Location": f"/moved{asked.path}?offset={asked.query['offset']}"})
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        return listing(3)(asked)

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        assert ids(source) == ["org-0", "org-1", "org-2"]


def test_nothing_but_gzip_is_asked_for_and_the_environment_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with FakeServer(listing(1)) as server, RestSource(server.settings()) as source:
        assert ids(source) == ["org-0"]
        assert {asked.headers["accept-encoding"] for asked in server.asked} == {"gzip"}


@pytest.mark.parametrize("wrapped", ["orgs", "ORGS", "bare", "with a BOM"])
def test_wrappers_of_all_kinds(wrapped: str) -> None:
    def answer(asked: Asked) -> Answer:
        rows = orgs(0, 3) if asked.query["offset"] == "0" else []
        body: Any = rows if wrapped == "bare" else {"more": 1, wrapped: rows}
        if wrapped == "with a BOM":
            body = b"\xef\xbb\xbf" + json.dumps({"orgs": rows}).encode()
        return Answer(body=body)

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        assert ids(source) == ["org-0", "org-1", "org-2"]


PAST: list[tuple[str, Answer]] = [
    ("an empty list", Answer(body={"orgs": []})),
    ("null", Answer(body={"orgs": None})),
    ("nothing", Answer(body=b"")),
    ("no content", Answer(204)),
    ("not found", Answer(404, b"<html>")),
    ("400", Answer(400)),
    ("500", Answer(500)),
    ("an empty list and total 0", Answer(body={"orgs": []}, headers={"X-Total-Count": "0"})),
]


@pytest.mark.parametrize("past", [case[1] for case in PAST], ids=[case[0] for case in PAST])
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("total", [20, 23])
def test_every_end_is_an_end(past: Answer, counted: bool, total: int) -> None:
    def answer(asked: Asked) -> Answer:
        return past if int(asked.query["offset"]) >= total else listing(total, counted=counted)(asked)

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        if past.status in (400, 500) and not counted and total == 20:
            # After two full pages and without a total nothing tells an end from a failure.
            with pytest.raises(OneRosterError):
                ids(source)
            return
        found = ids(source)
        assert len(set(found)) == len(found) == total
        proof = completeness(source.report(Entity.ORGS), total)
        if counted:
            assert (proof.complete, proof.reason) == (True, "DistinctEqualsTotal")
        elif past.status in (400, 500):
            assert (proof.complete, proof.reason) == (False, "EndNotSeen")
        else:
            assert (proof.complete, proof.reason) == (True, "TwoEqualLooks")


@pytest.mark.parametrize("most", [3, 7, 10])
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("counted", [True, False])
def test_a_silently_clamped_limit_loses_nobody(most: int, concurrency: int, counted: bool) -> None:
    fake = FakeServer(listing(25, clamp=most, counted=counted))
    with fake as server, RestSource(server.settings(max_concurrency=concurrency)) as source:
        assert ids(source) == [f"org-{number}" for number in range(25)]
        assert source.report(Entity.ORGS).page_limit == most


def test_ragged_pages_lose_nobody() -> None:
    sizes = itertools.cycle([3, 1, 4, 1, 5])

    def answer(asked: Asked) -> Answer:
        offset = int(asked.query["offset"])
        return Answer(
            body={"orgs": orgs(offset, max(0, min(next(sizes), 30 - offset)))}, headers={"X-Total-Count": "30"}
        )

    for concurrency in (1, 4):
        with FakeServer(answer) as server, RestSource(server.settings(max_concurrency=concurrency)) as source:
            assert ids(source) == [f"org-{number}" for number in range(30)]


def test_a_limit_refused_with_400_is_lowered() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(400) if int(asked.query["limit"]) > 500 else listing(700)(asked)

    with FakeServer(answer) as server, RestSource(server.settings(page_size=5000)) as source:
        assert len(ids(source)) == 700
        assert [asked.query["limit"] for asked in server.pages_asked("orgs")][:3] == ["5000", "1000", "500"]


def test_a_server_that_ignores_offset_gives_one_page_and_no_proof() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(body={"orgs": orgs(0, 10)}, headers={"X-Total-Count": "30"})

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        assert len(ids(source)) == 10
        assert completeness(source.report(Entity.ORGS), 10).reason == "FewerThanTotal"


def test_an_end_without_a_total_is_reached_through_known_ids() -> None:
    def answer(asked: Asked) -> Answer:
        start = int(asked.query["offset"]) % 30
        return Answer(body={"orgs": orgs(start, 10)}, headers={"Link": f'<?offset={start + 10}>; rel="next"'})

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        assert len(ids(source)) == 30
        assert source.report(Entity.ORGS).ended_by == "no new id"


def second_look(answer: Callable[[Asked], Answer], **more: Any) -> tuple[str, FakeServer]:
    with FakeServer(answer) as server, RestSource(server.settings(**more)) as source:
        found = ids(source)
        return completeness(source.report(Entity.ORGS), len(set(found))).reason, server


def test_a_second_look_asks_for_smaller_pages_and_yields_nothing_again() -> None:
    reason, server = second_look(listing(25, counted=False))
    assert reason == "TwoEqualLooks"
    asked = [(asked.query["limit"], asked.query["offset"]) for asked in server.pages_asked("orgs")]
    assert asked == [("10", "0"), ("10", "10"), ("10", "20"), ("10", "25"),
                     ("7", "0"), ("7", "7"), ("7", "14"), ("7", "21"), ("7", "25")]  # fmt: skip


def test_a_total_needs_no_second_look() -> None:
    reason, server = second_look(listing(25))
    assert reason == "DistinctEqualsTotal"
    assert len(server.pages_asked("orgs")) == 3


@pytest.mark.parametrize("change", [-1, 1, 40])
def test_looks_that_differ_are_no_proof(change: int) -> None:
    asked = itertools.count()

    def answer(request: Asked) -> Answer:
        return listing(25 if next(asked) < 4 else 25 + change, counted=False)(request)

    assert second_look(answer)[0] == "LooksDiffer"


def test_one_in_the_place_of_another_is_seen_though_the_number_is_the_same() -> None:
    asked = itertools.count()

    def answer(request: Asked) -> Answer:
        found = listing(25, counted=False)(request)
        if next(asked) >= 4 and found.body["orgs"]:
            found.body["orgs"][0]["sourcedId"] += "-other"
        return found

    assert second_look(answer)[0] == "LooksDiffer"


def test_people_lost_between_pages_are_noticed_by_pages_that_end_elsewhere() -> None:
    def lossy(asked: Asked) -> Answer:
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        first = offset + 1 if offset else 0
        return Answer(body={"orgs": orgs(first, max(0, min(limit, 25 - first)))})

    assert second_look(lossy)[0] == "LooksDiffer"


def test_a_server_without_pages_that_shows_its_beginning_twice_proves_nothing() -> None:
    assert second_look(lambda _: Answer(body={"orgs": orgs(0, 10)}))[0] == "EndNotSeen"


def test_a_second_look_that_fails_leaves_the_pull_as_it_was() -> None:
    asked = itertools.count()

    def answer(request: Asked) -> Answer:
        return listing(25, counted=False)(request) if next(asked) < 6 else Answer(403)

    assert second_look(answer)[0] == "NoTotal"


def test_retry_after_is_waited_for_and_bounded() -> None:
    left = [2]

    def answer(asked: Asked) -> Answer:
        left[0] -= 1
        return Answer(429, b"<html>slow down", {"Retry-After": "1"}) if left[0] >= 0 else listing(1)(asked)

    started = time.monotonic()
    with FakeServer(answer) as server, RestSource(server.settings(retry_budget=10.0)) as source:
        assert ids(source) == ["org-0"]
    assert 2 <= time.monotonic() - started < 6
    started = time.monotonic()
    error = failure(lambda _: Answer(429, b"", {"Retry-After": "3600"}))
    assert (error.reason, error.retryable, error.retry_after) == (Reason.THROTTLED, True, 3600)
    assert time.monotonic() - started < 2


def test_a_permission_that_is_refused_renews_a_token_once_and_no_more() -> None:
    def answer(asked: Asked) -> Answer:
        return listing(3)(asked) if asked.path.endswith("orgs") else Answer(403)

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        ids(source)
        with pytest.raises(OneRosterError):
            ids(source, Entity.USERS)
        assert len([asked for asked in server.asked if asked.path == "/token"]) == 2


def test_tokens_of_parallel_requests_are_asked_for_once() -> None:
    count = [0]

    def token(_: Asked) -> Answer:
        count[0] += 1
        time.sleep(0.05)
        return granted()

    with FakeServer(listing(60), token) as server, RestSource(server.settings(max_concurrency=5)) as source:
        assert len(ids(source)) == 60
    assert count[0] == 1


def test_what_changes_while_paging_is_no_proof() -> None:
    def answer(asked: Asked) -> Answer:
        found = listing(25)(asked)
        found.headers["x-perm-rev"] = "1" if asked.query["offset"] == "0" else "2"
        return found

    with FakeServer(answer) as server, RestSource(server.settings()) as source:
        assert completeness(source.report(Entity.ORGS), len(ids(source))).reason == "NotFinished"
        assert completeness(source.report(Entity.ORGS), 25).reason == "ChangedWhilePaging"


def test_an_iteration_left_early_holds_nothing_up() -> None:
    with FakeServer(listing(1000)) as server, RestSource(server.settings(max_concurrency=4)) as source:
        next(iter(source.pages(Entity.ORGS)))


def test_a_closed_source_says_so() -> None:
    with FakeServer(listing(1)) as server:
        source = RestSource(server.settings())
        with pytest.raises(RuntimeError):
            next(source.pages(Entity.ORGS))
        with source:
            pass
        source.close()


@pytest.mark.parametrize(
    "endpoint",
    ["", "sis.example.org", "ftp://sis.example.org", "http://sis.example.org", "https://", "https://a:b@sis.example.org",
     "https://sis.example.org/#x", "https://sis.example.org/?x=1", "https://[x", "https://sis.example.org:99999",
     "javascript:alert(1)", "https://sis .example.org"],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_at_once(endpoint: str) -> None:
    with pytest.raises(OneRosterError) as caught:
        RestSource(quick(endpoint, "https://sis.example.org/token", allow_insecure=False))
    assert caught.value.reason is Reason.SETTINGS_INVALID


def test_settings_show_no_secret() -> None:
    assert SECRET not in repr(quick("https://sis.example.org", "https://sis.example.org/token"))


def test_outside_text_is_made_printable_and_short() -> None:
    assert outside("\x1b[31mred\x07 \u202eabc" + "x" * 1_000_000) == ("?[31mred? ?abc" + "x" * 200)[:200]
