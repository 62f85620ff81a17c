"""A receiver of webhooks over TLS, and a check of signatures that shares no code with ours: openssl's."""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

KEY = bytes(range(32))
SIGNING = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """What came. answers: the status codes of the next answers, then 204; headers go with each."""

    authority: str
    url: str = ""
    answers: list[int] = field(default_factory=list[int])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])


@contextmanager
def receiving(name: str = "localhost") -> Iterator[Receiver]:
    """A receiver at 127.0.0.1 whose certificate is for `name`."""
    authority = trustme.CA()
    one = Receiver(authority.cert_pem.bytes().decode())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(one.answers.pop(0) if one.answers else 204)
            for key, value in one.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(one.body)))
            self.end_headers()
            self.wfile.write(one.body)

        def log_request(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        one.url = f"https://localhost:{server.server_address[1]}/hook"
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def verified(headers: dict[str, str], body: bytes, key: bytes = KEY) -> bool:
    """As a receiver does it: what is signed are id, timestamp and the body's bytes."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary"],
        input=signed,
        capture_output=True,
        check=True,
    ).stdout
    return f"v1,{base64.b64encode(mac).decode()}" in headers["webhook-signature"].split(" ")
