"""Infinite Campus: the form of a token request in the query, beside appName; a module that may not be licensed."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.oneroster.fake_servers import Answer, Asked

from .oauth2 import TokenVendor, standard_scopes


class InfiniteCampus(TokenVendor):
    bases: ClassVar[dict[str, str]] = {
        "1.2": "/campus/api/ims/oneroster/rostering/v1p2",
        "1.1": "/campus/api/ims/oneroster/v1p1",
    }
    latest = "1.2"
    max_limit = 5000
    app = "our app"

    def spec(self) -> dict[str, Any]:
        return {
            "provider": "InfiniteCampus",
            "endpoint": self.url,
            "auth": {"secretRef": {"name": "sis"}},
            "parameters": {"appName": self.app},
        }

    def outside(self, asked: Asked) -> Answer | None:
        if asked.path != "/campus/oauth2/token":
            return None
        if asked.query.get("appName") != self.app:
            return self.refuse("appName", 404)
        if not self.by_basic(asked):
            return self.refuse("client", 401, {"error": "invalid_client"})
        if asked.body or asked.query.get("grant_type") != "client_credentials":
            return self.refuse("form", 400, {"error": "invalid_request"})
        return self.give(asked.query.get("scope", ""), standard_scopes(*self.versions))
