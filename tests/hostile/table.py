"""All cases, family by family."""

from __future__ import annotations

from . import transport_addresses, transport_answers, transport_wire
from .cases import Case

CASES: list[Case] = [
    *transport_answers.CASES,
    *transport_wire.CASES,
    *transport_addresses.CASES,
]
