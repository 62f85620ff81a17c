"""What the console takes from the room of the standard: meanings and remedies, vendors' profiles, a reader of bundles.

The one module here that may import it (see the contract in pyproject.toml): nothing of it reaches out to a source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from roster_operator.oneroster.catalogue import meaning, remedy
from roster_operator.oneroster.csvfiles.cells import safe_cell
from roster_operator.oneroster.csvfiles.faults import FAULTS
from roster_operator.oneroster.csvfiles.report import Report
from roster_operator.oneroster.csvfiles.validate import validate
from roster_operator.oneroster.profile import Profile, profiles

__all__ = ["Profile", "Report", "check_bundle", "grouped", "meaning", "remedy", "safe_cell", "vendors"]


@dataclass(frozen=True)
class Group:
    """One kind of fault in one file. places: of the first of them. count: exact."""

    code: str
    severity: str
    file: str
    count: int
    meaning: str
    remedy: str
    places: tuple[str, ...]


def vendors() -> Mapping[str, Profile]:
    """All profiles by name."""
    return profiles()


def check_bundle(file: IO[bytes]) -> Report:
    """Everything that is wrong with a zip; no value of it is in the report. Takes its time: not for the event loop."""
    return validate(cast("BinaryIO", file))


def grouped(report: Report, most: int) -> list[Group]:
    """The findings by kind and file, errors first."""
    places: dict[tuple[str, str], list[str]] = {}
    for finding in report.findings:
        if finding.line or finding.column:
            where = " ".join(
                part for part in (f"line {finding.line:,}" if finding.line else "", finding.column) if part
            )
            places.setdefault((finding.code, finding.file), []).append(where)
    rank = {"error": 0, "warning": 1, "info": 2}
    found = [
        Group(code, FAULTS[code].severity, file, count, FAULTS[code].meaning, FAULTS[code].remedy,
              tuple(places.get((code, file), ())[:5]))
        for (code, file), count in report.counts.items()
    ]  # fmt: skip
    return sorted(found, key=lambda group: (rank[group.severity], -group.count, group.code, group.file))[:most]
