"""What the console takes from an identity provider and what it refuses, a real one's and what a real one never gives.

The provider here is a server of a few lines, over TLS, that gives whatever a test tells it to.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from roster_operator.console import oidc, oidc_problems, oidc_wire, renewing
from roster_operator.console.oidc import Attempt, Provider
from roster_operator.console.oidc_settings import Oidc
from roster_operator.console.problems import Problem
from roster_operator.console.renewing import RenewingSessions
from roster_operator.console.sessions import SessionsInMemory, SignedIn

BEGUN = Attempt("state", "nonce", "verifier" * 6)
KEY, STRANGER = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
_HS256 = b'{"alg":"HS256","kid":"one"}'
CANARY = "canary-4711"
DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "sign-in-by-openid-connect.md"


class Forger:
    """A provider that is told what to say. `answers`: by path, a body or a whole answer."""

    def __init__(self) -> None:
        self.issuer = ""
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []
        self.metadata: dict[str, Any] = {}

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        all_of_them = {"iss": self.issuer, "sub": "ada", "aud": "console", "iat": now, "exp": now + 600}
        return {k: v for k, v in (all_of_them | {"nonce": BEGUN.nonce} | changed).items() if v is not None}

    def token(self, key: Any = KEY, algorithm: str = "RS256", **changed: Any) -> str:
        header = {"alg": algorithm, "kid": "one"}
        return jwt.encode(header, self.claims(**changed), key, algorithms=[algorithm])

    def give(self, token: str, **more: Any) -> None:
        self.answers["/token"] = {"id_token": token, "access_token": "a", "token_type": "Bearer"} | more

    async def answer(self, request: web.Request) -> web.StreamResponse:
        sent = parse_qs((await request.read()).decode())
        self.asked.append((request.path, sent, request.headers.get("Authorization", "")))
        found = self.answers[request.path]
        if callable(found):
            found = await found()
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)


@pytest.fixture
async def forger() -> AsyncIterator[tuple[Forger, Provider]]:
    authority, one = trustme.CA(), Forger()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    one.issuer = f"https://localhost:{port}"
    names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
    one.metadata = {"issuer": one.issuer} | {name: f"{one.issuer}/{path}" for name, path in names.items()}
    one.answers = {
        "/.well-known/openid-configuration": one.metadata,
        "/keys": {"keys": [KEY.as_dict(private=False)]},
    }
    settings = Oidc(one.issuer, "console", "https://console.test", "s:ö", authority=authority.cert_pem.bytes().decode())
    provider = Provider(settings)
    yield one, provider
    await provider.close()
    await runner.cleanup()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def symmetric(claims: dict[str, Any], secret: bytes) -> str:
    signed = f"{encoded(_HS256)}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


Forged = tuple[Forger, Provider]


async def reason(work: Any) -> str:
    with pytest.raises(Problem) as refused:
        await work
    body = refused.value.body
    assert body.message.endswith(".")
    assert body.next.endswith(".")
    assert CANARY not in json.dumps(body.to_dict())
    return body.reason


async def test_a_good_token_is_taken(forger: Forged) -> None:
    one, provider = forger
    one.give(one.token(), refresh_token="r1")
    tokens = await provider.exchange("code", BEGUN)
    assert (tokens.subject, tokens.refresh) == ("ada", "r1")
    assert tokens.id_token not in repr(tokens)
    path, sent, authorization = one.asked[1]
    assert path == "/token"
    assert sent["code_verifier"] == [BEGUN.verifier]
    assert sent["redirect_uri"] == ["https://console.test/login/callback"]
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == "console:s%3A%C3%B6"
    assert "client_secret" not in sent


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"aud": "another"}, "IdentityTokenInvalid"),
        ({"aud": None}, "IdentityTokenInvalid"),
        ({"aud": ["console", "another"]}, "IdentityTokenInvalid"),  # and no azp
        ({"aud": ["console", "another"], "azp": "another"}, "IdentityTokenInvalid"),
        ({"iss": "https://evil.example"}, "IdentityTokenInvalid"),
        ({"iss": None}, "IdentityTokenInvalid"),
        ({"nonce": "of-another-sign-in"}, "IdentityTokenInvalid"),
        ({"nonce": None}, "IdentityTokenInvalid"),
        ({"sub": None}, "IdentityTokenInvalid"),
        ({"sub": ""}, "IdentityTokenInvalid"),
        ({"sub": ["ada"]}, "IdentityTokenInvalid"),
        ({"exp": None}, "IdentityTokenInvalid"),
        ({"exp": "never"}, "IdentityTokenInvalid"),
        ({"exp": True}, "IdentityTokenInvalid"),
        ({"exp": 10**400}, "IdentityTokenInvalid"),
        ({"iat": None}, "IdentityTokenInvalid"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "IdentityTokenInvalid"),
        ({"at_hash": [1]}, "IdentityTokenInvalid"),
        ({"azp": ["console"]}, "IdentityTokenInvalid"),
        ({"aud": {"console": 1}}, "IdentityTokenInvalid"),
        ({"auth_time": "noon"}, "IdentityTokenInvalid"),
        ({"exp": float("inf")}, "IdentityTokenInvalid"),
        ({"exp": int(time.time()) - 600}, "IdentityTokenExpired"),
        ({"nbf": int(time.time()) + 600}, "IdentityTokenNotYetGood"),
        ({"iat": int(time.time()) + 600}, "IdentityTokenNotYetGood"),
    ],
    ids=lambda each: str(each)[:60],
)
async def test_a_token_for_somebody_or_some_time_else_is_refused(
    forger: Forged, changed: dict[str, Any], expected: str
) -> None:
    one, provider = forger
    one.give(one.token(**changed))
    assert await reason(provider.exchange("code", BEGUN)) == expected


async def test_clocks_may_differ_a_little(forger: Forged) -> None:
    one, provider = forger
    now = int(time.time())
    for skew in (-oidc.LEEWAY + 5, oidc.LEEWAY - 5):
        one.give(one.token(iat=now + skew, nbf=now + skew, exp=now + 20 + skew))
        assert await provider.exchange("code", BEGUN)


async def test_a_signature_that_is_not_the_providers_is_refused(forger: Forged) -> None:
    one, provider = forger
    good = one.token()
    head, body, signature = good.split(".")
    none = encoded(b'{"alg":"none"}')
    for token in (
        one.token(STRANGER),
        symmetric(one.claims(), KEY.as_pem(private=False)),  # the public key taken for a shared secret
        symmetric(one.claims(), "s:ö".encode()),  # the client's secret
        f"{head}.{encoded(b'[' * 100_000)}.{signature}",
        f"{none}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}",
        "",
        "a.b.c",
        "…",
        good + CANARY,
    ):
        one.give(token)
        assert await reason(provider.exchange("code", BEGUN)) == "IdentityTokenInvalid", token


async def test_keys_that_were_changed_are_read_again_and_made_up_ones_cause_no_flood(
    forger: Forged, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, provider = forger
    one.give(one.token())
    await provider.exchange("code", BEGUN)
    one.give(one.token(STRANGER))
    for _ in range(5):
        await reason(provider.exchange("code", BEGUN))
    assert [path for path, _, _ in one.asked].count("/keys") == 1
    monkeypatch.setattr(oidc, "_CALM", 0.0)
    one.answers["/keys"] = {"keys": [STRANGER.as_dict(private=False)]}
    assert await provider.exchange("code", BEGUN)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"access_token": "a"}, "IdentityTokenMissing"),
        ({"id_token": 7}, "IdentityTokenMissing"),
        ([CANARY], "IdentityProviderAnswerUnusable"),
        (web.Response(text=f"<html>{CANARY}", content_type="text/html"), "IdentityProviderAnswerUnusable"),
        (web.Response(body=b"[" * 100_000), "IdentityProviderAnswerUnusable"),
        (web.Response(body=b" " * (oidc_wire._LIMIT + 1)), "IdentityProviderAnswerUnusable"),
        (web.Response(body=b""), "IdentityProviderAnswerUnusable"),
        (web.Response(status=302, headers={"Location": "https://evil.example/"}), "IdentityProviderAnswerUnusable"),
        (web.Response(status=503, text=CANARY), "IdentityProviderUnavailable"),
        (web.Response(status=429), "IdentityProviderUnavailable"),
        (web.json_response({"error": "invalid_grant", "error_description": CANARY}, status=400), "SignInEnded"),
        (web.json_response({"error": "invalid_client"}, status=401), "IdentityClientRefused"),
        (web.json_response({"error": [CANARY]}, status=400), "IdentityClientRefused"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_an_answer_that_makes_no_sense_is_told_apart(forger: Forged, body: Any, expected: str) -> None:
    one, provider = forger

    async def fresh() -> Any:
        if isinstance(body, web.Response):  # an answer can be sent once
            return web.Response(body=body.body, status=body.status, headers=body.headers)
        return body

    one.answers["/token"] = fresh
    assert await reason(provider.exchange("code", BEGUN)) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://evil.example/auth"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": 7},
    ],
    ids=str,
)
async def test_metadata_that_leads_astray_are_not_followed(forger: Forged, changed: dict[str, Any]) -> None:
    one, provider = forger
    one.metadata |= changed
    assert await reason(provider.where_to_sign_in(BEGUN)) == "IdentityProviderAnswerUnusable"


async def test_a_certificate_of_somebody_else_is_refused(forger: Forged) -> None:
    _, provider = forger
    stranger = Oidc(
        provider.settings.issuer, "console", "https://console.test", authority=trustme.CA().cert_pem.bytes().decode()
    )
    other = Provider(stranger)
    assert await reason(other.where_to_sign_in(BEGUN)) == "IdentityProviderUntrusted"
    await other.close()


async def test_nothing_is_waited_for_without_end(forger: Forged, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = forger
    monkeypatch.setattr(oidc_wire, "TIMEOUT", 0.2)
    settings = forger[1].settings
    provider = Provider(settings)
    one.answers["/.well-known/openid-configuration"] = lambda: asyncio.sleep(3, one.metadata)
    assert await reason(provider.where_to_sign_in(BEGUN)) == "IdentityProviderUnavailable"
    await provider.close()


async def test_a_public_client_and_one_that_sends_its_secret_in_the_form(forger: Forged) -> None:
    one, provider = forger
    one.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    one.give(one.token())
    await provider.exchange("code", BEGUN)
    _, sent, authorization = next(each for each in one.asked if each[0] == "/token")
    assert (sent["client_id"], sent["client_secret"], authorization) == (["console"], ["s:ö"], "")


class Renewed:
    """Sessions in front of the forger, with one person who came by it, and a clock that is set by hand."""

    def __init__(self, provider: Provider) -> None:
        self.now = time.time()
        self.inner = SessionsInMemory()
        self.sessions = RenewingSessions(self.inner, provider, lambda: self.now)
        self.identity = ""

    async def begin(self, refresh: str = "r1") -> None:
        by = SignedIn(refresh, self.now + 600, "ada")
        self.identity = await self.sessions.begin("first", "ada", ("k12",), by)

    async def token(self) -> str | None:
        found = await self.sessions.find(self.identity)
        return found.token if found else None


async def test_a_session_is_renewed_once_and_not_before_it_is_due(forger: Forged) -> None:
    one, provider = forger
    here = Renewed(provider)
    await here.begin()
    assert await here.token() == "first"
    assert not one.asked
    new = one.token(nonce=None, exp=int(here.now) + 1200)
    one.give(new, refresh_token="r2")
    here.now += 600 - renewing.EARLY + 1
    assert await asyncio.gather(*(here.token() for _ in range(8))) == [new] * 8
    tokens = [sent for path, sent, _ in one.asked if path == "/token"]
    assert [(sent["grant_type"], sent["refresh_token"]) for sent in tokens] == [(["refresh_token"], ["r1"])]


async def test_a_session_that_the_provider_ended_is_over(forger: Forged) -> None:
    one, provider = forger
    here = Renewed(provider)
    await here.begin()
    one.answers["/token"] = web.json_response({"error": "invalid_grant"}, status=400)
    here.now += 599
    assert await here.token() is None
    assert await here.inner.find(here.identity) is None


async def test_another_replica_that_was_faster_ends_nothing(forger: Forged) -> None:
    one, provider = forger
    here = Renewed(provider)
    await here.begin()
    found = await here.inner.find(here.identity)
    assert found

    async def meanwhile() -> web.Response:
        faster = type(found)("by-the-other", *list(vars(found).values())[1:-2], here.now + 600, "ada")
        asyncio.get_running_loop().call_later(
            0.3, lambda: asyncio.ensure_future(here.inner.renew(here.identity, faster))
        )
        return web.json_response({"error": "invalid_grant"}, status=400)

    one.answers["/token"] = meanwhile
    here.now += 599
    assert await here.token() == "by-the-other"


async def test_a_provider_that_is_down_is_not_asked_at_every_request(forger: Forged) -> None:
    one, provider = forger
    here = Renewed(provider)
    await here.begin()
    one.answers["/token"] = lambda: asyncio.sleep(0, web.Response(status=503))
    here.now += 580
    for _ in range(5):
        assert await here.token() == "first", "the token is good for 20 more seconds"
    assert [path for path, _, _ in one.asked].count("/token") == 1
    here.now += 21
    assert await reason(here.token()) == "IdentityProviderUnavailable"
    # Nobody was signed out: when the provider is back, it goes on.
    new = one.token(nonce=None, exp=int(here.now) + 600)
    one.give(new)
    assert await here.token() == new


async def test_a_renewed_token_of_another_person_is_refused(forger: Forged) -> None:
    one, provider = forger
    one.give(one.token(nonce=None, sub="eve"))
    assert await reason(provider.refresh("r1", "ada")) == "IdentityTokenInvalid"


async def test_without_a_refresh_token_the_session_ends_with_its_token(forger: Forged) -> None:
    one, provider = forger
    here = Renewed(provider)
    await here.begin(refresh="")
    here.now += 590
    assert await here.token() == "first"
    here.now += 11
    assert await here.token() is None
    assert not one.asked


def test_the_page_of_help_names_every_reason_and_no_other() -> None:
    source, page = (
        Path(oidc_problems.__file__).read_text(),
        DOCS.read_text(),
    )
    rows = [line.split("|")[1] for line in page.partition("| reason |")[2].splitlines() if line.startswith("| `")]
    named = re.findall(r'Problem\(\s*\d+,\s*"(\w+)"', source)
    assert len(named) > 10
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(named)
