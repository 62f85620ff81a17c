"""The server's side of OAuth 1, by another implementation of RFC 5849 than the one under test."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from urllib.parse import parse_qsl, unquote, urlsplit

from oauthlib.oauth1.rfc5849 import signature as rfc5849
from tests.oneroster.fake_servers import Asked

METHODS = {"HMAC-SHA256": rfc5849.sign_hmac_sha256_with_client, "HMAC-SHA1": rfc5849.sign_hmac_sha1_with_client}


class Gatekeeper:
    """Checks each request; a nonce is good once, a timestamp for five minutes."""

    def __init__(self, client_id: str, client_secret: str, methods: Collection[str] = tuple(METHODS)) -> None:
        self._client_id = client_id
        self.client_secret = client_secret
        self.resource_owner_secret = ""
        self._methods = methods
        self.nonces: set[str] = set()

    def fault(self, asked: Asked, scheme: str = "http") -> str | None:
        """What is wrong with a request, in one word; None lets it in."""
        kind, _, rest = asked.headers.get("authorization", "").partition(" ")
        given = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', rest)}
        if kind != "OAuth" or given.get("oauth_consumer_key") != self._client_id:
            return "client"
        if given.get("oauth_signature_method") not in self._methods:
            return "method"
        if abs(int(given["oauth_timestamp"]) - time.time()) > 300:
            return "timestamp"
        if given["oauth_nonce"] in self.nonces:
            return "nonce"
        self.nonces.add(given["oauth_nonce"])
        query = parse_qsl(urlsplit(asked.target).query, keep_blank_values=True)
        own = [(name, value) for name, value in given.items() if name.startswith("oauth_")]
        signed = [pair for pair in [*query, *own] if pair[0] != "oauth_signature"]
        base = rfc5849.signature_base_string(
            asked.method,
            rfc5849.base_string_uri(f"{scheme}://{asked.headers['host']}{asked.target}"),
            rfc5849.normalize_parameters(signed),
        )
        made = METHODS[given["oauth_signature_method"]](base, self)
        return None if made == given.get("oauth_signature") else "signature"
