"""The console's JSON API, as the commands use it: whatever touches records goes through it, with the person's token.

Not through the API server's service proxy: that one takes the Authorization header away before it passes a request on,
and so the token that the console needs.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from roster_operator import __version__

from . import problems
from .access import Body, Cluster
from .problems import ClusterError

TIMEOUT = 60.0  # seconds, for one request: a page of records of a large district
LONG = 600.0  # seconds: the console reads a bundle through before it answers
BODY_LIMIT = 64 * 1024 * 1024  # bytes of one answer
PAGE = 500  # records of one answer: the console's own bound
_PORT_FORWARD = "Give --console; `roster console` says how to reach it."


class Console:
    """One console, one person. Every method raises ClusterError."""

    def __init__(self, address: str | None, cluster: Cluster) -> None:
        self._home = _checked(address)
        self._token = cluster.token
        self._namespace = cluster.namespace
        if not self._token:
            raise ClusterError(
                "NoToken",
                "The kubeconfig signs you in with a certificate, and the console takes only tokens.",
                "Use a context with a token: from your login plugin, or `kubectl create token NAME` put there with "
                "`kubectl config set-credentials`.",
            )
        # SSL_CERT_FILE names an authority of one's own.
        self._pool = urllib3.PoolManager(ssl_context=ssl.create_default_context())

    def of_sync(self, name: str, path: str, **query: str | None) -> dict[str, Any]:
        """What is read of a sync."""
        return self._get(f"syncs/{quote(name, safe='')}/{path}", query)

    def of_connection(self, name: str, path: str, **query: str | None) -> dict[str, Any]:
        """What is read of a connection's district."""
        return self._get(f"connections/{quote(name, safe='')}/{path}", query)

    def changes(self, sync: str, most: int, **query: str | None) -> Iterator[dict[str, Any]]:
        """The records that a sync's plan changes, page by page, `most` at most."""
        after: str | None = None
        while most > 0:
            page = self.of_sync(sync, "changes", limit=str(min(most, PAGE)), after=after, **query)
            yield from page["items"]
            most -= len(page["items"])
            after = page.get("after")
            if not after:
                return

    def change(self, method: str, connection: str, path: str, body: Body | None = None, **query: str | None) -> Body:
        """Have something of a connection's district changed. It is never tried twice."""
        where = f"connections/{quote(connection, safe='')}/{path}"
        sent = None if body is None else json.dumps(body).encode()
        return self._asked(method, where, query, sent, {"Content-Type": "application/json"} if sent else {})

    def upload(self, connection: str, bundle: Path) -> Body:
        """Send a zip in, as it is read from the disk."""
        where = f"connections/{quote(connection, safe='')}/uploads"
        with bundle.open("rb") as file:
            headers = {"Content-Type": "application/zip", "Content-Length": str(os.fstat(file.fileno()).st_size)}
            return self._asked("POST", where, {}, file, headers, LONG)

    def _get(self, path: str, query: dict[str, str | None]) -> Body:
        return self._asked("GET", path, query, None, {})

    def _asked(
        self,
        method: str,
        path: str,
        query: dict[str, str | None],
        body: bytes | IO[bytes] | None,
        more: dict[str, str],
        timeout: float = TIMEOUT,
    ) -> Body:
        with self._sent(method, path, query, body, {"Accept": "application/json", **more}, timeout) as answer:
            raw = answer.read(BODY_LIMIT + 1)
        said = _parsed(raw)
        if said is None or len(raw) > BODY_LIMIT:
            raise _not_a_console(self._home)
        return said

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        query: dict[str, str | None],
        body: bytes | IO[bytes] | None,
        headers: dict[str, str],
        timeout: float,
    ) -> Generator[urllib3.BaseHTTPResponse]:
        """A good answer, to be read. What is no good answer is raised, as is a connection that breaks meanwhile."""
        given = {key: value for key, value in query.items() if value}
        url = f"{self._home}/api/namespaces/{quote(self._namespace, safe='')}/{path}?{urlencode(given)}"
        head = {"Authorization": self._token, "User-Agent": f"roster/{__version__}", **headers}
        try:
            answer = self._pool.request(
                method, url, body=body, headers=head, timeout=timeout, retries=False, redirect=False,
                preload_content=False,
            )  # fmt: skip
            try:
                if answer.status >= 300:
                    raise _error(_parsed(answer.read(BODY_LIMIT)), answer.status)
                yield answer
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(
                "ConsoleUnreachable",
                f"The console at {self._home} could not be reached ({type(error).__name__}).",
                "See that the address is right and the port-forward runs; `roster console` says how to reach it.",
            ) from None


def _error(said: dict[str, Any] | None, status: int) -> ClusterError:
    """The console's own reason, sentence and next step."""
    if said is None or not all(isinstance(said.get(key), str) for key in ("reason", "message", "next")):
        return ClusterError("ConsoleUnavailable", f"The console answered {status}.", "Run it again in a minute.")
    return ClusterError(*(problems.printable(said[key]) for key in ("reason", "message", "next")))


def _not_a_console(home: str) -> ClusterError:
    return ClusterError("NotAConsole", f"What answers at {home} is no console of roster-operator.", _PORT_FORWARD)


def _checked(address: str | None) -> str:
    """The address without a path. A token travels to it, so it is https, or this machine."""
    if not address:
        raise ClusterError(
            "NoConsole", "Records are shown by the console, and none is named.", f"{_PORT_FORWARD} Or set "
            "ROSTER_CONSOLE_URL.",
        )  # fmt: skip
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.username or parts.query or parts.fragment or parts.path.rstrip("/"):
        raise ClusterError(
            "ConsoleAddressInvalid", "This is no address of a console.", "Write it as https://roster.example."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(host)):
        raise ClusterError(
            "ConsoleAddressInvalid",
            "Your token would travel to the console in the clear.",
            "Use https, or http://localhost through a port-forward.",
        )
    return f"{parts.scheme}://{parts.netloc}"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        said: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
