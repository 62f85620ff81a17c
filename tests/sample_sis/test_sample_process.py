"""The sample SIS as a process: command line, admin endpoint, TLS, signals."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trustme
from tests.sample_sis.browser import Browser

from roster_sample_sis import District, SampleSIS
from roster_sample_sis.certificates import context, self_signed

_EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def _process(*arguments: str) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    """A running server, as what a Browser needs of a SampleSIS, and its process."""
    environment = os.environ | {"SIS_CLIENT_ID": "id", "SIS_CLIENT_SECRET": "s3cret", "PYTHONPATH": str(_EXAMPLES)}
    command = [sys.executable, "-m", "roster_sample_sis", "--port", "0", "--users", "200", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("ready at http"), line
            url = line.split()[2].rstrip(":")
            yield (
                SimpleNamespace(url=url, token_url=url + "/oauth/token", client_id="id", client_secret="s3cret"),
                process,
            )
        finally:
            process.kill()


def _admin(browser: Browser, method: str, path: str, value: object = None) -> tuple[int, Any]:
    reply = browser.send(method, f"/_admin/{path}", None if value is None else json.dumps(value))
    return reply.status, reply.json


def test_it_is_ready_serves_and_ends_on_sigterm() -> None:
    with _process("--variant", "year-later", "--version", "1.2", "--enrollments", "500") as (sis, process):
        browser = Browser(sis, "1.2")
        assert browser.get("users").total > 190
        assert browser.get("academicSessions").records[0]["schoolYear"] == "2028"
        assert browser.send("GET", "/_admin/stats").status == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


@pytest.mark.parametrize("arguments", [(), ("--client-id", "x", "--client-secret", "y", "--users", "3")])
def test_wrong_usage_is_said(arguments: tuple[str, ...]) -> None:
    environment = {"PYTHONPATH": str(_EXAMPLES)}
    command = [sys.executable, "-m", "roster_sample_sis", *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "a client is needed" in ran.stderr or "20 users or more" in ran.stderr


def test_the_admin_endpoint_changes_district_and_faults() -> None:
    with _process("--admin") as (sis, _):
        browser = Browser(sis)
        assert browser.get("users").total == 200
        status, counts = _admin(browser, "POST", "variant", {"variant": "lost-a-fifth"})
        assert status == 200
        assert browser.get("users").total == counts["users"] < 180
        assert _admin(browser, "POST", "variant", {"variant": "base"})[1]["users"] == 200
        assert _admin(browser, "POST", "variant", {"variant": "nonsense"})[0] == 400

        _admin(browser, "POST", "faults", [{"fault": "refuse", "status": 503, "times": 1}, {"fault": "wrong-total"}])
        assert [each["fault"] for each in _admin(browser, "GET", "faults")[1]] == ["refuse", "wrong-total"]
        assert [browser.get("users").status, browser.get("users").total] == [503, 201]
        assert [each["fault"] for each in _admin(browser, "PUT", "faults", {"fault": "empty"})[1]] == ["empty"]
        assert _admin(browser, "DELETE", "faults") == (200, [])
        assert _admin(browser, "POST", "faults", {"fault": "no such"})[0] == 400
        assert _admin(browser, "POST", "expire-tokens", {"status": 403})[0] == 200
        assert browser.get("users").status == 403
        assert _admin(browser, "GET", "stats")[1]["pages"] >= 3
        assert browser.send("POST", "/_admin/faults", "{").status == 400
        assert browser.send("GET", "/_admin/nonsense").status == 404


def test_tls_works_with_a_given_certificate(district: District, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with SampleSIS(district, tls=context(certificate, key)) as sis:
        browser = Browser(sis, context=trusting)
        reply = browser.get("users", limit=500)
        assert reply.links["next"].startswith("https://127.0.0.1:")
        assert browser.every_id("users", 500) == [user.sourced_id for user in district.users]
        with pytest.raises(ssl.SSLCertVerificationError):
            Browser(sis, context=ssl.create_default_context()).get("users")
        assert browser.get("orgs").status == 200


def test_a_self_signed_certificate_can_be_trusted(district: District) -> None:
    made, pem = self_signed(["127.0.0.1", "sis.example.org"])
    trusting = ssl.create_default_context(cadata=pem)
    with SampleSIS(district, tls=made) as sis:
        assert Browser(sis, context=trusting).get("users").status == 200


def test_the_process_makes_its_own_certificate(tmp_path: Path) -> None:
    written = tmp_path / "ca.pem"
    with _process("--tls", "self-signed", "--tls-ca-out", str(written)) as (sis, _):
        browser = Browser(cast("SampleSIS", sis), context=ssl.create_default_context(cafile=str(written)))
        assert browser.get("users").total == 200
