"""What a step is given: credentials from mounted Secrets, and the source's settings from the connection's spec."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roster_operator.api.connection import ApiSource, RosterConnectionSpec
from roster_operator.api.task import Policy
from roster_operator.oneroster.settings import RestSettings

from .failures import WorkerError

CLIENT_ID = "client-id"
CLIENT_SECRET = "client-secret"  # noqa: S105  a key's name


@dataclass(frozen=True)
class Credentials:
    """What the source wants to know us by."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


class MountedSecret:
    """A Secret as files, mounted as optional: a missing one is told by name, where the pod would hang otherwise."""

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder
        self._secret = secret

    def read(self, file: str, key: str | None = None) -> str:
        """The value without the newline that editors add. Raises WorkerError(SecretMissing, SecretKeyMissing…).

        `key` is what the file is called in the Secret itself, where that is another name.
        """
        key = key or file
        # The kubelet puts its own entries (..data) even where there is no Secret.
        if not self._folder.is_dir() or all(entry.name.startswith("..") for entry in self._folder.iterdir()):
            raise WorkerError(
                "SecretMissing",
                f"The Secret {self._secret} is missing, or has none of the keys that are needed.",
                f"Create it in the connection's namespace with the key {key}.",
            )
        try:
            value = (self._folder / file).read_bytes().decode()
        except FileNotFoundError:
            raise WorkerError(
                "SecretKeyMissing",
                f"The Secret {self._secret} has no key {key}.",
                "Add the key, or name the right one.",
            ) from None
        except UnicodeDecodeError:
            value = None
        if value is None:
            raise WorkerError(
                "SecretMalformed", f"The key {key} of the Secret {self._secret} is no text.", "Write it as UTF-8 text."
            )
        value = value.rstrip("\r\n")
        if not value:
            raise WorkerError(
                "SecretKeyEmpty", f"The key {key} of the Secret {self._secret} is empty.", "Put the value in."
            )
        return value


def credentials_from(folder: Path, spec: RosterConnectionSpec) -> Credentials:
    """The pod's files have fixed names, whatever the keys are called in the Secret."""
    ref = api_source(spec).auth.secret_ref
    secret = MountedSecret(folder, ref.name)
    return Credentials(secret.read(CLIENT_ID, ref.client_id_key), secret.read(CLIENT_SECRET, ref.client_secret_key))


def credentials_in(values: Mapping[str, str], spec: RosterConnectionSpec) -> Credentials:
    """From a Secret's own keys, as a manifest has them."""
    ref = api_source(spec).auth.secret_ref
    found: list[str] = []
    for key in (ref.client_id_key, ref.client_secret_key):
        if not values.get(key):
            raise WorkerError("SecretKeyMissing", f"The Secret {ref.name} has no key {key}.", "Add the key.")
        found.append(values[key])
    return Credentials(*found)


def api_source(spec: RosterConnectionSpec) -> ApiSource:
    """The connection's REST source."""
    if spec.api is None:
        raise WorkerError("SourceMissing", "The connection names no source.", "Set spec.api.")
    return spec.api


def rest_settings(spec: RosterConnectionSpec, credentials: Credentials, policy: Policy) -> RestSettings:
    """The source as the spec describes it, within what the operator permits. Raises WorkerError."""
    api = api_source(spec)
    if api.allow_insecure and not policy.allow_insecure:
        raise WorkerError(
            "InsecureNotPermitted",
            "spec.api.allowInsecure is set, and the operator's configuration does not permit http.",
            "Use https, or have the platform team set allowInsecure in the operator's configuration.",
        )
    return RestSettings(
        endpoint=api.endpoint,
        token_url=api.auth.token_url,
        client_id=credentials.client_id,
        client_secret=credentials.client_secret,
        version=api.version.value,
        scopes=tuple(api.auth.scopes),
        page_size=api.page_size,
        max_concurrency=api.max_concurrency,
        requests_per_second=api.requests_per_second,
        ca_bundle=api.ca_bundle,
        allow_addresses=tuple(ipaddress.ip_network(cidr) for cidr in policy.allow_addresses),
        allow_insecure=api.allow_insecure,
    )
