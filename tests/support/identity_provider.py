"""A real identity provider for tests: the program in `identity/`, built by the toolchain that builds the API server.

`identity` is a fixture for the whole run; the API server of the run accepts its id tokens. It has two people:
`ADA` is in the group `district-data`, `BEN` is in none. And three clients, all with the same secret: `console`,
`brief`, whose id tokens are good for 62 seconds, and `other`, of which the API server knows nothing.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from deploy.local import places, toolchain
from tests.support.apiserver import ApiServer, _die_with_parent, _free_port

SOURCES = Path(__file__).parent / "identity"
SECRET = "secret+of/the console"  # of which each character has to be encoded
PASSWORD = "verysecure"  # the example's
ADA, BEN = "test-user@localhost", "test-user2"
MAIL = {ADA: "test-user@zitadel.ch", BEN: "test-user2@zitadel.ch"}
GROUP = "district-data"


@dataclass
class IdentityProvider:
    """A running provider. `home` is where the console is, to which it sends people back."""

    folder: Path
    port: int
    home: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def authority(self) -> str:
        """PEM."""
        return (self.folder / "ca.crt").read_text()

    def client(self) -> httpx.Client:
        """What stands for a browser that is there."""
        return httpx.Client(verify=ssl.create_default_context(cafile=self.folder / "ca.crt"), trust_env=False)

    def start(self) -> None:
        """Start it, or start it again, with other keys and without what it knew."""
        environment = {
            "ISSUER": self.issuer,
            "REDIRECT_URI": f"{self.home}/login/callback",
            "CLIENT_SECRET": SECRET,
            "LISTEN": f"127.0.0.1:{self.port}",
            "TLS_CERT": str(self.folder / "tls.crt"),
            "TLS_KEY": str(self.folder / "tls.key"),
        }
        with (self.folder / "identity.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program()],
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with self.client() as client:
                try:
                    if client.get(f"{self.issuer}/.well-known/openid-configuration").status_code == 200:
                        return
                except httpx.TransportError:
                    time.sleep(0.05)
        raise AssertionError(f"the provider did not come up:\n{(self.folder / 'identity.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def trusted(self) -> dict[str, Any]:
        """What an API server has to know."""
        return {
            "issuer": {
                "url": self.issuer,
                "audiences": ["console", "brief"],
                "audienceMatchPolicy": "MatchAny",
                "certificateAuthority": self.authority,
            },
            "claimMappings": {
                "username": {"claim": "email", "prefix": "oidc:"},
                "groups": {"claim": "groups", "prefix": "oidc:"},
            },
        }


def program() -> Path:
    """The provider, built once for these sources (a few seconds, and as long again to fetch them)."""
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum", "main.go")))
    target = places.cache() / f"identity-{digest.hexdigest()[:10]}" / "identity"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        toolchain.build(toolchain.find_go(), SOURCES, ".", target)
    return target


def sign_in_there(client: httpx.Client, address: str, person: str = ADA) -> str:
    """As a browser at the provider: to its form, and where it then leads back to."""
    form = client.get(address, follow_redirects=True)
    found = re.search(r'name="id" value="([^"]+)"', form.text)
    assert found, form.text
    sent = {"id": found[1], "username": person, "password": PASSWORD}
    back = client.post(str(form.url), data=sent)
    while back.is_redirect and back.headers["Location"].startswith(("/", str(form.url.join("/")))):
        back = client.get(back.url.join(back.headers["Location"]))
    assert back.is_redirect, back.text
    return back.headers["Location"]


@contextmanager
def running(folder: Path, home: str) -> Iterator[IdentityProvider]:
    """A provider that keeps its certificates in `folder`."""
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    made.private_key_pem.write_to_path(folder / "tls.key")
    made.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    one = IdentityProvider(folder, _free_port(), home)
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory, apiserver: ApiServer) -> Iterator[IdentityProvider]:
    """The provider of this run, which its API server trusts."""
    with running(tmp_path_factory.mktemp("identity"), f"http://localhost:{_free_port()}") as one:
        before = _reloads(apiserver)
        apiserver.trust(one.trusted())
        deadline = time.monotonic() + 100
        while _reloads(apiserver) == before:
            assert time.monotonic() < deadline, "the API server did not read whom it has to trust"
            time.sleep(0.2)
        yield one
        apiserver.trust()


def _reloads(apiserver: ApiServer) -> list[str]:
    text = apiserver.kubectl("get", "--raw", "/metrics").stdout
    return re.findall(
        r'^apiserver_authentication_config_controller_automatic_reloads_total.*status="success".*$', text, re.M
    )
