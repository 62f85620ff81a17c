"""ClassLink: a district's Roster Server, which checks signatures; the proxy, which wants a key and an application."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from oauthlib.oauth1.rfc5849 import signature as rfc5849
from tests.oneroster.fake_servers import Answer, Asked

from .dress import CLIENT_ID, CLIENT_SECRET, Vendor

V1P1 = "/ims/oneroster/v1p1"


class _Client:
    client_secret = CLIENT_SECRET
    resource_owner_secret = ""


_SIGN = {"HMAC-SHA256": rfc5849.sign_hmac_sha256_with_client, "HMAC-SHA1": rfc5849.sign_hmac_sha1_with_client}


class RosterServer(Vendor):
    """Signed requests only; a nonce is good once. `x-perm-rev` is said with each page."""

    bases: ClassVar[dict[str, str]] = {"1.1": V1P1}
    latest = "1.1"
    max_limit = 100
    permission_revision = "7"

    def __init__(self, *args: Any, methods: tuple[str, ...] = ("HMAC-SHA256", "HMAC-SHA1"), **more: Any) -> None:
        super().__init__(*args, **more)
        self.methods = methods
        self.nonces: set[str] = set()

    def spec(self) -> dict[str, Any]:
        return {"provider": "ClassLink", "endpoint": self.url, "auth": {"secretRef": {"name": "sis"}}}

    def admitted(self, asked: Asked) -> Answer | None:
        kind, _, rest = asked.headers.get("authorization", "").partition(" ")
        given = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', rest)}
        if kind != "OAuth" or given.get("oauth_consumer_key") != CLIENT_ID:
            return self.refuse("client")
        if given.get("oauth_signature_method") not in self.methods:
            return self.refuse("method")
        if abs(int(given["oauth_timestamp"]) - time.time()) > 300:
            return self.refuse("timestamp")
        if given["oauth_nonce"] in self.nonces:
            return self.refuse("nonce")
        self.nonces.add(given["oauth_nonce"])
        query = parse_qsl(urlsplit(asked.target).query, keep_blank_values=True)
        signed = [
            (name, value) for name, value in given.items() if name.startswith("oauth_") and name != "oauth_signature"
        ]
        base = rfc5849.signature_base_string(
            asked.method,
            rfc5849.base_string_uri(f"{urlsplit(self.url).scheme}://{asked.headers['host']}{asked.target}"),
            rfc5849.normalize_parameters([*query, *signed]),
        )
        made = _SIGN[given["oauth_signature_method"]](base, _Client())
        return None if made == given.get("oauth_signature") else self.refuse("signature")

    def dressed(self, answer: Answer, asked: Asked) -> Answer:
        answer.headers |= {"x-count": "1", "x-perm-rev": self.permission_revision}
        return answer


class Proxy(Vendor):
    """A static key, and the application in the path."""

    application = "MoYPlyQWmG0%3D"
    bases: ClassVar[dict[str, str]] = {"1.1": f"/{application}{V1P1}"}
    key = "canary-key-19c2"
    latest = "1.1"
    max_limit = 1000

    def spec(self) -> dict[str, Any]:
        return {
            "provider": "ClassLink",
            "endpoint": self.url,
            "auth": {"type": "Bearer", "secretRef": {"name": "sis"}},
            "parameters": {"applicationID": self.application},
        }

    def held(self) -> dict[str, str]:
        return {"token": self.key}

    def expire(self) -> None:
        self.key = "another-key"

    def admitted(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("authorization") == f"Bearer {self.key}" else self.refuse("key")
