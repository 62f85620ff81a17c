"""A server by the standard, for the profile Generic."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import parse_qs

from tests.oneroster.fake_servers import Answer, Asked

from .oauth2 import TokenVendor, standard_scopes


class Standard(TokenVendor):
    bases: ClassVar[dict[str, str]] = {"1.2": "/ims/oneroster/rostering/v1p2", "1.1": "/ims/oneroster/v1p1"}
    latest = "1.2"

    def spec(self) -> dict[str, Any]:
        auth = {"tokenURL": f"{self.url}/oauth2/token", "secretRef": {"name": "sis"}}
        return {"provider": "Generic", "endpoint": self.url, "auth": auth}

    def outside(self, asked: Asked) -> Answer | None:
        if asked.path != "/oauth2/token":
            return None
        if not self.by_basic(asked):
            return self.refuse("client", 401, {"error": "invalid_client"})
        return self.give(parse_qs(asked.body.decode()).get("scope", [""])[0], standard_scopes(*self.versions))
