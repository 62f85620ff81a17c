"""Parsers under random input: a value or an OneRosterError, and never anything else."""

# ruff: noqa: PT017 (whether an error comes is the input's choice)
from __future__ import annotations

import dataclasses
import gzip
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.oneroster.fake_servers import SECRET
from tests.oneroster.test_oneroster_decode import PLAIN

from roster_operator.oneroster.answers import clock_skew, codes, refusal, retry_after
from roster_operator.oneroster.bearer import Bearer
from roster_operator.oneroster.bodies import Body
from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.http import Response, checked_url, origin, same_origin
from roster_operator.oneroster.oauth1 import OAuth1
from roster_operator.oneroster.oauth2 import ClientCredentials, Token, exchange
from roster_operator.oneroster.pagebody import split
from roster_operator.oneroster.paging import Walk
from roster_operator.oneroster.settings import RestSettings

from .bundles import GOOD, ORG, ORGS, ORGS_HEADER, USER, USERS_HEADER, Bundle, csv, manifest, zipped
from .cases import CANARY, Decoded
from .strategies import FUZZ, dumped, mutated, names, records, trees

URL = "https://sis.example.org:8443/ims/oneroster/v1p1/orgs?limit=10&offset=0"
GRANTED = b'{"access_token": "abc", "token_type": "Bearer", "expires_in": 5}'
_CODE = re.compile(r"[A-Z][A-Za-z0-9]+")
header_values = st.text(st.characters(exclude_characters="\r\n\0"), max_size=200)
link_parts = st.sampled_from(
    ["<", ">", ";", ",", '"', "=", "rel", "next", "prev", "?page=2", "/x", "//evil.example.org",
    "https://evil.example.org/",
     "http://sis.example.org:8443/", "https://sis.example.org:8443/y", "https://a:b@sis.example.org:8443/", "\\", " ",
     "javascript:alert(1)", "?offset=5", "#x", "[", "]", "%", "@", ":", "\t"]
)  # fmt: skip


def answer(body: bytes = b"", status: int = 200, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, URL)


@FUZZ
@given(st.binary(max_size=300) | trees.map(dumped) | mutated(dumped({"orgs": [PLAIN[Entity.ORGS]] * 3})))
def test_pages(body: bytes) -> None:
    try:
        found = split(body, Entity.ORGS, "schools")
    except OneRosterError as error:
        assert error.reason in (Reason.MALFORMED_RESPONSE, Reason.ENDPOINT_NOT_ONEROSTER)
        assert CANARY not in str(error)
    else:
        assert all(bytes(record) in body for record in found)


@FUZZ
@given(st.lists(trees, max_size=4), st.sampled_from(["orgs", "ORGS", "schools", "users", ""]), st.binary(max_size=4))
def test_pages_with_any_wrapper(rows: list[Any], wrapper: str, behind: bytes) -> None:
    try:
        found = split(dumped({"more": 1, wrapper: rows}) + behind, Entity.ORGS, "schools")
    except OneRosterError as error:
        assert error.next_step
    else:
        assert len(found) == len(rows)


@pytest.mark.parametrize("entity", list(Entity))
def test_records(entity: Entity) -> None:
    decoders = [Decoder(entity, "1.1"), Decoder(entity, "1.2")]

    @FUZZ
    @given(records(entity) | trees.map(dumped) | st.binary(max_size=60))
    def check(raw: bytes) -> None:
        for decode in decoders:
            found = decode(raw)
            assert all(_CODE.fullmatch(problem.code) for problem in found.problems)
            assert (found.record is None) == any(problem.severity == "error" for problem in found.problems)
            if found.record is not None:
                # What is staged is text for PostgreSQL and canonical JSON: both must be possible.
                kept = msgspec.json.encode(found.record)
                assert b"\\u0000" not in kept
                assert len(found.sourced_id or "") <= 255

    check()


@FUZZ
@given(st.recursive(st.just(SECRET), lambda inner: st.lists(inner, min_size=1, max_size=2)
       | st.dictionaries(names, inner, min_size=1, max_size=2), max_leaves=3),
       st.sampled_from(["password", "Password", "PASSWORDS", "credentials", "ext_credential_1",
       "userPassword"]))  # fmt: skip
def test_no_password_is_kept_wherever_it_stands(inside: Any, key: str) -> None:
    for entity in Entity:
        for place in ({"metadata": {"a": [{key: inside}]}}, {key: inside}, {"metadata": {key: inside}}):
            found = Decoder(entity, "1.2")(dumped(PLAIN[entity] | place))
            assert found.record is None or SECRET.encode() not in msgspec.json.encode(found.record)
            assert SECRET not in repr(found.problems)


@FUZZ
@given(
    st.dictionaries(st.sampled_from(["access_token", "expires_in", "token_type", "scope", "error"]), trees, max_size=5)
    .map(dumped) | st.binary(max_size=200) | mutated(GRANTED),
    st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 418, 429, 500, 999]),
    header_values, st.sampled_from(["Auto", "Basic", "Body", "Query"]),
    st.lists(header_values | st.builds("{}={}; {}={}".format, header_values, header_values,
             st.sampled_from(["Max-Age", "Expires", "Path", "expires"]), header_values), max_size=4),
)  # fmt: skip
def test_tokens(body: bytes, status: int, value: str, style: Any, cookies: list[str]) -> None:
    talk = exchange(ClientCredentials("id", SECRET, style, keep_cookies=True), [("one",), ("two",)])
    next(talk)
    try:
        while True:
            found = answer(body, status, date=value, retry_after=value)
            talk.send(dataclasses.replace(found, cookies=tuple(cookies)))
    except StopIteration as done:
        token: Token = done.value
        assert re.fullmatch(r"[\x21-\x7e]+", token.value)
        assert token.lifetime is None or 0 < token.lifetime <= 86_400
        assert not token.ending() or token.lifetime is not None
        assert re.fullmatch(r"[\x20-\x7e]*", token.cookies)
    except OneRosterError as error:
        assert SECRET not in str(error)
        assert error.message.isprintable()


_PROBLEM = st.builds("{}{}{}".format, st.sampled_from(["oauth_problem=", '{"oauth_problem": "', 'oauth_problem="']),
                     st.sampled_from(["timestamp_refused", "nonce_used", "permission_denied", SECRET]) | header_values,
                     st.sampled_from(["", '"', '"}', "&x=" + SECRET]))  # fmt: skip


@FUZZ
@given(
    st.sampled_from([400, 401, 403, 404, 429, 500]), _PROBLEM | header_values, _PROBLEM.map(str.encode) | st.binary(),
    header_values,
)  # fmt: skip
def test_refused_signatures_and_keys(status: int, challenge: str, body: bytes, date: str) -> None:
    base: dict[str, Any] = {"endpoint": URL, "client_id": "id", "client_secret": SECRET, "token": SECRET}
    refused = answer(body, status, www_authenticate=challenge, date=date)
    for way in (OAuth1(RestSettings(**base, auth="OAuth1")), Bearer(RestSettings(**base, auth="Bearer"))):
        error = way.refusal(refused, Entity.ORGS)
        if error is not None:
            assert SECRET not in f"{error} {error.message} {error.next_step}"
            assert error.message.isascii()
            assert error.message.isprintable()
            assert error.next_step


@FUZZ
@given(st.lists(link_parts, max_size=30).map("".join) | header_values, header_values)
def test_links_and_totals(link: str, total: str) -> None:
    walk = Walk(Entity.ORGS, 10)
    rows = split(dumped({"orgs": [PLAIN[Entity.ORGS]] * 10}), Entity.ORGS, "orgs")
    page = walk.take(answer(link=link, x_total_count=total, x_perm_rev=total), rows)
    assert page is not None
    if walk.due is not None and walk.due.link is not None:
        assert origin(walk.due.link) == origin(URL)
        assert "@" not in walk.due.link.split("/")[2]


@FUZZ
@given(st.lists(link_parts, max_size=12).map("".join) | st.text(max_size=60))
def test_addresses(text: str) -> None:
    try:
        address = checked_url(text, allow_insecure=True, query=True)
    except OneRosterError as error:
        assert error.reason is Reason.SETTINGS_INVALID
    else:
        assert address.isascii()
        assert address.isprintable()
    target = same_origin(URL, text)
    assert target is None or origin(target) == origin(URL)


@FUZZ
@given(header_values | st.text("0123456789\u00b2\u0663-+., :GMTabcdefJSun", max_size=40), st.integers(300, 999), trees)
def test_refusals(value: str, status: int, tree: Any) -> None:
    said = answer(dumped(tree), status, date=value, retry_after=value)
    wait, skew = retry_after(said), clock_skew(said)
    assert wait is None or wait >= 0
    assert skew is None or isinstance(skew, float)
    error = refusal(said)
    assert error.message.isprintable()
    assert len(error.message) < 400
    assert len(codes(said.body)) <= 4


@FUZZ
@given(mutated(gzip.compress(dumped([PLAIN[Entity.USERS]] * 40), mtime=0)), st.integers(1, 400))
def test_mutated_gzip(data: bytes, step: int) -> None:
    body = Body("gzip", 50_000)
    try:
        for start in range(0, len(data), step):
            body.add(data[start : start + step])
        assert len(body.finish()) <= 50_000
    except OneRosterError as error:
        assert error.reason in (Reason.BAD_COMPRESSION, Reason.BODY_TOO_LARGE, Reason.CONNECTION_LOST)


@FUZZ
@given(st.integers(0, 5 * 2**20), st.integers(1, 9), st.sampled_from([1_000, 65_536, 2**22]), st.binary(max_size=64))
def test_what_was_packed_comes_out(size: int, level: int, step: int, pattern: bytes) -> None:
    """Bodies are unpacked in pieces of a mebibyte: nothing is lost where a piece ends."""
    sent = (pattern + b"0123456789abcdef" * 4)[:64] * (size // 64)
    data = gzip.compress(sent, level)
    body = Body("gzip", 8 * 2**20)
    for start in range(0, len(data), step):
        body.add(data[start : start + step])
    assert body.finish() == sent


csv_parts = st.sampled_from(
    [ORGS_HEADER, USERS_HEADER, ORG, USER, ",", '"', "\r\n", "\n", "\r", "o2,,,x,school,7,", "\0", "\ufeff", "\u202e",
    "x" * 300,
     "metadata.a", "name", ";", "\t", "'", "=1"]
)  # fmt: skip


@FUZZ
@given(mutated(ORGS.encode()) | st.lists(csv_parts, max_size=12).map("".join).map(str.encode) | st.binary(max_size=200))
def test_files_of_a_bundle(content: bytes) -> None:
    seen = Bundle({**GOOD, "orgs.csv": content}).observe()
    assert isinstance(seen.outcome, Decoded)
    assert CANARY not in seen.shown


@FUZZ
@given(mutated(csv(USERS_HEADER, USER, USER).encode()))
def test_rows_of_users(content: bytes) -> None:
    files = {**GOOD, "manifest.csv": manifest(orgs="bulk", users="bulk"), "users.csv": content}
    assert isinstance(Bundle(files).observe().outcome, Decoded)


@FUZZ
@given(mutated(manifest(orgs="bulk").encode()))
def test_manifests(content: bytes) -> None:
    assert isinstance(Bundle({**GOOD, "manifest.csv": content}).observe().outcome, Decoded)


@FUZZ
@given(mutated(zipped(GOOD)) | st.binary(max_size=100))
def test_zips(data: bytes) -> None:
    """Whatever is read of a zip is what was put in, for each entry has a checksum."""
    assert isinstance(Bundle(data=lambda: data).observe().outcome, Decoded)
