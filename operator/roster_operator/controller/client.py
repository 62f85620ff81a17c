"""The Kubernetes API, as this operator uses it: paths, plain dictionaries, a timeout on everything, and a count.

Bodies are plain dictionaries, not the client library's classes: they are parsed once, into our own types.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientError
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from roster_operator.api.kinds import Kind

from .metrics import Metrics
from .objects import Body

TIMEOUT = 30.0  # seconds, for one request
PAGE = 500  # objects in one page of a list
MERGE_PATCH = "application/merge-patch+json"
CLOCK_TOLERANCE = timedelta(seconds=5)  # a Date header has whole seconds, and an answer takes a while
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class ApiError(Exception):
    """The API server said no. `reason` is Kubernetes' own word, as NotFound or Conflict."""

    def __init__(self, status: int, reason: str, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes

    @property
    def gone(self) -> bool:
        """There is no such object."""
        return self.status == 404

    @property
    def exists(self) -> bool:
        """An object of this name exists already."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def conflict(self) -> bool:
        """Somebody else wrote in between."""
        return self.status == 409 and self.reason == "Conflict"

    @property
    def namespace_ends(self) -> bool:
        """The namespace is gone or being deleted, so nothing can be created in it."""
        return "NamespaceTerminating" in self.causes or (self.gone and "namespaces" in self.message)


class ApiUnavailable(Exception):  # noqa: N818  a state, as in `503 Service Unavailable`
    """The API server could not be reached, or did not answer in time."""


class Api:
    """Reads and writes objects. Every method that asks raises ApiError or ApiUnavailable."""

    _offset = timedelta()  # how much the API server's clock is ahead of this process's

    def __init__(self, client: ApiClient, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics

    @classmethod
    async def connect(cls, metrics: Metrics) -> Api:
        """With the pod's service account; outside a cluster with KUBECONFIG. Never a default context unasked."""
        configuration = Configuration()
        if _IN_CLUSTER.exists():  # noqa: ASYNC240  once, at the start
            config.load_incluster_config(client_configuration=configuration)
        elif os.environ.get("KUBECONFIG"):
            await config.load_kube_config(client_configuration=configuration)
        else:
            raise ApiUnavailable("neither a service account nor KUBECONFIG is there to say which cluster")
        client = ApiClient(configuration)
        client.user_agent = "roster-operator"
        return cls(client, metrics)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def now(self) -> datetime:
        """The time by the API server's clock, in whole seconds.

        Ages are told from what the cluster has stamped. By a clock of one's own that is an hour ahead, every Job would
        be overdue the moment it is created.
        """
        return (datetime.now(UTC) + self._offset).replace(microsecond=0)

    async def get(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """The object, or None."""
        try:
            return await self.request("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.gone:
                return None
            raise

    async def items(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Body]:
        """All objects, page by page."""
        query = {"limit": str(PAGE)}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        while True:
            page = await self.request("GET", kind.path(namespace), query=query)
            for item in page.get("items") or ():
                yield item
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def create(self, kind: Kind, body: Body) -> Body:
        """The object as it was stored."""
        return await self.request("POST", kind.path(body["metadata"]["namespace"]), body=body)

    async def replace(self, kind: Kind, body: Body) -> Body:
        """The object as it was stored. The body's resourceVersion guards against others' writes."""
        meta = body["metadata"]
        return await self.request("PUT", kind.path(meta["namespace"], meta["name"]), body=body)

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Body, *, subresource: str = "") -> Body:
        """A JSON merge patch; the object as it was stored."""
        path = kind.path(namespace, name, subresource)
        return await self.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Delete in the background. An object that is gone already is as good."""
        body: Body = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", kind.path(namespace, name), body=body)
        except ApiError as error:
            if not error.gone and error.status != 409:
                raise

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Body:
        """One request, counted."""
        prepared: Any = await self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._client.call_api(*prepared, _request_timeout=TIMEOUT)
            raw = await response.read()
        except (ClientError, TimeoutError, OSError) as error:
            self._metrics.requests.labels("<error>", method).inc()
            raise ApiUnavailable(f"{method} {path}: {type(error).__name__}") from error
        self._metrics.requests.labels(str(response.status), method).inc()
        self._compare_clocks(response.headers.get("Date"))
        answer = _parse(raw)
        if response.status >= 400:
            raise _error(response.status, answer)
        return answer

    def _compare_clocks(self, date: str | None) -> None:
        offset = _offset(date, datetime.now(UTC))
        # A known difference is not corrected by parts of a second: times would jump.
        if offset is not None and abs(offset - self._offset) > CLOCK_TOLERANCE:
            self._offset = offset
            self._metrics.clock_offset.set(offset.total_seconds())


def _offset(date: str | None, now: datetime) -> timedelta | None:
    """How much the clock that wrote this header is ahead; zero within the tolerance, None where it says nothing."""
    try:
        ahead = parsedate_to_datetime(date or "") - now
    except (ValueError, TypeError):
        return None
    return ahead if abs(ahead) > CLOCK_TOLERANCE else timedelta()


def _parse(raw: bytes) -> Body:
    try:
        answer: Any = json.loads(raw)
    except ValueError:
        return {"message": "not JSON"}
    return answer if isinstance(answer, dict) else {"message": "not an object"}


def _error(status: int, answer: Body) -> ApiError:
    details: Any = answer.get("details") or {}
    causes = tuple(str(cause.get("reason") or "") for cause in details.get("causes") or ())
    return ApiError(status, str(answer.get("reason") or "Unknown"), str(answer.get("message") or ""), causes)
