"""A vendor's server by the way that a connection takes: its spec, its Secret, the vendor's profile."""

from __future__ import annotations

import dataclasses
from typing import Any

from roster_operator.api.sources import ApiSource
from roster_operator.api.task import Policy
from roster_operator.oneroster.rest import Timeouts
from roster_operator.oneroster.settings import RestSettings
from roster_operator.worker.sources import rest_settings

from .campus import InfiniteCampus
from .classlink import Proxy, RosterServer
from .dress import Vendor
from .skyward import Skyward
from .standard import Standard
from .synergy import Synergy

DRESSES: list[tuple[type[Vendor], str]] = [
    (RosterServer, "1.1"), (Proxy, "1.1"), (InfiniteCampus, "1.2"), (InfiniteCampus, "1.1"), (Skyward, "1.1"),
    (Synergy, "1.2"), (Synergy, "1.1"), (Standard, "1.2"), (Standard, "1.1"),
]  # fmt: skip


class Held:
    """The values of a Secret."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def need(self, name: str) -> str:
        return self._values[name]

    def maybe(self, name: str) -> str | None:
        return self._values.get(name)


def settings(vendor: Vendor, secrets: dict[str, str] | None = None, **spec: Any) -> RestSettings:
    """`spec` and `secrets` go over what an administrator would write. With little patience."""
    spec = vendor.spec() | {"allowInsecure": True, "pageSize": 40} | spec
    policy = Policy(allow_addresses=["127.0.0.0/8"], allow_insecure=True)
    made = rest_settings(ApiSource.model_validate(spec), Held(vendor.held() | (secrets or {})), policy)
    return dataclasses.replace(
        made, timeouts=Timeouts(connect=2, read=2, total=5), retry_budget=4.0, retry_attempts=3, retry_wait=0.01,
        retry_wait_max=0.02,
    )  # fmt: skip
