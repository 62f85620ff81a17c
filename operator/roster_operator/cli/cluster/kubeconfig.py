"""Which cluster, as whom, and in which namespace: the person's kubeconfig, read by the official client.

Tried with kubernetes 37.0.2: tokens and exec plugins, with their failures. Its code has client certificates, OpenID
Connect, proxies and server names too. Impersonation (`as:`) it passes over in silence, so that is done here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from .problems import ClusterError, printable

_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT = Path("~/.kube/config")


@dataclass(frozen=True)
class Access:
    """The way to one cluster as one person."""

    configuration: Configuration
    namespace: str
    context: str
    impersonation: tuple[tuple[str, str], ...] = ()  # request headers


def load(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """What the kubeconfig says: --kubeconfig, else KUBECONFIG, else ~/.kube/config, else the pod's own account."""
    paths = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or str(_DEFAULT)
    if not any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path):
        if kubeconfig is None and context is None and (_POD / "token").exists():
            return _in_cluster()
        raise ClusterError(
            "NoKubeconfig",
            "There is no kubeconfig, so no cluster to talk to.",
            "Set KUBECONFIG, give --kubeconfig, or give a file with -f where you mean no cluster.",
        )
    try:
        return _from_files(paths, context)
    except (ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError, KeyError) as error:
        # The text of a YAML error quotes the file, which holds credentials.
        raise ClusterError(
            "KubeconfigInvalid",
            f"The kubeconfig cannot be used ({type(error).__name__}).",
            "`kubectl config view` shows what is in it; `kubectl cluster-info` says whether kubectl can use it.",
        ) from None


def _from_files(paths: str, context: str | None) -> Access:
    merger = KubeConfigMerger(paths)
    merged: Any = merger.config
    whole: dict[str, Any] = merged.value
    name = context or whole.get("current-context") or ""
    contexts = [str(entry["name"]) for entry in _entries(whole, "contexts")]
    if name not in contexts:
        message = f"The kubeconfig has no context {printable(name)}." if name else "No context is chosen."
        known = f"There are: {', '.join(contexts[:10])}." if contexts else "It has none."
        raise ClusterError("ContextUnknown", message, f"{known} Give one with --context.")
    # No base path: files are named relative to the kubeconfig that names them.
    options: dict[str, Any] = {"config_base_path": None, "config_persister": merger.save_changes}
    loader = KubeConfigLoader(merged, active_context=name, **options)
    configuration = Configuration()
    with _heard() as words:
        loader.load_and_set(configuration)
    chosen: dict[str, Any] = _of(whole, "contexts", name).get("context") or {}
    user: dict[str, Any] = _of(whole, "users", chosen.get("user")).get("user") or {}
    if "exec" in user and not configuration.api_key and not configuration.cert_file:
        raise ClusterError(
            "CredentialPluginFailed",
            f"The kubeconfig's credential plugin gave nothing to log in with: {printable(' '.join(words))}",
            "Log in again with it; `kubectl cluster-info` uses the same plugin.",
        )
    return Access(configuration, str(chosen.get("namespace") or "default"), name, tuple(_impersonation(user)))


def _in_cluster() -> Access:
    configuration = Configuration()
    load_incluster_config(client_configuration=configuration)
    return Access(configuration, (_POD / "namespace").read_text(encoding="utf-8").strip(), "in-cluster")


def _entries(whole: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    # The merger wraps each entry in a node of its own, which knows the file that it came from.
    return [getattr(entry, "value", entry) for entry in whole.get(kind) or []]


def _of(whole: dict[str, Any], kind: str, name: object) -> dict[str, Any]:
    return next((entry for entry in _entries(whole, kind) if entry.get("name") == name), {})


def _impersonation(user: dict[str, Any]) -> Generator[tuple[str, str]]:
    if user.get("as"):
        yield "Impersonate-User", str(user["as"])
    if user.get("as-uid"):
        yield "Impersonate-Uid", str(user["as-uid"])
    for group in user.get("as-groups") or []:
        yield "Impersonate-Group", str(group)
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in values:
            yield f"Impersonate-Extra-{key}", str(value)


@contextmanager
def _heard() -> Generator[list[str]]:
    """What the client would log while it asks a plugin: it logs a plugin's failure and goes on as nobody."""
    words: list[str] = []
    root = logging.getLogger()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.append(record.getMessage())

    ear = Ear()
    root.addHandler(ear)
    try:
        yield words
    finally:
        root.removeHandler(ear)
