"""The YAML that a cluster would be given, read from files: a RosterConnection, and Secrets."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pydantic
import yaml

from roster_operator.api.connection import RosterConnectionSpec
from roster_operator.api.model import API_VERSION, GROUP


class ManifestError(Exception):
    """A file cannot be used: a sentence that says what and where, with no value of it."""


@dataclass(frozen=True)
class Connection:
    """A RosterConnection from a file."""

    namespace: str
    name: str
    spec: RosterConnectionSpec

    @property
    def tenant(self) -> str:
        """The key of its rows."""
        return self.spec.tenant_of(self.namespace, self.name)


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file that are mappings. Raises ManifestError."""
    try:
        loaded = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ManifestError(f"{path}{where}: is not YAML.") from None
    return [cast("dict[str, Any]", document) for document in loaded if isinstance(document, dict)]


def connection_from(path: Path) -> Connection:
    """The one RosterConnection in a file. Raises ManifestError, which names each wrong field."""
    found = [d for d in documents(path) if d.get("kind") == "RosterConnection"]
    if len(found) != 1:
        raise ManifestError(f"{path}: has {len(found)} RosterConnections, and one is needed.")
    manifest = found[0]
    if manifest.get("apiVersion") != f"{GROUP}/{API_VERSION}":
        raise ManifestError(f"{path}: apiVersion must be {GROUP}/{API_VERSION}.")
    metadata: dict[str, Any] = manifest.get("metadata") or {}
    if not metadata.get("name"):
        raise ManifestError(f"{path}: metadata.name is missing.")
    try:
        spec = RosterConnectionSpec.from_dict(manifest.get("spec") or {})
    except pydantic.ValidationError as error:
        # The values are left out: somebody may have written a password into the wrong field.
        wrong = "; ".join(
            f"spec.{'.'.join(str(part) for part in e['loc'])}: {e['msg']}"
            for e in error.errors(include_input=False)[:5]
        )
        raise ManifestError(f"{path}: {wrong}") from None
    _refuse_like_the_api_server(path, spec)
    return Connection(str(metadata.get("namespace") or "default"), str(metadata["name"]), spec)


def _refuse_like_the_api_server(path: Path, spec: RosterConnectionSpec) -> None:
    """The CEL rules of the CRD that concern a source, for files that never meet an API server."""
    if (spec.api is None) == (spec.csv is None):
        raise ManifestError(f"{path}: exactly one source is needed: spec.api or spec.csv.")
    if spec.csv is not None and (spec.csv.sftp is None) == (spec.csv.upload is None):
        raise ManifestError(f"{path}: exactly one of spec.csv.sftp and spec.csv.upload is needed.")
    api = spec.api
    if api is None:
        return
    urls = [api.endpoint, *([api.auth.token_url] if api.auth.token_url else [])]
    if not api.allow_insecure and not all(url.startswith("https:") for url in urls):
        raise ManifestError(f"{path}: spec.api.endpoint and auth.tokenURL must be https, unless allowInsecure is set.")


def secret_values(path: Path, name: str) -> dict[str, str]:
    """The values of the Secret of that name in a file. Raises ManifestError."""
    for manifest in documents(path):
        if manifest.get("kind") == "Secret" and (manifest.get("metadata") or {}).get("name") == name:
            values = {str(k): str(v) for k, v in (manifest.get("stringData") or {}).items()}
            for key, encoded in (manifest.get("data") or {}).items():
                try:
                    values.setdefault(str(key), base64.b64decode(str(encoded), validate=True).decode())
                except (binascii.Error, UnicodeDecodeError):
                    raise ManifestError(f"{path}: the key {key} of Secret {name} is not base64 text.") from None
            return values
    raise ManifestError(f"{path}: has no Secret named {name}.")


def secret_manifest(name: str, namespace: str, values: dict[str, str]) -> str:
    """A Secret as YAML, for `kubectl apply -f -`."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "roster"}},
        "type": "Opaque",
        "stringData": values,
    }
    return yaml.safe_dump(manifest, sort_keys=False)
