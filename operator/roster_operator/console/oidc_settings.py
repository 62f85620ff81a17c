"""Which identity provider signs people in; from environment variables and files. Without an issuer there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

Read = Callable[[Path, str], str]
_SCOPES = "openid offline_access"


@dataclass(frozen=True)
class Oidc:
    """A client at an OpenID Connect provider. The API server has to trust the same issuer and client id."""

    issuer: str  # ROSTER_CONSOLE_OIDC_ISSUER: exactly as in the tokens
    client_id: str  # ROSTER_CONSOLE_OIDC_CLIENT_ID
    url: str  # ROSTER_CONSOLE_URL: the console's own origin, as browsers ask for it
    client_secret: str = field(default="", repr=False)  # the file ROSTER_CONSOLE_OIDC_CLIENT_SECRET_FILE; else public
    scopes: str = _SCOPES  # ROSTER_CONSOLE_OIDC_SCOPES
    authority: str = ""  # PEM; from the file ROSTER_CONSOLE_OIDC_CA; without one the system's certificates

    @property
    def callback(self) -> str:
        """Where the provider sends people back to; it has to be registered there."""
        return f"{self.url}/login/callback"


def load(environment: Mapping[str, str], read: Read) -> Oidc | None:
    """Raises ValueError with the setting's name and what is expected."""
    issuer = environment.get("ROSTER_CONSOLE_OIDC_ISSUER", "")
    if not issuer:
        return None
    _check(issuer, "ROSTER_CONSOLE_OIDC_ISSUER", local=False)
    client_id, url = environment.get("ROSTER_CONSOLE_OIDC_CLIENT_ID", ""), environment.get("ROSTER_CONSOLE_URL", "")
    if not client_id:
        raise ValueError("ROSTER_CONSOLE_OIDC_CLIENT_ID: the client's id at the identity provider is needed")
    _check(url, "ROSTER_CONSOLE_URL", local=True)
    if urlsplit(url).path not in ("", "/"):
        raise ValueError("ROSTER_CONSOLE_URL: an origin alone, without a path")
    scopes = environment.get("ROSTER_CONSOLE_OIDC_SCOPES") or _SCOPES
    if "openid" not in scopes.split():
        raise ValueError("ROSTER_CONSOLE_OIDC_SCOPES: openid has to be among them")

    def content(name: str) -> str:
        file = environment.get(name)
        return read(Path(file), name).strip() if file else ""

    return Oidc(
        issuer=issuer,
        client_id=client_id,
        url=url.rstrip("/"),
        client_secret=content("ROSTER_CONSOLE_OIDC_CLIENT_SECRET_FILE"),
        scopes=" ".join(scopes.split()),
        authority=content("ROSTER_CONSOLE_OIDC_CA"),
    )


def token_login(environment: Mapping[str, str], oidc: Oidc | None) -> bool:
    """Whether a token may be pasted: ROSTER_CONSOLE_TOKEN_LOGIN, on by default. Raises ValueError."""
    text = environment.get("ROSTER_CONSOLE_TOKEN_LOGIN") or "true"
    if text not in ("true", "false"):
        raise ValueError("ROSTER_CONSOLE_TOKEN_LOGIN: true or false")
    if text == "false" and oidc is None:
        raise ValueError("ROSTER_CONSOLE_TOKEN_LOGIN: without an identity provider nobody could sign in")
    return text == "true"


def _check(address: str, setting: str, *, local: bool) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    secure = parts.scheme == "https" or (local and parts.scheme == "http" and host in ("localhost", "127.0.0.1"))
    if not host or not secure or parts.username or parts.query or parts.fragment:
        raise ValueError(f"{setting}: an address like https://login.example.org is expected")
