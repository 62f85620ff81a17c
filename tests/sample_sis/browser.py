"""A client that does no more than a test needs: it fetches what it is told to and hides nothing."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from roster_sample_sis import SampleSIS, Version


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        body = gzip.decompress(self.body) if self.headers["Content-Encoding"] == "gzip" else self.body
        return json.loads(body)

    @property
    def records(self) -> list[dict[str, Any]]:
        ((_, records),) = self.json.items()
        return records

    @property
    def ids(self) -> list[str]:
        return [record["sourcedId"] for record in self.records]

    @property
    def total(self) -> int:
        return int(self.headers["X-Total-Count"])

    @property
    def links(self) -> dict[str, str]:
        return {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', self.headers.get("Link", ""))}


class Browser:
    """Speaks one version with a token for all of its scopes, over one connection."""

    def __init__(self, sis: SampleSIS, version: str = "1.1", *, context: ssl.SSLContext | None = None) -> None:
        self.sis = sis
        self.version = Version(version)
        self._context = context
        self.token = ""
        self.connect()

    def connect(self) -> None:
        address = urlsplit(self.sis.url)
        assert address.hostname
        assert address.port
        if self._context is None:
            self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        else:
            self._connection = http.client.HTTPSConnection(
                address.hostname, address.port, timeout=10, context=self._context
            )

    def send(self, method: str, target: str, body: str | None = None, headers: dict[str, str] | None = None) -> Reply:
        try:
            self._connection.request(method, target, body, headers or {})
            answer = self._connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def ask_token(
        self, scopes: tuple[str, ...] | None = None, *, secret: str = "", basic: bool = True, **form: str
    ) -> Reply:
        secret = secret or self.sis.client_secret
        fields = {
            "grant_type": "client_credentials",
            "scope": " ".join(self.version.scopes if scopes is None else scopes),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if basic:
            pair = f"{quote(self.sis.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            fields |= {"client_id": self.sis.client_id, "client_secret": secret}
        return self.send("POST", urlsplit(self.sis.token_url).path, urlencode(fields | form), headers)

    def sign_in(self, scopes: tuple[str, ...] | None = None) -> Browser:
        self.token = self.ask_token(scopes).json["access_token"]
        return self

    def get(self, path: str, headers: dict[str, str] | None = None, **query: object) -> Reply:
        if not self.token:
            self.sign_in()
        target = f"{self.version.path}/{path}" + (f"?{urlencode(query)}" if query else "")
        return self.send("GET", target, headers={"Authorization": f"Bearer {self.token}"} | (headers or {}))

    def every_id(self, path: str, limit: int, **query: object) -> list[str]:
        """All sourcedIds by offset, until a page is empty; 10,000 pages at most."""
        ids: list[str] = []
        for page in range(10_000):
            found = self.get(path, limit=limit, offset=page * limit, **query).ids
            if not found:
                break
            ids += found
        return ids
