"""What an image's build must know of this machine's way to Python packages, lent to it as files for its duration.

A mirror's address and a company's certificates belong to the machine. They are never written into an image or into
the repository: the builder mounts these files as secrets while pip runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Other settings, such as a folder of wheels, mean nothing inside a build.
KEPT = ("index-url", "extra-index-url", "trusted-host", "timeout", "default-timeout", "retries", "proxy")
CERTIFICATES_IN_BUILD = "/run/secrets/ca.pem"
CERTIFICATES_OF_HOST = Path("/etc/ssl/certs/ca-certificates.crt")


def settings_of_host() -> dict[str, str]:
    """pip's settings here: from its files, and from the environment, which counts more."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse(done.stdout, os.environ)


def parse(listing: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Settings from the output of `pip config list` (`global.timeout='60'`) and from variables (`PIP_TIMEOUT`)."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        place, equals, value = line.partition("=")
        section, _, name = place.rpartition(".")
        if equals and section in {"global", "install"}:
            found[name] = value.strip().strip("'\"").replace("\\n", " ")
    for variable, value in environment.items():
        if variable.startswith("PIP_"):
            found[variable.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def certificates_of_host(found: dict[str, str]) -> Path | None:
    for candidate in (found.get("cert"), os.environ.get("SSL_CERT_FILE"), str(CERTIFICATES_OF_HOST)):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def write(folder: Path) -> list[str]:
    """Write pip.conf into `folder`. Returns the builder's options that lend it to the build."""
    found = settings_of_host()
    lines = [f"{name} = {found[name]}" for name in KEPT if found.get(name)]
    options: list[str] = []
    certificates = certificates_of_host(found)
    if certificates:
        lines.append(f"cert = {CERTIFICATES_IN_BUILD}")
        options += ["--secret", f"id=ca.pem,src={certificates}"]
    file = folder / "pip.conf"
    file.write_text("\n".join(["[global]", *lines, ""]))
    file.chmod(0o600)
    return [*options, "--secret", f"id=pip.conf,src={file}"]
