"""Which mail server, and how. From environment variables; user and password also from files, a mounted Secret's.

    ROSTER_SMTP_HOST           the server; without it there is no mail
    ROSTER_SMTP_PORT           default: 587, for Implicit 465, for None 25
    ROSTER_SMTP_SECURITY       StartTLS (default), Implicit, or None
    ROSTER_SMTP_FROM           the sender's address
    ROSTER_SMTP_FROM_NAME      the name beside it
    ROSTER_SMTP_CA_FILE        authorities (PEM) besides the system's
    ROSTER_SMTP_USER, ROSTER_SMTP_PASSWORD, or ROSTER_SMTP_USER_FILE, ROSTER_SMTP_PASSWORD_FILE

Files are read anew for each mail, so that a rotated password needs no restart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from roster_operator.api.mailbox import ADDRESS

from .errors import MailError, Reason

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_LARGEST_SECRET = 4096  # characters


class Security(StrEnum):
    """How the connection is protected. None is for a relay beside the pod, and never carries a password."""

    STARTTLS = "StartTLS"
    IMPLICIT = "Implicit"
    NONE = "None"


PORTS = {Security.STARTTLS: 587, Security.IMPLICIT: 465, Security.NONE: 25}


@dataclass(frozen=True)
class MailSettings:
    """One mail server. A file stands above the value beside it. Raises MailError when it contradicts itself."""

    host: str
    sender: str
    sender_name: str = ""
    security: Security = Security.STARTTLS
    port: int = 0  # 0: the usual one
    user: str = ""
    password: str = field(default="", repr=False)
    user_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise _unusable("the host is no name and no address")
        if not 0 <= self.port <= 65535:
            raise _unusable("the port is none from 1 to 65535")
        if len(self.sender) > 254 or not re.fullmatch(ADDRESS, self.sender):
            raise _unusable("the sender is no plain address like roster@example.org")
        if not self.sender_name.isprintable() or len(self.sender_name) > 100:
            raise _unusable("the sender's name is not one line of at most 100 characters")
        if self.security is Security.NONE and (self.password or self.password_file):
            raise _unusable("a password is never sent without TLS")
        if bool(self.user or self.user_file) != bool(self.password or self.password_file):
            raise _unusable("of user and password one is missing")

    @property
    def number(self) -> int:
        """The port that is used."""
        return self.port or PORTS[self.security]

    def login(self) -> tuple[str, str] | None:
        """User and password as they are now, or None where the server needs none. Raises MailError."""
        user = _secret(self.user_file, "user") if self.user_file else self.user
        password = _secret(self.password_file, "password") if self.password_file else self.password
        return (user, password) if user else None


def load(environment: Mapping[str, str]) -> MailSettings | None:
    """What the environment says; None where it names no server. Raises MailError."""
    host = environment.get("ROSTER_SMTP_HOST", "")
    if not host:
        return None
    port = environment.get("ROSTER_SMTP_PORT") or "0"
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise _unusable("the port is none from 1 to 65535")
    security = environment.get("ROSTER_SMTP_SECURITY") or Security.STARTTLS
    if security not in set(Security):
        raise _unusable("the security is none of StartTLS, Implicit, None")
    return MailSettings(
        host=host,
        sender=environment.get("ROSTER_SMTP_FROM", ""),
        sender_name=environment.get("ROSTER_SMTP_FROM_NAME", ""),
        security=Security(security),
        port=int(port),
        user=environment.get("ROSTER_SMTP_USER", ""),
        password=environment.get("ROSTER_SMTP_PASSWORD", ""),
        user_file=_path(environment, "ROSTER_SMTP_USER_FILE"),
        password_file=_path(environment, "ROSTER_SMTP_PASSWORD_FILE"),
        ca_file=_path(environment, "ROSTER_SMTP_CA_FILE"),
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(text) if (text := environment.get(name)) else None


def _secret(path: Path, what: str) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise _unusable(f"the file with the {what} cannot be read") from None
    if not text or len(text) > _LARGEST_SECRET or not text.isprintable():
        raise _unusable(f"the file with the {what} does not hold one line")
    return text


def _unusable(what: str) -> MailError:
    return MailError(Reason.SETTINGS_UNUSABLE, what)
