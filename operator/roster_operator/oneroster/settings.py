"""How to reach a REST source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .addresses import Network
from .entities import Entity
from .errors import OneRosterError, Reason
from .http import Timeouts

AuthType = Literal["OAuth2", "OAuth1", "Bearer"]
TokenStyle = Literal["Auto", "Basic", "Body", "Query"]
SignatureMethod = Literal["HMAC-SHA256", "HMAC-SHA1"]
Version = Literal["1.1", "1.2"]

# Version and base path of the standard, best first.
BASE_PATHS: tuple[tuple[Version, str], ...] = (
    ("1.2", "/ims/oneroster/rostering/v1p2"),
    ("1.1", "/ims/oneroster/v1p1"),
)


@dataclass(frozen=True, kw_only=True)
class RestSettings:
    """Everything a RestSource needs to know.

    endpoint: the server's OneRoster address, with or without a base path. base_paths: version and path from the
    endpoint to its collections, in the order in which Auto tries them.
    auth: how to authenticate. OAuth2 needs token_url (it may have a query), client_id, client_secret; OAuth1 the last
    two; Bearer token. token_style: where a token request carries credentials and form; keep_cookies: cookies of the
    token answer are sent with later requests to the same origin. scopes: what to ask for; empty means the standard's
    for the version, with demographics where they are granted. signature_method: of OAuth1.
    query: parameters that every request for records carries.
    hints: by reason, what this vendor's failures of that kind usually mean: a sentence before the next step.
    page_size: records asked for at once. max_concurrency: requests at a time.
    ca_bundle: PEM, trusted besides the system's authorities.
    allow_addresses: ranges the operator opens beyond public ones; deny_addresses: ranges it closes.
    allow_insecure: http, where the operator permits it.
    retry_budget: seconds that one request may take with all its tries; retry_wait and
    retry_wait_max: seconds of the first and the longest pause. max_body: bytes of one unpacked page.
    changed_since: None pulls everything. Else a delta: of each entity named here what changed after that
    moment, of the others everything; what is not shown has not vanished.
    """

    endpoint: str
    base_paths: tuple[tuple[Version, str], ...] = BASE_PATHS
    version: Literal["Auto", "1.1", "1.2"] = "Auto"
    auth: AuthType = "OAuth2"
    token_url: str = ""
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_style: TokenStyle = "Auto"  # noqa: S105 (a style, not a secret)
    keep_cookies: bool = False
    signature_method: SignatureMethod = "HMAC-SHA256"
    scopes: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    hints: Mapping[str, str] = field(default_factory=dict[str, str])
    page_size: int = 1000
    max_concurrency: int = 1
    requests_per_second: float | None = None
    ca_bundle: str | None = field(default=None, repr=False)
    allow_addresses: tuple[Network, ...] = ()
    deny_addresses: tuple[Network, ...] = ()
    allow_insecure: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry_budget: float = 120.0
    retry_attempts: int = 10
    retry_wait: float = 1.0
    retry_wait_max: float = 30.0
    max_body: int = 64 * 2**20
    changed_since: Mapping[Entity, datetime] | None = None


_SENDABLE = re.compile(r"[\x21-\x7e]+")


def needed(value: str, what: str) -> str:
    """A credential that must not be empty. Raises SettingsInvalid."""
    if not value:
        raise OneRosterError(Reason.SETTINGS_INVALID, f"The {what} is missing.", f"Put the {what} into the Secret.")
    return value


def sendable(value: str, what: str) -> str:
    """A credential that stands in a header as it is. Raises SettingsInvalid."""
    if not _SENDABLE.fullmatch(value):
        raise OneRosterError(
            Reason.SETTINGS_INVALID,
            f"The {what} holds blanks or characters that no header can carry.",
            f"Copy the {what} into the Secret again, without anything around it.",
        )
    return value
