"""The part of an OAuth 2 vendor that gives tokens."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from tests.oneroster.fake_servers import Answer, Asked

from .dress import CLIENT_ID, CLIENT_SECRET, Vendor


class TokenVendor(Vendor):
    """Tokens are good for what they were given for, until `expire`."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.granted: dict[str, list[str]] = {}
        self.issued = 0

    def expire(self) -> None:
        self.granted.clear()

    @staticmethod
    def by_basic(asked: Asked) -> bool:
        kind, _, value = asked.headers.get("authorization", "").partition(" ")
        return kind == "Basic" and base64.b64decode(value).decode() == f"{CLIENT_ID}:{CLIENT_SECRET}"

    def give(self, scope: str, scopes: tuple[str, ...], cookies: tuple[str, ...] = ()) -> Answer:
        """A token for the scopes that are known."""
        asked = scope.split()
        if not asked or not set(asked) <= set(scopes):
            return self.refuse("scope", 400, {"error": "invalid_scope"})
        token = secrets.token_urlsafe(16)
        self.granted[token] = asked
        self.issued += 1
        return Answer(200, {"access_token": token, "token_type": "bearer"}, cookies=cookies)

    def admitted(self, asked: Asked) -> Answer | None:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or token not in self.granted:
            return self.refuse("token", self.expired_status)
        wanted = "demographics" if asked.path.endswith("/demographics") else "core"
        if not any(wanted in scope for scope in self.granted[token]):
            return self.refuse("scope of the token", 403)
        return None


def standard_scopes(*versions: str, demographics: bool = True) -> tuple[str, ...]:
    """The standard's names for these versions."""
    kinds = ["roster-core.readonly", *(["roster-demographics.readonly"] if demographics else [])]
    return tuple(
        f"https://purl.imsglobal.org/spec/or/v{version.replace('.', 'p')}/scope/{kind}"
        for version in versions
        for kind in kinds
    )
