"""What the console takes from the room of the standard: meanings and remedies, vendors' profiles, a reader of bundles.

The one module here that may import it (see the contract in pyproject.toml): nothing of it reaches out to a source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from roster_operator.oneroster.catalogue import CATALOGUE
from roster_operator.oneroster.csvfiles.faults import FAULTS
from roster_operator.oneroster.csvfiles.report import Report
from roster_operator.oneroster.csvfiles.validate import validate
from roster_operator.oneroster.profile import Profile, profiles

__all__ = ["Profile", "Report", "check_bundle", "meaning", "remedy", "vendors"]


def meaning(code: str) -> str:
    """What an issue or a check says, in a sentence; empty for a code of a newer operator."""
    found = CATALOGUE.get(code) or FAULTS.get(code)
    return found.meaning if found else ""


def remedy(code: str) -> str:
    """What to do about it; empty for a code of a newer operator."""
    found = CATALOGUE.get(code) or FAULTS.get(code)
    return found.remedy if found else ""


def vendors() -> Mapping[str, Profile]:
    """All profiles by name."""
    return profiles()


def check_bundle(file: BinaryIO) -> Report:
    """Everything that is wrong with a zip; no value of it is in the report. Takes its time: not for the event loop."""
    return validate(file)
