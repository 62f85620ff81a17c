"""All cases, family by family."""

from __future__ import annotations

from . import (
    csv_files,
    json_bodies,
    keys,
    oauth,
    sftp,
    signed,
    token_styles,
    transport_addresses,
    transport_answers,
    transport_wire,
    values,
    vendors,
    zip_files,
)
from .cases import Case

CASES: list[Case] = [
    *transport_answers.CASES,
    *transport_wire.CASES,
    *transport_addresses.CASES,
    *oauth.CASES,
    *token_styles.CASES,
    *signed.CASES,
    *keys.CASES,
    *vendors.CASES,
    *json_bodies.CASES,
    *values.CASES,
    *csv_files.CASES,
    *zip_files.CASES,
    *sftp.CASES,
]
