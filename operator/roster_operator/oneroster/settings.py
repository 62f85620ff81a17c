"""How to reach a REST source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .addresses import Network
from .entities import Entity
from .http import Timeouts


@dataclass(frozen=True, kw_only=True)
class RestSettings:
    """Everything a RestSource needs to know.

    endpoint: the server's OneRoster address, with or without the standard's base path.
    token_url: the OAuth 2 token endpoint; it may have a query. scopes: what to ask for; empty means
    the standard's for the version, with demographics where they are granted.
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
    token_url: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    version: Literal["Auto", "1.1", "1.2"] = "Auto"
    scopes: tuple[str, ...] = ()
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
