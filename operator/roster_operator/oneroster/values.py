"""Single values as they come in the field, and what they mean.

The tables are looked up in the hot path of a first load: a dictionary hit, never a parse, wherever
values repeat.
"""

from datetime import UTC, date, datetime
from typing import Any

import msgspec

MAX_ID = 255
MAX_TEXT = 2_000
MAX_METADATA_BYTES = 16_384
MAX_METADATA_DEPTH = 8
MAX_RECORD_BYTES = 262_144

# true, 1 and 1.0 are one key in Python, as are false and 0.
BOOLEANS: dict[Any, bool] = {
    True: True,
    False: False,
    **dict.fromkeys(("true", "True", "TRUE", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "0"), False),
}

STATUSES = {"active": "active", "tobedeleted": "tobedeleted", "inactive": "tobedeleted"}

ROLES = frozenset(
    {
        "administrator", "aide", "guardian", "parent", "proctor", "relative", "student", "teacher",
        "counselor", "districtAdministrator", "principal", "siteAdministrator", "systemAdministrator",
    }
)  # fmt: skip
ENROLLMENT_ROLES = frozenset({"administrator", "aide", "proctor", "student", "teacher"})
ROLE_TYPES = frozenset({"primary", "secondary"})
ORG_TYPES = frozenset({"department", "school", "district", "local", "state", "national"})
SESSION_TYPES = frozenset({"gradingPeriod", "semester", "schoolYear", "term"})
CLASS_TYPES = frozenset({"homeroom", "scheduled"})
SEXES = frozenset({"male", "female", "unspecified", "other"})


def known(value: str, vocabulary: frozenset[str]) -> tuple[str, bool]:
    """The vocabulary's own spelling of a value, and whether the standard allows the value."""
    if value in vocabulary or value.startswith("ext:"):
        return value, True
    folded = value.strip().lower()
    for term in vocabulary:
        if term.lower() == folded:
            return term, True
    return value, False


_ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth",
             "Eleventh", "Twelfth", "Thirteenth")  # fmt: skip


def _grade_spellings() -> dict[str, str]:
    spellings = {
        **dict.fromkeys(("K", "k", "KG", "Kindergarten", "kindergarten"), "KG"),
        **dict.fromkeys(("PK", "Pre-K", "PreK", "Pre-Kindergarten", "Prekindergarten"), "PK"),
    }
    for number, ordinal in enumerate(_ORDINALS, start=1):
        grade = f"{number:02}"
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(number, "th")
        for form in (str(number), grade, ordinal, f"{number}{suffix}"):
            spellings[form] = grade
            for word in (" grade", " Grade"):
                spellings[form + word] = grade
        spellings[f"Grade {number}"] = grade
    return spellings


# Grades of the CEDS list by their usual spellings; what is not here stays as it came.
GRADES = _grade_spellings()


# A district has a few thousand distinct days. The cap keeps a hostile one from filling the memory.
_DAYS: dict[str, date] = {}
_DAYS_CAP = 50_000


def day(text: str) -> date:
    """A date from YYYY-MM-DD. Raises ValueError for anything else."""
    known_day = _DAYS.get(text)
    if known_day is not None:
        return known_day
    # fromisoformat alone would also take 20260801 and 2026-W31-6.
    if len(text) != 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        raise ValueError("not a date")
    value = date.fromisoformat(text)
    if len(_DAYS) < _DAYS_CAP:
        _DAYS[text] = value
    return value


def stamp(text: str) -> datetime:
    """A moment in UTC; without a zone it is taken as UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


def metadata_fault(metadata: dict[str, Any], raw_size: int) -> str | None:
    """The problem code of metadata that PostgreSQL or a reader could not take, or None.

    raw_size: bytes of the whole record as it came. When even that is within the limit, metadata
    need not be measured.
    """
    try:
        fault = _walk(metadata, 1)
        if fault is None and raw_size > MAX_METADATA_BYTES and len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
            return "MetadataTooLarge"
    except RecursionError:
        return "MetadataTooDeep"
    return fault


def _walk(value: Any, depth: int) -> str | None:
    kind = type(value)
    if kind is str:
        return "NulCharacter" if "\0" in value else None
    if kind is dict:
        if depth > MAX_METADATA_DEPTH:
            return "MetadataTooDeep"
        for key, item in value.items():
            fault = "NulCharacter" if "\0" in key else _walk(item, depth + 1)
            if fault:
                return fault
    elif kind is list:
        if depth > MAX_METADATA_DEPTH:
            return "MetadataTooDeep"
        for item in value:
            fault = _walk(item, depth + 1)
            if fault:
                return fault
    elif kind is int and not -(2**63) <= value < 2**63:
        # The canonical encoding has no such number, and a database column of an application hardly either.
        return "NumberOutOfRange"
    return None


_SECRET_WORDS = ("password", "credential")


def plain_metadata(metadata: dict[str, Any], raw_size: int) -> bool:
    """Whether metadata is what it nearly always is: small, flat, without secrets. For the hot path."""
    if raw_size > MAX_METADATA_BYTES:
        return False
    for key, item in metadata.items():
        kind = type(item)
        if kind is str:
            if "\0" in item:
                return False
        elif kind is not bool and kind is not float and item is not None:
            return False
        if key in _PLAIN_KEYS:
            continue
        if "\0" in key or is_secret_key(key):
            return False
        if len(_PLAIN_KEYS) < _PLAIN_KEYS_CAP:
            _PLAIN_KEYS.add(key)
    return True


# A source has a handful of metadata keys; judging each once is enough.
_PLAIN_KEYS: set[str] = set()
_PLAIN_KEYS_CAP = 1_000


def is_secret_key(key: str) -> bool:
    """Whether a field of this name carries something that must never be kept."""
    folded = key.lower()
    return any(word in folded for word in _SECRET_WORDS)


def has_secret(value: Any) -> bool:
    """Whether a password or credentials stand anywhere in a decoded record; empty ones do not count."""
    if isinstance(value, dict):
        return any((is_secret_key(key) and _filled(item)) or has_secret(item) for key, item in value.items())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return False


def _filled(value: Any) -> bool:
    return value is not False and value not in (None, "", [], {})


def without_secrets(value: Any) -> Any:
    """The value with every field of a secret name taken out, at any depth."""
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items() if not is_secret_key(key)}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value
