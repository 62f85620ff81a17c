"""Signatures of OAuth 1: the RFC's own examples, and another implementation."""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from oauthlib.oauth1.rfc5849 import signature as other

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.http import Response
from roster_operator.oneroster.oauth1 import OAuth1, signature
from roster_operator.oneroster.rest import RestSource
from roster_operator.oneroster.settings import RestSettings

from .fake_servers import Answer, Asked, FakeServer, listing

SECRET = "canary-secret-5f1c"
METHODS: dict[str, Callable[..., Any]] = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}


def settings(**more: Any) -> RestSettings:
    base: dict[str, Any] = {"auth": "OAuth1", "client_id": "my-id", "client_secret": SECRET}
    return RestSettings(endpoint="https://sis.example.org", **(base | more))


async def header(url: str, **more: Any) -> dict[str, str]:
    value = (await OAuth1(settings(**more)).credential()).headers(url)["Authorization"]
    assert value.startswith("OAuth ")
    return {name: unquote(text) for name, text in re.findall(r'(\w+)="([^"]*)"', value)}


def by_oauthlib(url: str, parameters: dict[str, str], secret: str, method: str) -> str:
    """The signature as an independent implementation makes it."""
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    named = [(name, value) for name, value in parameters.items() if name != "oauth_signature"]
    normalised = other.normalize_parameters([*query, *named])
    base = other.signature_base_string("GET", other.base_string_uri(url), normalised)
    sign = other.sign_hmac_sha256_with_client if method == "HMAC-SHA256" else other.sign_hmac_sha1_with_client

    class Client:
        client_secret = secret
        resource_owner_secret = ""

    return sign(base, Client())


def test_the_parameters_of_rfc_5849_3_4_1_make_its_base_string() -> None:
    # The example has a token, which OneRoster has not, and a body; its base string is printed in the RFC.
    base = (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D"
        "%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1"
        "%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )
    body = [("c2", ""), ("a3", "2 q")]
    oauth = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"), ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"), ("oauth_timestamp", "137131201"), ("oauth_nonce", "7d8f3e4a"),
    ]  # fmt: skip
    expected = base64.b64encode(hmac.new(b"j49sk3j29djd&", base.encode(), hashlib.sha1).digest()).decode()
    url = "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
    assert signature("POST", url, [*body, *oauth], "j49sk3j29djd", hashlib.sha1) == expected


def test_the_request_of_rfc_5849_1_2_has_the_signature_that_is_printed_there() -> None:
    oauth = [
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"), ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131200"), ("oauth_nonce", "wIjqoS"),
        ("oauth_callback", "http://printer.example.com/ready"),
    ]  # fmt: skip
    made = signature("POST", "https://photos.example.net/initiate", oauth, "kd94hf93k423kf44", hashlib.sha1)
    assert made == "74KNZJeDHnMBp0EMJ9ZHt/XKycU="


URLS = [
    "https://sis.example.org/ims/oneroster/v1p1/orgs?limit=100&offset=0",
    "https://SIS.example.org:443/orgs",
    "https://sis.example.org:8443/orgs?limit=1",
    "http://sis.example.org:80/orgs?limit=1",
    "http://sis.example.org:443/orgs?limit=1",
    "https://sis.example.org/a%20b/MoY%3D/orgs?limit=1",
    "https://sis.example.org/orgs?filter=dateLastModified%3E%272026-08-01T00%3A00%3A00.000Z%27",
    "https://sis.example.org/orgs?filter=status='active' AND name='O%27Neill'",
    "https://sis.example.org/orgs?filter=status%3D'active'+AND+type='school'",
    "https://sis.example.org/orgs?a=2&a=1&A=3&a%21=x&empty=&b=%C3%A9%E2%82%AC",
    "https://sis.example.org/orgs?next=%252F%26%3D~._-*()!",
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("secret", ["plain", "a&b=c d+/%'\u00e9"])
async def test_signatures_equal_those_of_another_implementation(url: str, method: Any, secret: str) -> None:
    parts = await header(url, signature_method=method, client_secret=secret, client_id="id with % and é")
    assert parts["oauth_signature_method"] == method
    assert parts["oauth_consumer_key"] == "id with % and é"
    assert parts["oauth_signature"] == by_oauthlib(url, parts, secret, method)


async def test_every_parameter_of_the_query_is_signed() -> None:
    parameters = [("oauth_nonce", "n"), ("oauth_timestamp", "1")]
    signed = {
        signature("GET", f"https://sis.example.org/orgs{query}", parameters, SECRET, hashlib.sha256)
        for query in (
            "",
            "?limit=1",
            "?limit=2",
            "?limit=1&offset=0",
            "?limit=1&x=",
            "?limit=1&x=a%20b",
            "?limit=1&x=a'b",
        )
    }
    assert len(signed) == 7


async def test_each_header_has_a_nonce_of_its_own_and_the_time() -> None:
    headers = [await header(URLS[0]) for _ in range(100)]
    assert len({each["oauth_nonce"] for each in headers}) == 100
    assert all(abs(int(each["oauth_timestamp"]) - time.time()) < 5 for each in headers)
    assert "oauth_token" not in headers[0]


def test_no_repr_shows_a_secret() -> None:
    made = OAuth1(settings())
    assert SECRET not in repr(made) + repr(vars(made)) + repr(settings())


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_what_is_missing_is_refused_before_anything_is_sent(missing: str) -> None:
    with pytest.raises(OneRosterError) as caught:
        RestSource(settings(**{missing: ""}))
    assert caught.value.reason is Reason.SETTINGS_INVALID


SIGNED: dict[str, Any] = {"auth": "OAuth1", "client_id": "my-id", "client_secret": SECRET}


def refused(answer: Callable[[Asked], Answer]) -> OneRosterError:
    fake = FakeServer(answer)
    with fake as server, RestSource(server.settings(**SIGNED)) as source, pytest.raises(OneRosterError) as caught:
        list(source.pages(Entity.ORGS))
    assert SECRET not in str(caught.value) + caught.value.next_step
    return caught.value


def test_tries_again_and_redirects_are_signed_anew() -> None:
    left = [3]

    def answer(asked: Asked) -> Answer:
        left[0] -= 1
        if left[0] == 2:
            return Answer(503)
        if left[0] == 1:
            return Answer(307, b"", {"Location": f"/moved{asked.path}?limit=10&offset=0&filter=status='active'"})
        return listing(3)(asked)

    with FakeServer(answer) as server, RestSource(server.settings(**SIGNED)) as source:
        assert len(list(source.pages(Entity.ORGS))) == 1
        headers = [dict(re.findall(r'(\w+)="([^"]*)"', asked.headers["authorization"])) for asked in server.asked]
    assert len({each["oauth_nonce"] for each in headers}) == len(headers) >= 3
    moved = f"{server.url}{server.asked[2].path}?limit=10&offset=0&filter=status='active'"
    found = {name: unquote(value) for name, value in headers[2].items()}
    assert found["oauth_signature"] == by_oauthlib(moved, found, SECRET, "HMAC-SHA256")


def test_a_refused_signature_is_told_with_what_to_check() -> None:
    error = refused(lambda _: Answer(401, b"<html>"))
    assert (error.reason, error.retryable) == (Reason.CREDENTIALS_REJECTED, False)
    assert "signatureMethod" in error.next_step


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_refusal_by_another_clock_says_so(status: int, minutes: int) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    made = OAuth1(settings())
    error = made.refusal(Response(status, {"date": late}, b"", "https://sis.example.org/orgs"), Entity.ORGS)
    assert error is not None
    assert error.reason is Reason.CLOCK_SKEWED
    assert ("ahead" if minutes > 0 else "behind") in error.message


def test_a_collection_that_is_forbidden_is_no_matter_of_credentials() -> None:
    assert refused(lambda _: Answer(403)).reason is Reason.FORBIDDEN
    assert refused(lambda _: Answer(400)).reason is Reason.REQUEST_REFUSED
