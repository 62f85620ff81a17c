"""What all vendors' servers share: the sample district behind another front."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, urlencode

from tests.oneroster.fake_servers import Answer, Asked, FakeServer, Serving

from roster_sample_sis import District, SampleSIS
from roster_sample_sis.renderings import Version
from roster_sample_sis.servers import DEFAULT_LIMIT

CLIENT_ID = "vendor-client"
CLIENT_SECRET = "canary s3cret/+&='é"
HTML = b"<!DOCTYPE html><title>Sign in</title>"


class Vendor:
    """A server of one vendor. `spec` is what an administrator writes into spec.api; `held` is the Secret.

    forbidden: collections that answer 403. licensed: whether there is anything under the base path. `expire` ends
    whatever was given out; `expired_status` is what is answered then. `trouble` may answer in place of the server.
    """

    latest: str  # version
    bases: ClassVar[dict[str, str]]  # version and path
    max_limit = 10_000

    def __init__(self, district: District, versions: tuple[str, ...], serving: Serving = Serving()) -> None:  # noqa: B008
        self.versions = versions
        self._sis = SampleSIS(district, [Version(version) for version in versions], max_limit=self.max_limit)
        self._fake = FakeServer(self._respond, serving=serving)
        self.url = self._fake.url  # where an administrator says that it is
        self.forbidden: set[str] = set()
        self.licensed = True
        self.expired_status = 401
        self.refusals: list[str] = []
        self.after: dict[int, Callable[[], None]] = {}
        self.trouble: Callable[[Asked], Answer | None] = lambda _: None
        self.pages = 0

    @property
    def asked(self) -> list[Asked]:
        return self._fake.asked

    def __enter__(self) -> Self:
        self._fake.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._fake.__exit__(*problem)
        self._sis.stop()

    def spec(self) -> dict[str, Any]:
        raise NotImplementedError

    def held(self) -> dict[str, str]:
        return {"client-id": CLIENT_ID, "client-secret": CLIENT_SECRET}

    def outside(self, asked: Asked) -> Answer | None:
        """An answer to what is no collection: the token request, say."""
        return None

    def admitted(self, asked: Asked) -> Answer | None:
        """None lets a request to a collection in; else the refusal."""
        raise NotImplementedError

    def refuse(self, why: str, status: int = 401, body: Any = HTML) -> Answer:
        """A refusal, and for tests the reason of it, which the client never gets."""
        self.refusals.append(why)
        return Answer(status, body)

    def _respond(self, asked: Asked) -> Answer:
        if (found := self.outside(asked)) is not None:
            return found
        for version, base in self.bases.items():
            head, _, collection = asked.path.rpartition("/")
            if version in self.versions and head == base and self.licensed:
                if (act := self.after.pop(self.pages, None)) is not None:
                    act()
                if (found := self.trouble(asked)) is not None:
                    return found
                if (refusal := self.admitted(asked)) is not None:
                    return refusal
                if collection in self.forbidden:
                    return Answer(403, {"error": "forbidden"})
                self.pages += 1
                return self.dressed(self._records(Version(version), collection, asked), asked)
        return Answer(404, HTML)

    def dressed(self, answer: Answer, asked: Asked) -> Answer:
        """The answer with this vendor's headers."""
        return answer

    def _records(self, version: Version, collection: str, asked: Asked) -> Answer:
        sis = self._sis
        form = urlencode({
            "grant_type": "client_credentials", "scope": " ".join(version.scopes),
            "client_id": sis.client_id, "client_secret": sis.client_secret,
        })  # fmt: skip
        token = json.loads(b"".join(sis.tokens.answer({}, form.encode()).body))["access_token"]
        query = {"limit": str(DEFAULT_LIMIT), **dict(parse_qsl(asked.target.partition("?")[2]))}
        found = sis.handle(
            "GET", f"{version.path}/{collection}?{urlencode(query)}", {"authorization": f"Bearer {token}"}, b""
        )
        headers = {name: value for name, value in found.headers.items() if name in ("X-Total-Count", "Content-Type")}
        return Answer(found.status, b"".join(bytes(part) for part in found.body), headers)
