"""Synergy: credentials in the form, and a session in cookies that has to come back with every later call."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qs

from tests.oneroster.fake_servers import Answer, Asked

from .dress import CLIENT_ID, CLIENT_SECRET
from .oauth2 import TokenVendor, standard_scopes


class Synergy(TokenVendor):
    bases: ClassVar[dict[str, str]] = {
        "1.2": "/OneRoster/ims/oneroster/rostering/v1p2",
        "1.1": "/OneRoster/ims/oneroster/v1p1",
    }
    latest = "1.2"
    cookies = ("ASP.NET_SessionId=a1b2c3; path=/; HttpOnly", "Affinity=node-7; Path=/; Secure; SameSite=Lax")
    demographics = True

    def spec(self) -> dict[str, Any]:
        auth = {"tokenURL": f"{self.url}/Authentication/token", "secretRef": {"name": "sis"}}
        return {"provider": "Synergy", "endpoint": f"{self.url}/OneRoster", "auth": auth}

    def outside(self, asked: Asked) -> Answer | None:
        if asked.path != "/Authentication/token":
            return None
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if "authorization" in asked.headers or form.get("grant_type") != "client_credentials":
            return self.refuse("form", 400, {"error": "invalid_request"})
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return self.refuse("client", 400, {"error": "invalid_client"})
        scopes = standard_scopes(*self.versions, demographics=self.demographics)
        return self.give(form.get("scope", ""), scopes, self.cookies)

    def admitted(self, asked: Asked) -> Answer | None:
        if asked.headers.get("cookie") != "ASP.NET_SessionId=a1b2c3; Affinity=node-7":
            return self.refuse("cookies")
        return super().admitted(asked)
