"""What a step is given in secret: values of mounted Secrets, or of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from roster_operator.api.sources import SecretUse

from .failures import WorkerError


class SecretValues(Protocol):
    """The values of one Secret, by the fixed names of api.sources, whatever the keys are called in the Secret."""

    def need(self, name: str) -> str:
        """A value, never empty. Raises WorkerError, as SecretMissing or SecretKeyMissing."""
        ...

    def maybe(self, name: str) -> str | None:
        """A value, or None where the Secret has no such key. Raises WorkerError(SecretMissing, SecretMalformed…)."""
        ...


class MountedSecret:
    """A Secret as files, mounted as optional: a missing one is told by name, where the pod would hang otherwise."""

    def __init__(self, folder: Path, secret: str, keys: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._secret = secret
        self._keys = keys or {}

    def need(self, name: str) -> str:
        """The value without the newline that editors add."""
        key = self._keys.get(name, name)
        value = self._read(name, key)
        if value is None:
            raise key_missing(self._secret, key)
        return value

    def maybe(self, name: str) -> str | None:
        """The value without the newline that editors add, if there is such a key."""
        return self._read(name, self._keys.get(name, name))

    def _read(self, name: str, key: str) -> str | None:
        # The kubelet puts its own entries (..data) even where there is no Secret.
        if not self._folder.is_dir() or all(entry.name.startswith("..") for entry in self._folder.iterdir()):
            raise WorkerError(
                "SecretMissing",
                f"The Secret {self._secret} is missing, or has none of the keys that are needed.",
                f"Create it in the connection's namespace with the key {key}.",
            )
        try:
            value = (self._folder / name).read_bytes().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            value = None
        if value is None:
            raise WorkerError(
                "SecretMalformed", f"The key {key} of the Secret {self._secret} is no text.", "Write it as UTF-8 text."
            )
        return _filled(value, self._secret, key)


class ManifestSecret:
    """A Secret as its manifest has it: values by the Secret's own keys."""

    def __init__(self, values: Mapping[str, str], use: SecretUse) -> None:
        self._values = values
        self._use = use

    def need(self, name: str) -> str:
        """A value, never empty."""
        value = self.maybe(name)
        if value is None:
            raise key_missing(self._use.name, self._use.keys.get(name, name))
        return value

    def maybe(self, name: str) -> str | None:
        """A value, if there is such a key."""
        key = self._use.keys.get(name, name)
        value = self._values.get(key)
        return None if value is None else _filled(value, self._use.name, key)


class NoSecret:
    """For a source that needs none."""

    def need(self, name: str) -> str:
        """There is none."""
        raise WorkerError("SecretMissing", f"The source needs {name}, and no Secret is named.", "Set secretRef.")

    def maybe(self, name: str) -> str | None:  # noqa: ARG002
        """There is none."""
        return None


def _filled(value: str, secret: str, key: str) -> str:
    value = value.rstrip("\r\n")
    if not value:
        raise WorkerError("SecretKeyEmpty", f"The key {key} of the Secret {secret} is empty.", "Put the value in.")
    return value


def key_missing(secret: str, key: str) -> WorkerError:
    """The error of a Secret without a key that is needed."""
    return WorkerError(
        "SecretKeyMissing", f"The Secret {secret} has no key {key}.", "Add the key, or name the right one."
    )


def mounted_source_secret(folder: Path, use: SecretUse | None) -> SecretValues:
    """The source's Secret as the pod sees it."""
    return NoSecret() if use is None else MountedSecret(folder, use.name, use.keys)
