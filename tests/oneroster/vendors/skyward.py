"""Skyward SMS 2.0: OneRoster 1.1 under a path of the API server, tokens by HTTP Basic for short scope names."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qs

from tests.oneroster.fake_servers import Answer, Asked

from .oauth2 import TokenVendor


class Skyward(TokenVendor):
    bases: ClassVar[dict[str, str]] = {"1.1": "/API/ims/oneroster/v1p1"}
    latest = "1.1"

    def spec(self) -> dict[str, Any]:
        auth = {"tokenURL": f"{self.url}/API/tokens", "secretRef": {"name": "sis"}}
        return {"provider": "SkywardSMS", "endpoint": f"{self.url}/API", "auth": auth}

    def outside(self, asked: Asked) -> Answer | None:
        if asked.path != "/API/tokens":
            return None
        if not self.by_basic(asked):
            return self.refuse("client", 401, {"error": "invalid_client"})
        scope = parse_qs(asked.body.decode()).get("scope", [""])[0]
        return self.give(scope, ("roster-core.readonly", "roster-demographics.readonly"))
