"""The API server, as the commands use it: plain dictionaries, bounded in time and size, errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from kubernetes.client import ApiClient
from urllib3 import HTTPHeaderDict

from roster_operator import __version__
from roster_operator.api.kinds import POD, Kind

from . import kubeconfig, problems
from .problems import ClusterError

FIELD_MANAGER = "roster"  # never beginning with kubectl: Flux removes what such managers set
TIMEOUT = 20.0  # seconds, for one request
BODY_LIMIT = 64 * 1024 * 1024  # bytes of one answer
PAGE = 500  # objects
MERGE_PATCH = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

Body = dict[str, Any]


class Cluster:
    """One cluster, one person. Every method raises ClusterError."""

    def __init__(self, access: kubeconfig.Access, namespace: str | None = None) -> None:
        self.home = access.namespace  # the context's own namespace
        self.namespace = namespace or access.namespace
        self._access = access
        self._clock: datetime | None = None
        try:
            self._pool: urllib3.PoolManager = ApiClient(access.configuration).rest_client.pool_manager
        except OSError as error:
            raise ClusterError(
                "KubeconfigInvalid",
                f"A certificate or key of the kubeconfig cannot be read ({type(error).__name__}).",
                "See that its files are there and are PEM.",
            ) from None

    @classmethod
    def connect(cls, namespace: str | None, context: str | None, kubeconfig_file: Path | None) -> Cluster:
        """By the kubeconfig. Nothing is asked of the API server yet."""
        return cls(kubeconfig.load(kubeconfig_file, context), namespace)

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._access.configuration.host)

    @property
    def now(self) -> datetime:
        """The API server's clock, as of its last answer: ages are right on a computer whose clock is not."""
        return self._clock or datetime.now(UTC)

    @property
    def token(self) -> str:
        """The person's bearer token as a header has it; empty where the kubeconfig has a certificate or nothing."""
        return str(self._access.configuration.get_api_key_with_prefix("BearerToken") or "")

    def get(self, kind: Kind, name: str, namespace: str | None = None, accept: str = "application/json") -> Body:
        """One object. Raises NotThereError."""
        return self.request("GET", kind, namespace, name, accept=accept)

    def items(self, kind: Kind, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Iterator[Body]:
        """All objects, page by page."""
        query = {"limit": str(PAGE)}
        query |= {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = self.request("GET", kind, namespace, query=query)
            yield from page.get("items") or ()
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            query["continue"] = following

    def create(self, kind: Kind, body: Body, namespace: str | None = None) -> Body:
        """The object as it was stored."""
        return self.request("POST", kind, namespace, body=body, query={"fieldManager": FIELD_MANAGER})

    def patch(self, kind: Kind, name: str, namespace: str, patch: Body) -> Body:
        """A JSON merge patch; the object as it was stored."""
        query = {"fieldManager": FIELD_MANAGER}
        return self.request("PATCH", kind, namespace, name, body=patch, query=query, content_type=MERGE_PATCH)

    def log(self, namespace: str, pod: str, *, lines: int, limit: int = 1024 * 1024) -> str:
        """The end of a pod's log."""
        query = {"tailLines": str(lines), "limitBytes": str(limit)}
        status, raw = self._send("GET", POD.path(namespace, pod, "log"), query, None, {"Accept": "*/*"})
        if status >= 300:
            raise self._error(status, raw, "GET", POD, namespace, pod, "log")
        return raw.decode("utf-8", "replace")

    def person(self) -> str:
        """The name that the API server knows the person by; empty where it does not tell."""
        review = Kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview")
        try:
            answer = self.create(review, {"apiVersion": "authentication.k8s.io/v1", "kind": review.kind})
        except (problems.ForbiddenError, problems.NotInstalledError):
            return ""
        return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")

    def may(self, verb: str, kind: Kind, namespace: str | None, sub: str = "") -> bool:
        """Whether the person may do that."""
        review = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
        attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "namespace": namespace or ""}
        attributes |= {"subresource": sub} if sub else {}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": review.kind}
        answer = self.create(review, {**body, "spec": {"resourceAttributes": attributes}})
        return bool((answer.get("status") or {}).get("allowed"))

    def served(self, group: str) -> list[str]:
        """The versions of an API group that are served, by discovery."""
        status, raw = self._send("GET", f"/apis/{quote(group, safe='')}", {}, None, {"Accept": "application/json"})
        return [str(one.get("version")) for one in _parsed(raw).get("versions") or ()] if status < 300 else []

    def version(self) -> str:
        """The API server's version."""
        status, raw = self._send("GET", "/version", {}, None, {"Accept": "application/json"})
        return problems.printable(str(_parsed(raw).get("gitVersion") or "")) if status < 300 else ""

    def request(
        self,
        method: str,
        kind: Kind,
        namespace: str | None = None,
        name: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Body:
        """One request about one resource."""
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        sent = None if body is None else json.dumps(body).encode()
        status, raw = self._send(method, kind.path(namespace, name), query or {}, sent, headers)
        if status >= 300:
            raise self._error(status, raw, method, kind, namespace, name)
        return _parsed(raw)

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        sent = HTTPHeaderDict(headers)
        sent["User-Agent"] = f"roster/{__version__}"
        if token := self.token:  # asked for each time: that renews what a plugin gave
            sent["Authorization"] = token
        for key, value in self._access.impersonation:
            sent.add(key, value)
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._pool.request(
                method, url, body=body, headers=sent, timeout=TIMEOUT, retries=False, redirect=False,
                preload_content=False,
            )  # fmt: skip
            try:
                raw = answer.read(BODY_LIMIT + 1)
            finally:
                answer.release_conn()
        except urllib3.exceptions.SSLError:
            raise ClusterError(
                "ClusterUntrusted",
                f"The certificate of the API server {self.server} and this kubeconfig do not trust each other.",
                "Fetch the kubeconfig again from whoever runs the cluster.",
            ) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise problems.unreachable(self.server, type(error).__name__) from None
        if len(raw) > BODY_LIMIT:
            raise ClusterError("AnswerTooLarge", "The API server's answer is too large.", "Name one namespace with -n.")
        self._clock = _date(answer.headers.get("Date")) or self._clock
        return answer.status, raw

    def _error(
        self,
        status: int,
        raw: bytes,
        method: str,
        kind: Kind,
        namespace: str | None,
        name: str | None,
        sub: str = "",
    ) -> ClusterError:
        said = _parsed(raw)
        message = problems.printable(str(said.get("message") or ""))
        verb = {"GET": "get" if name else "list", "POST": "create", "PATCH": "patch"}.get(method, method.lower())
        what = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
        what += f"/{sub}" if sub else ""
        if status == 401:
            return ClusterError(
                "NotSignedIn",
                "The API server does not accept the kubeconfig's credentials.",
                "Log in again; `kubectl auth whoami` says whether it worked.",
            )
        if status == 403 and "cannot" in message:
            return problems.forbidden(verb, what, namespace)
        if status in (403, 422) or (status == 400 and "denied" in message):
            return ClusterError("Refused", f"The cluster refuses that: {message}", "Correct what it names.")
        if status == 404 and said.get("kind") == "Status" and (said.get("details") or {}).get("name") and name:
            return problems.not_there(kind.kind, name, namespace or "", ())
        if status == 404 and said.get("kind") == "Status" and (said.get("details") or {}).get("kind") == "namespaces":
            return ClusterError("NamespaceUnknown", f"There is no namespace {namespace}.", "Name another with -n.")
        if status == 404:
            return problems.not_installed(what)
        if status == 409 and said.get("reason") == "AlreadyExists":
            return ClusterError("NameTaken", f"The {kind.kind} exists already.", "Give another name with --name.")
        if status == 409:
            return ClusterError("Conflict", "Somebody else changed it at the same moment.", "Run it again.")
        return ClusterError(
            "ClusterUnavailable", f"The API server answered {status}. {message}".strip(), "Run it again in a minute."
        )


def _parsed(raw: bytes) -> Body:
    try:
        answer: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None
