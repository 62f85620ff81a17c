"""The only way to the API server: each request with the token of the person who asked.

Plain aiohttp, not the Kubernetes client: that one keeps an identity for all its requests, keeps the server's cookies,
and reads answers of any size. Here nothing that belongs to one person can reach the next one's request.
"""

from __future__ import annotations

import json
import ssl
from typing import Any

import aiohttp
from pydantic import ValidationError

from roster_operator.api.kinds import CONNECTION, SECRET, SYNC, Kind

from . import problems
from .resources import Connection, ConnectionPage, Resource, Sync, SyncPage, parse_all
from .settings import Settings

TIMEOUT = 15.0  # seconds, for one request
BODY_LIMIT = 32 * 1024 * 1024  # bytes of one answer: a page of the largest objects is less
PAGE = 250  # objects
# Not kubectl's own: Flux removes what a manager with a name like that has set.
FIELD_MANAGER = "roster-console"
_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_KINDS: dict[type[Connection | Sync], Kind] = {Connection: CONNECTION, Sync: SYNC}


class Cluster:
    """Acts as a person. Every method raises problems.Problem. Namespaces and names are checked by the caller."""

    def __init__(self, settings: Settings) -> None:
        self._server = settings.server
        context = ssl.create_default_context(cadata=settings.authority or None)
        self._ssl: ssl.SSLContext | bool = context if settings.server.startswith("https:") else True
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def person(self, token: str) -> str:
        """The name that the API server knows the token's owner by; empty where it does not tell."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        status, answer = await self._request("POST", _REVIEW, token, body=body)
        if status in (403, 404):
            return ""  # a cluster may withhold this from people, who may yet read what they may read
        try:
            return str(_usable(status, answer)["status"]["userInfo"]["username"])[:256]
        except (KeyError, TypeError):
            raise problems.strange() from None

    async def may(self, token: str, verb: str, kind: Kind, namespace: str, name: str = "") -> bool:
        """Whether the token's owner may do this. The API server is asked each time: rights are taken away, too."""
        attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "namespace": namespace, "name": name}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        status, answer = await self._request("POST", _ACCESS, token, body=body)
        if status in (403, 404):
            return False
        allowed = _usable(status, answer).get("status")
        return isinstance(allowed, dict) and allowed.get("allowed") is True

    async def change(self, kind: Kind, token: str, namespace: str, name: str, patch: dict[str, Any]) -> None:
        """A merge patch, as the person. Raises problems.Problem with what the API server refuses."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        status, answer = await self._request(
            "PATCH", kind.path(namespace, name), token, query=query, body=patch, content="application/merge-patch+json"
        )
        self._written(kind, namespace, "patch", status, answer, f"{kind.kind} {name} in the namespace {namespace}")

    async def create(self, kind: Kind, token: str, namespace: str, body: dict[str, Any], *, dry: bool = False) -> str:
        """A new object, as the person; its name. dry: only whether it would be taken."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry else {})
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        status, answer = await self._request("POST", kind.path(namespace), token, query=query, body=whole)
        self._written(kind, namespace, "create", status, answer, f"{kind.kind} in the namespace {namespace}")
        return str(answer["metadata"]["name"])

    @staticmethod
    def _written(kind: Kind, namespace: str, verb: str, status: int, answer: Any, what: str) -> None:
        if status == 403:
            raise problems.forbidden(verb, kind.plural, namespace)
        if status == 404:
            raise problems.not_found(what)
        if status == 409:
            raise problems.conflict(what)
        if status in (400, 422):
            # Of a Secret's refusal nothing is shown: it could hold a value. Of ours the fields are.
            raise problems.refused(what, "" if kind is SECRET else _fields_of(answer))
        _usable(status, answer)

    async def connections(
        self, token: str, namespace: str, limit: int = PAGE, following: str | None = None
    ) -> ConnectionPage:
        """A part of the namespace's connections."""
        bodies, rest = await self._list(Connection, token, namespace, limit, following)
        items, unreadable = parse_all(Connection, bodies)
        return ConnectionPage(items=items, unreadable=unreadable, following=rest)

    async def syncs(self, token: str, namespace: str, limit: int = PAGE, following: str | None = None) -> SyncPage:
        """A part of the namespace's syncs."""
        bodies, rest = await self._list(Sync, token, namespace, limit, following)
        items, unreadable = parse_all(Sync, bodies)
        return SyncPage(items=items, unreadable=unreadable, following=rest)

    async def connection(self, token: str, namespace: str, name: str) -> Connection:
        """One connection."""
        return await self._get(Connection, token, namespace, name)

    async def sync(self, token: str, namespace: str, name: str) -> Sync:
        """One sync."""
        return await self._get(Sync, token, namespace, name)

    async def _list(
        self, kind: type[Connection | Sync], token: str, namespace: str, limit: int, following: str | None
    ) -> tuple[list[Any], str | None]:
        plural = _KINDS[kind].plural
        query = {"limit": str(limit)} | ({"continue": following} if following else {})
        status, answer = await self._request("GET", _KINDS[kind].path(namespace), token, query=query)
        if status == 403:
            raise problems.forbidden("list", plural, namespace)
        if status == 404:
            raise problems.not_installed()
        if status in (400, 410) and following:
            raise problems.list_expired()
        body = _usable(status, answer)
        items, metadata = body.get("items"), body.get("metadata")
        if not isinstance(items, list):
            raise problems.strange()
        rest: Any = metadata.get("continue") if isinstance(metadata, dict) else None
        return items, rest if isinstance(rest, str) and rest else None

    async def _get(self, kind: type[Resource], token: str, namespace: str, name: str) -> Resource:
        plural = _KINDS[kind].plural
        what = f"{plural.removesuffix('s')} {name} in the namespace {namespace}"
        status, answer = await self._request("GET", _KINDS[kind].path(namespace, name), token)
        if status == 403:
            raise problems.forbidden("get", plural, namespace)
        if status == 404:
            raise problems.not_found(what)
        try:
            return kind.model_validate(_usable(status, answer))
        except ValidationError:
            raise problems.unreadable(what) from None  # pydantic's message would repeat values

    async def _request(
        self,
        method: str,
        path: str,
        token: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"], data = content, json.dumps(body).encode()
        session = self._session or self._open()
        try:
            async with session.request(
                method, self._server + path, params=query, data=data, headers=headers, allow_redirects=False
            ) as response:
                raw = bytearray()
                async for chunk in response.content.iter_chunked(64 * 1024):
                    raw += chunk
                    if len(raw) > BODY_LIMIT:
                        raise problems.strange()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise problems.unavailable() from None
        if status == 401:
            raise problems.token_rejected()
        if status in (429, 500, 503, 504):
            raise problems.unavailable()
        try:
            return status, json.loads(raw)
        except (ValueError, RecursionError):
            raise problems.strange() from None

    def _open(self) -> aiohttp.ClientSession:
        # Here and not in __init__, because aiohttp wants a running loop.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._ssl, limit=64),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            headers={"User-Agent": "roster-console"},
            trust_env=False,
        )
        return self._session


def _usable(status: int, answer: Any) -> dict[str, Any]:
    if status >= 300 or not isinstance(answer, dict):
        raise problems.strange()
    return answer


def _fields_of(answer: Any) -> str:
    """Which fields the API server refuses, and why, from its typed causes: short, printable, a few of them."""
    details: Any = answer.get("details") if isinstance(answer, dict) else None
    causes: Any = details.get("causes") if isinstance(details, dict) else None
    parts: list[str] = []
    for cause in causes[:4] if isinstance(causes, list) else []:
        if isinstance(cause, dict):
            text = f"{cause.get('field')}: {cause.get('message')}"
            parts.append("".join(letter if " " <= letter <= "~" else "?" for letter in text)[:200])
    return "; ".join(parts)
