"""Servers for habits that the sample SIS has not: an answer is whatever a test's function returns."""

import json
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from roster_operator.oneroster.rest import RestSettings, Timeouts

LOOPBACK = (ip_network("127.0.0.0/8"),)
SECRET = "canary-secret-5f1c"
TOKEN = "canary-token-77aa"


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str = ""  # path and query as they came


@dataclass
class Answer:
    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None
    cookies: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def granted(**more: object) -> Answer:
    return Answer(body={"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600, **more})


def _always(_: Asked) -> Answer:
    return granted()


@dataclass(frozen=True)
class Serving:
    """Where a server listens. port 0: any."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None


class FakeServer:
    """Answers /token with `token` and everything else with `answer`; remembers what was asked."""

    def __init__(
        self,
        answer: Callable[[Asked], Answer],
        token: Callable[[Asked], Answer] | None = None,
        serving: Serving = Serving(),
    ) -> None:
        self.asked: list[Asked] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes, and the second would wait for an ACK

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body, self.path)
                fake.asked.append(asked)
                found = (token or _always)(asked) if asked.path == "/token" else answer(asked)
                try:
                    self._send(found)
                except OSError:
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815 (http.server's name)

            def _send(self, found: Answer) -> None:
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                for cookie in found.cookies:
                    self.send_header("Set-Cookie", cookie)
                if found.chunks is not None:
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for chunk in found.chunks:
                        self.wfile.write(chunk)
                    self.close_connection = True
                    return
                body = found.encoded()
                if "Content-Length" not in found.headers and found.status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((serving.host, serving.port), Handler)
        if serving.tls:
            # The handshake comes with the first read, in the request's own thread: nobody waits for a slow client.
            self._server.socket = serving.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def settings(self, **more: Any) -> RestSettings:
        return quick(self.url, f"{self.url}/token", **more)

    def pages_asked(self, collection: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith("/" + collection)]


def quick(endpoint: str, token_url: str, **more: Any) -> RestSettings:
    """Settings for a server on loopback, with little patience."""
    base: dict[str, Any] = {
        "client_id": "sample-client",
        "client_secret": SECRET,
        "version": "1.1",
        "allow_addresses": LOOPBACK,
        "allow_insecure": True,
        "page_size": 10,
        "timeouts": Timeouts(connect=2, read=2, total=5),
        "retry_budget": 4.0,
        "retry_attempts": 4,
        "retry_wait": 0.01,
        "retry_wait_max": 0.02,
    }
    return RestSettings(endpoint=endpoint, token_url=token_url, **(base | more))


def orgs(first: int, count: int) -> list[dict[str, str]]:
    return [
        {"sourcedId": f"org-{number}", "status": "active", "name": f"School {number}", "type": "school"}
        for number in range(first, first + count)
    ]


def listing(total: int, *, clamp: int | None = None, counted: bool = True) -> Callable[[Asked], Answer]:
    """A server of so many orgs that pages as the standard says."""

    def answer(asked: Asked) -> Answer:
        limit, offset = int(asked.query.get("limit", 100)), int(asked.query.get("offset", 0))
        limit = min(limit, clamp or limit)
        headers = {"X-Total-Count": str(total)} if counted else {}
        return Answer(body={"orgs": orgs(offset, max(0, min(limit, total - offset)))}, headers=headers)

    return answer
