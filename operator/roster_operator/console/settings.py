"""Where the API server is, and where the console listens; from environment variables.

Of the API server only an address and a certificate authority are read, never anybody's credentials: of a kubeconfig the
cluster alone, of a pod's service account the authority alone. Of its own it has a login to the database, a key that
closes the sessions it keeps there, and where it speaks TLS itself the key of its certificate.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from roster_operator.mail import MailError
from roster_operator.mail import load as load_mail
from roster_operator.store.invitations import LIFETIME

from . import oidc_settings
from .invitation_mail import TOKEN, Inviting
from .oidc_settings import Oidc

_LONGEST_SUPPORT = 300
_LONGEST_NAME = 100
_LONGEST_LINK = 1024
_MOST_HOURS = 720
SHORTEST_KEY = 32  # characters
IN_CLUSTER_CA = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")


@dataclass(frozen=True)
class Settings:
    """All settings. Without an authority the system's certificates are trusted."""

    server: str  # ROSTER_CONSOLE_API_SERVER, else a kubeconfig's, else the cluster that the pod runs in
    authority: str = ""  # PEM; from the file ROSTER_CONSOLE_API_CA, else as above
    listen: str = "127.0.0.1"  # ROSTER_CONSOLE_LISTEN; browsers need https, or a port-forward to localhost
    port: int = 8090  # ROSTER_CONSOLE_PORT
    database: str = field(default="", repr=False)  # the console's own login; the file ROSTER_CONSOLE_DATABASE_URL_FILE
    session_keys: tuple[bytes, ...] = field(default=(), repr=False)  # ROSTER_CONSOLE_SESSION_KEY_FILE, one a line
    cluster: str = ""  # ROSTER_CONSOLE_CLUSTER: uid of the namespace kube-system, where clusters share a database
    certificate: Path | None = None  # ROSTER_CONSOLE_TLS_CERT: PEM with its chain; without one it speaks http
    certificate_key: Path | None = None  # ROSTER_CONSOLE_TLS_KEY
    oidc: Oidc | None = None  # the identity provider, of which oidc_settings.py tells
    token_login: bool = True  # ROSTER_CONSOLE_TOKEN_LOGIN: whether a token may be pasted
    support: str = ""  # ROSTER_CONSOLE_SUPPORT: whom people ask, shown on the help page and with failures
    inviting: Inviting | None = None  # ROSTER_CONSOLE_INVITATION_URL, …_APPLICATION, …_HOURS; and ROSTER_SMTP_…


class SettingsError(ValueError):
    """A setting that makes no sense. The message names it and says what is expected."""


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises SettingsError."""
    environment = os.environ if environment is None else environment
    server, authority = _cluster(environment)
    _check_server(server)
    _check_authority(authority, "ROSTER_CONSOLE_API_CA")
    certificate, certificate_key = _certificate(environment)
    oidc, token_login = _sign_in(environment)
    return Settings(
        server=server.rstrip("/"),
        authority=authority,
        listen=environment.get("ROSTER_CONSOLE_LISTEN") or Settings.listen,
        port=_port(environment.get("ROSTER_CONSOLE_PORT") or str(Settings.port)),
        database=_database(environment),
        session_keys=_session_keys(environment),
        cluster=environment.get("ROSTER_CONSOLE_CLUSTER", ""),
        certificate=certificate,
        certificate_key=certificate_key,
        oidc=oidc,
        token_login=token_login,
        support=environment.get("ROSTER_CONSOLE_SUPPORT", "")[:_LONGEST_SUPPORT],
        inviting=_inviting(environment),
    )


def _sign_in(environment: Mapping[str, str]) -> tuple[Oidc | None, bool]:
    try:
        oidc = oidc_settings.load(environment, _read)
        token_login = oidc_settings.token_login(environment, oidc)
    except SettingsError:
        raise
    except ValueError as error:
        raise SettingsError(str(error)) from None
    _check_authority(oidc.authority if oidc else "", "ROSTER_CONSOLE_OIDC_CA")
    return oidc, token_login


def _inviting(environment: Mapping[str, str]) -> Inviting | None:
    url = environment.get("ROSTER_CONSOLE_INVITATION_URL", "")
    if not url:
        return None
    _check_link(url)
    try:
        mail = load_mail(environment)
    except MailError as error:
        raise SettingsError(f"ROSTER_SMTP_…: {error.message}") from None
    if mail is None:
        raise SettingsError("ROSTER_CONSOLE_INVITATION_URL: invitations need a mail server, ROSTER_SMTP_HOST")
    application = environment.get("ROSTER_CONSOLE_INVITATION_APPLICATION") or urlsplit(url).hostname or ""
    if not application.isprintable() or len(application) > _LONGEST_NAME:
        raise SettingsError(f"ROSTER_CONSOLE_INVITATION_APPLICATION: one line of at most {_LONGEST_NAME} characters")
    hours = environment.get("ROSTER_CONSOLE_INVITATION_HOURS") or str(LIFETIME // timedelta(hours=1))
    if not (hours.isascii() and hours.isdigit() and 1 <= int(hours) <= _MOST_HOURS):
        raise SettingsError(f"ROSTER_CONSOLE_INVITATION_HOURS: {hours!r} is not a number from 1 to {_MOST_HOURS}")
    support = environment.get("ROSTER_CONSOLE_SUPPORT", "")[:_LONGEST_SUPPORT]
    return Inviting(url, application, timedelta(hours=int(hours)), mail, support)


def _check_link(url: str) -> None:
    expected = f"an https address of the application with {TOKEN} in it once, behind the host"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"ROSTER_CONSOLE_INVITATION_URL: must be {expected}") from None
    safe = parts.scheme == "https" or (parts.scheme == "http" and host is not None and _is_loopback(host))
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= _LONGEST_LINK
    if not safe or not host or parts.username or not plain or url.count(TOKEN) != 1 or TOKEN in parts.netloc:
        raise SettingsError(f"ROSTER_CONSOLE_INVITATION_URL: must be {expected}")


def _database(environment: Mapping[str, str]) -> str:
    if file := environment.get("ROSTER_CONSOLE_DATABASE_URL_FILE"):
        return _read(Path(file), "ROSTER_CONSOLE_DATABASE_URL_FILE").strip()
    return environment.get("ROSTER_CONSOLE_DATABASE_URL", "")


def _session_keys(environment: Mapping[str, str]) -> tuple[bytes, ...]:
    """The first closes new sessions; those after it open older ones."""
    file = environment.get("ROSTER_CONSOLE_SESSION_KEY_FILE")
    if not file:
        return ()
    keys = tuple(line.encode() for line in _read(Path(file), "ROSTER_CONSOLE_SESSION_KEY_FILE").split())
    if not keys or min(map(len, keys)) < SHORTEST_KEY:
        raise SettingsError(f"ROSTER_CONSOLE_SESSION_KEY_FILE: a key of {SHORTEST_KEY} characters or more on each line")
    return keys


def _certificate(environment: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    certificate, key = environment.get("ROSTER_CONSOLE_TLS_CERT"), environment.get("ROSTER_CONSOLE_TLS_KEY")
    if not certificate and not key:
        return None, None
    if not certificate or not key:
        raise SettingsError("ROSTER_CONSOLE_TLS_CERT, ROSTER_CONSOLE_TLS_KEY: one without the other is of no use")
    return Path(certificate), Path(key)


def _cluster(environment: Mapping[str, str]) -> tuple[str, str]:
    file = environment.get("ROSTER_CONSOLE_API_CA")
    if server := environment.get("ROSTER_CONSOLE_API_SERVER"):
        return server, _read(Path(file), "ROSTER_CONSOLE_API_CA") if file else ""
    if kubeconfig := environment.get("ROSTER_CONSOLE_KUBECONFIG") or environment.get("KUBECONFIG"):
        return _from_kubeconfig(Path(kubeconfig), environment.get("ROSTER_CONSOLE_CONTEXT") or "")
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if host:
        # A pod without a service account token has no authority at this path: ROSTER_CONSOLE_API_CA then names one.
        authority = _read(Path(file) if file else IN_CLUSTER_CA, "ROSTER_CONSOLE_API_CA")
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", authority
    raise SettingsError("no cluster is named. Set ROSTER_CONSOLE_API_SERVER (and ROSTER_CONSOLE_API_CA), or KUBECONFIG")


def _from_kubeconfig(path: Path, context: str) -> tuple[str, str]:
    try:
        document: Any = yaml.safe_load(_read(path, "KUBECONFIG"))
        name = context or document["current-context"]
        chosen = _named(document["contexts"], name)["context"]
        cluster = _named(document["clusters"], chosen["cluster"])["cluster"]
        server = str(cluster["server"])
        if data := cluster.get("certificate-authority-data"):
            return server, base64.b64decode(data, validate=True).decode("ascii")
        if file := cluster.get("certificate-authority"):
            return server, _read(path.parent / file, "certificate-authority")
    except (KeyError, TypeError, AttributeError, yaml.YAMLError, binascii.Error, UnicodeDecodeError):
        wanted = f"the context {context!r}" if context else "a current context"
        raise SettingsError(f"KUBECONFIG: {path} has not {wanted} with a cluster and its server") from None
    return server, ""


def _named(items: Any, name: str) -> Any:
    return next((item for item in items if item["name"] == name), {})


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{setting}: {path} cannot be read ({type(error).__name__})") from None


def _check_server(server: str) -> None:
    try:
        parts = urlsplit(server)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"API server: {server!r} is not an address like https://10.0.0.1:443") from None
    if not host or parts.username or parts.query or parts.fragment:
        raise SettingsError(f"API server: {server!r} is not an address like https://10.0.0.1:443")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise SettingsError("API server: must be https, people's tokens travel to it")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_authority(pem: str, setting: str) -> None:
    if pem:
        try:
            ssl.create_default_context(cadata=pem)
        except (ssl.SSLError, ValueError):
            raise SettingsError(f"{setting}: holds no certificates in PEM") from None


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise SettingsError(f"ROSTER_CONSOLE_PORT: {text!r} is not a port from 1 to 65535")
