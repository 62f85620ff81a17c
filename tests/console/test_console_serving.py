"""TLS of the console's own: the certificate is renewed under it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import trustme

from roster_operator.console.serving import Certificate
from roster_operator.console.settings import SettingsError


def issue(authority: trustme.CA, folder: Path) -> Certificate:
    """A new certificate for localhost, in tls.crt and tls.key."""
    made = authority.issue_cert("localhost")
    (folder / "tls.key").write_bytes(made.private_key_pem.bytes())
    (folder / "tls.crt").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    return Certificate(folder / "tls.crt", folder / "tls.key")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_certificate_is_renewed_while_it_serves(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = issue(authority, tmp_path)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context)
    port = server.sockets[0].getsockname()[1]
    watching = asyncio.create_task(certificate.watch(0.02))

    async def shown() -> bytes:
        _, writer = await asyncio.open_connection("localhost", port, ssl=trusting(authority))
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    first = await shown()
    # Half of a renewal: a key that is not this certificate's.
    (tmp_path / "tls.key").write_bytes(authority.issue_cert("localhost").private_key_pem.bytes())
    await asyncio.sleep(0.2)
    assert await shown() == first
    issue(authority, tmp_path)
    for _ in range(100):
        await asyncio.sleep(0.02)
        if (second := await shown()) != first:
            break
    assert second != first
    watching.cancel()
    server.close()


def test_the_program_speaks_tls_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    authority = trustme.CA()
    issue(authority, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {
        **os.environ,
        "ROSTER_CONSOLE_API_SERVER": "https://127.0.0.1:1",
        "ROSTER_CONSOLE_PORT": str(port),
        "ROSTER_CONSOLE_TLS_CERT": str(tmp_path / "tls.crt"),
        "ROSTER_CONSOLE_TLS_KEY": str(tmp_path / "tls.key"),
    }
    with subprocess.Popen([sys.executable, "-m", "roster_operator.console"], env=environment) as process:
        try:
            answer = None
            deadline = time.monotonic() + 60
            while answer is None and time.monotonic() < deadline and process.poll() is None:
                try:
                    answer = httpx.get(f"https://localhost:{port}/healthz", verify=trusting(authority), trust_env=False)
                except httpx.TransportError:
                    time.sleep(0.1)
            assert answer is not None
            assert answer.text == "ok"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)
        finally:
            process.kill()


def test_no_certificate_is_said_before_anything_is_served(tmp_path: Path) -> None:
    for file in (tmp_path / "absent", Path(__file__)):
        with pytest.raises(SettingsError, match="ROSTER_CONSOLE_TLS_CERT"):
            Certificate(file, file)
