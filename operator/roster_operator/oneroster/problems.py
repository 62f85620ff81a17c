"""What is wrong with one record, said without any of its values."""

from typing import Literal, NamedTuple

import msgspec

from .records import Record

# The source withholds a field's value.
VALUE_MASKED = "ValueMasked"


class Problem(msgspec.Struct, frozen=True, gc=False):
    """One finding: a stable code and the standard's name of the field, never a value."""

    code: str
    severity: Literal["error", "warning"]
    field: str | None


class Decoded(NamedTuple):
    """One record, read.

    record is None when it is invalid; sourced_id is then given if it could be read. secret: the raw
    record held a password or credentials, which were dropped; no hash of the raw bytes may be kept.
    """

    record: Record | None
    sourced_id: str | None
    problems: tuple[Problem, ...]
    secret: bool
