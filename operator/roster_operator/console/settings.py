"""Where the API server is, and where the console listens; from environment variables.

Of the API server only an address and a certificate authority are read, never anybody's credentials: of a kubeconfig the
cluster alone, of a pod's service account the authority alone. The one secret is the console's login to the database.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_LONGEST_SUPPORT = 300
IN_CLUSTER_CA = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")


@dataclass(frozen=True)
class Settings:
    """All settings. Without an authority the system's certificates are trusted."""

    server: str  # ROSTER_CONSOLE_API_SERVER, else a kubeconfig's, else the cluster that the pod runs in
    authority: str = ""  # PEM; from the file ROSTER_CONSOLE_API_CA, else as above
    listen: str = "127.0.0.1"  # ROSTER_CONSOLE_LISTEN; browsers need https, or a port-forward to localhost
    port: int = 8090  # ROSTER_CONSOLE_PORT
    database: str = field(default="", repr=False)  # the console's own login; the file ROSTER_CONSOLE_DATABASE_URL_FILE
    cluster: str = ""  # ROSTER_CONSOLE_CLUSTER: uid of the namespace kube-system, where clusters share a database
    support: str = ""  # ROSTER_CONSOLE_SUPPORT: whom people ask, shown on the help page and with failures


class SettingsError(ValueError):
    """A setting that makes no sense. The message names it and says what is expected."""


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises SettingsError."""
    environment = os.environ if environment is None else environment
    server, authority = _cluster(environment)
    _check_server(server)
    _check_authority(authority)
    return Settings(
        server=server.rstrip("/"),
        authority=authority,
        listen=environment.get("ROSTER_CONSOLE_LISTEN") or Settings.listen,
        port=_port(environment.get("ROSTER_CONSOLE_PORT") or str(Settings.port)),
        database=_database(environment),
        cluster=environment.get("ROSTER_CONSOLE_CLUSTER", ""),
        support=environment.get("ROSTER_CONSOLE_SUPPORT", "")[:_LONGEST_SUPPORT],
    )


def _database(environment: Mapping[str, str]) -> str:
    if file := environment.get("ROSTER_CONSOLE_DATABASE_URL_FILE"):
        return _read(Path(file), "ROSTER_CONSOLE_DATABASE_URL_FILE").strip()
    return environment.get("ROSTER_CONSOLE_DATABASE_URL", "")


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


def _check_authority(pem: str) -> None:
    if pem:
        try:
            ssl.create_default_context(cadata=pem)
        except (ssl.SSLError, ValueError):
            raise SettingsError("ROSTER_CONSOLE_API_CA: holds no certificates in PEM") from None


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise SettingsError(f"ROSTER_CONSOLE_PORT: {text!r} is not a port from 1 to 65535")
