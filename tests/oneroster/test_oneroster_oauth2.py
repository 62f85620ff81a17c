"""The token conversation, without a network."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs

import pytest

from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.http import Response
from roster_operator.oneroster.oauth2 import ClientCredentials, Style, Token, TokenRequest, exchange, scope_ladder

SECRET = "canary-secret-5f1c"
CORE = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly"


def said(status: int, body: Any = b"", **headers: str) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers, data, "https://sis.example.org/token")


OK = said(200, {"access_token": "abc", "token_type": "Bearer", "expires_in": 3600})


def talk(
    *answers: Response,
    ladder: Sequence[tuple[str, ...]] = (("one",),),
    style: Style | None = None,
    secret: str = SECRET,
) -> tuple[Token | OneRosterError, list[TokenRequest]]:
    conversation = exchange(ClientCredentials("my-id", secret), ladder, style)
    asked: list[TokenRequest] = []
    left = list(answers)
    try:
        request = next(conversation)
        while True:
            asked.append(request)
            request = conversation.send(left.pop(0))
    except StopIteration as done:
        return done.value, asked
    except OneRosterError as error:
        return error, asked


def form(request: TokenRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


def test_basic_comes_first_and_the_secret_is_not_in_the_body() -> None:
    token, asked = talk(OK)
    assert isinstance(token, Token)
    assert (token.value, token.lifetime, token.style) == ("abc", 3600, "basic")
    assert form(asked[0]) == {"grant_type": "client_credentials", "scope": "one"}
    assert base64.b64decode(asked[0].headers["Authorization"].split()[1]).decode() == f"my-id:{SECRET}"


@pytest.mark.parametrize(
    "refusal",
    [
        said(401),
        said(403),
        said(400, b"<html>no"),
        said(400, {"error": "invalid_client"}),
        said(200, {"error": "invalid_client"}),
    ],
)
def test_a_server_that_wants_the_body_gets_it(refusal: Response) -> None:
    token, asked = talk(refusal, OK)
    assert isinstance(token, Token)
    assert token.style == "body"
    assert "Authorization" not in asked[1].headers
    assert form(asked[1]) | {"client_id": "my-id", "client_secret": SECRET} == form(asked[1])


def test_the_way_that_worked_is_the_only_one_tried_again() -> None:
    token, asked = talk(said(401), style="body")
    assert isinstance(token, OneRosterError)
    assert len(asked) == 1


def test_a_secret_that_encoding_would_change_is_tried_both_ways() -> None:
    token, asked = talk(said(401), said(401), OK, secret="a+b/c=")
    assert isinstance(token, Token)
    shown = [base64.b64decode(request.headers["Authorization"].split()[1]).decode() for request in asked[:2]]
    assert shown == ["my-id:a+b/c=", "my-id:a%2Bb%2Fc%3D"]
    assert form(asked[2])["client_secret"] == "a+b/c="


def test_a_refused_scope_is_asked_for_narrower() -> None:
    token, asked = talk(said(400, {"error": "invalid_scope"}), OK, ladder=scope_ladder("1.2"))
    assert isinstance(token, Token)
    assert "demographics" in form(asked[0])["scope"]
    assert form(asked[1])["scope"] == CORE
    assert token.asked == (CORE,)


def test_every_scope_refused_is_told_so() -> None:
    refused = said(400, {"error": "invalid_scope"})
    error, asked = talk(*[refused] * 4, ladder=scope_ladder("1.1"))
    assert form(asked[-1])["scope"] == "roster-core.readonly"
    assert isinstance(error, OneRosterError)
    assert error.reason is Reason.SCOPE_MISSING


def test_both_ways_refused_is_a_rejected_client() -> None:
    error, asked = talk(said(401, {"error": "invalid_client"}), said(400, {"error": "invalid_request"}))
    assert isinstance(error, OneRosterError)
    assert (error.reason, len(asked), error.retryable) == (Reason.TOKEN_REJECTED, 2, False)
    assert "invalid_client" in error.message


def test_a_rejection_by_a_server_with_another_clock_says_so() -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(minutes=20))
    error, _ = talk(said(401, date=late), said(401, date=late))
    assert isinstance(error, OneRosterError)
    assert error.reason is Reason.CLOCK_SKEWED


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>sign in</html>", b"null", b"[]", b'"abc"', b"{", b"[" * 50_000, b"\xff\xfe",
        {}, {"access_token": None}, {"access_token": ""}, {"access_token": 5}, {"access_token": ["a"]},
        {"access_token": "a\nb"}, {"access_token": "a b"}, {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "\u00e9"}, {"access_token": "a" * 20_000}, {"access_token": "abc", "token_type": "mac"},
        {"access_token": "abc", "token_type": 5},
    ],
)  # fmt: skip
def test_what_is_no_token_is_malformed(body: Any) -> None:
    error, _ = talk(said(200, body))
    assert isinstance(error, OneRosterError)
    assert error.reason is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    ("came", "is_"),
    [(3600, 3600), ("3600", 3600), (1.5, 1.5), (None, None), (0, None), (-5, None), (1e300, 86_400), ("soon", None),
     (True, None), ([], None), ("nan", None), ("inf", None), (10**400, None)],
)  # fmt: skip
def test_lifetimes_in_every_spelling(came: Any, is_: float | None) -> None:
    body = json.dumps({"access_token": "abc", "expires_in": came}).encode()
    token, _ = talk(said(200, body))
    if isinstance(token, OneRosterError):  # JSON's numbers end where a float's do
        assert came == 10**400
        return
    assert token.lifetime == is_


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [(429, Reason.THROTTLED, True), (500, Reason.SERVER_ERROR, True), (503, Reason.SERVER_ERROR, True),
     (404, Reason.NOT_FOUND, False), (405, Reason.NOT_FOUND, False), (418, Reason.TOKEN_MALFORMED, False)],
)  # fmt: skip
def test_other_answers_are_told_apart(status: int, reason: Reason, retryable: bool) -> None:
    error, _ = talk(said(status, b"<html>", **{"retry-after": "7"}))
    assert isinstance(error, OneRosterError)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert error.retry_after == (7.0 if retryable else None)


def test_no_repr_shows_a_secret() -> None:
    token, asked = talk(said(401), OK)
    assert SECRET not in repr(asked)
    assert "abc" not in repr(token)
