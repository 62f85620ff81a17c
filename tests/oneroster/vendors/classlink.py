"""ClassLink: a district's Roster Server, which checks signatures; the proxy, which wants a key and an application."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.oneroster.fake_servers import Answer, Asked

from .dress import CLIENT_ID, CLIENT_SECRET, Vendor
from .signatures import Gatekeeper

V1P1 = "/ims/oneroster/v1p1"


class RosterServer(Vendor):
    """Signed requests only; a nonce is good once. `x-perm-rev` is said with each page."""

    bases: ClassVar[dict[str, str]] = {"1.1": V1P1}
    latest = "1.1"
    max_limit = 100
    permission_revision = "7"

    def __init__(self, *args: Any, methods: tuple[str, ...] = ("HMAC-SHA256", "HMAC-SHA1"), **more: Any) -> None:
        super().__init__(*args, **more)
        self.gatekeeper = Gatekeeper(CLIENT_ID, CLIENT_SECRET, methods)

    def spec(self) -> dict[str, Any]:
        return {"provider": "ClassLink", "endpoint": self.url, "auth": {"secretRef": {"name": "sis"}}}

    def admitted(self, asked: Asked) -> Answer | None:
        fault = self.gatekeeper.fault(asked, urlsplit(self.url).scheme)
        return None if fault is None else self.refuse(fault)

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
