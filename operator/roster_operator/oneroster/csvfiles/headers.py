"""Which column of a file is which: by name, whatever the order, with a finding for whatever is odd. Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from roster_operator.oneroster.values import is_secret_key

from .faults import Finding
from .tables import ALIASES, TABLES, Column, Kind, Table, Version

METADATA = "metadata."
# The widest table has two dozen. Each column beyond may be a finding, and is compared with all names.
_MAX_COLUMNS = 1_000


@dataclass
class Layout:
    """at: the position of each column of the standard that the file has. metadata: (position, name). width: cells of
    the header; named: cells up to the last one that has a name, for rows may lack the nameless."""

    table: Table
    at: dict[str, int] = field(default_factory=dict[str, int])
    metadata: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    width: int = 0
    named: int = 0
    line: int = 1
    findings: list[Finding] = field(default_factory=list[Finding])

    def note(self, code: str, column: str = "") -> None:
        """Adds a finding about the header."""
        self.findings.append(Finding(code, self.table.file, self.line, column))

    @property
    def usable(self) -> bool:
        """Whether rows can be read by it."""
        return not any(finding.fault.severity == "error" for finding in self.findings)


def read_header(table: Table, version: Version, cells: Sequence[str], line: int = 1) -> Layout:
    """Finds every column; `usable` says whether that was enough."""
    layout = Layout(table, width=len(cells), line=line)
    if len(cells) > _MAX_COLUMNS:
        layout.note("TooManyColumns")
        return layout
    standard = {column.name: column for column in table.columns}
    unknown: list[tuple[int, str]] = []
    for position, cell in enumerate(cells):
        name = "".join(letter for letter in cell if unicodedata.category(letter) not in ("Cf", "Cc")).strip()
        if not name:
            layout.note("HeaderNameless", f"number {position + 1}")
            continue
        layout.named = position + 1
        if name.lower().startswith(METADATA) and len(name) > len(METADATA):
            # What is called a password is dropped wherever it stands.
            if is_secret_key(name):
                layout.note("PasswordPresent", f"number {position + 1}")
            else:
                layout.metadata.append((position, name[len(METADATA) :]))
            continue
        known, code = _known(standard, name)
        if known is None:
            unknown.append((position, name))
            continue
        if name != cell:
            layout.note("HeaderInvisible", known)
        if code:
            layout.note(code, known)
        if known in layout.at:
            layout.note("DuplicateHeader", known)
        layout.at[known] = position
    _guess(layout, standard, unknown)
    for position, _ in unknown:
        layout.note("HeaderUnknown", f"number {position + 1}")
    _judge(layout, version, cells)
    for column in table.columns:
        if column.kind is Kind.OLD:
            layout.at.pop(column.name, None)
    return layout


def _known(standard: dict[str, Column], name: str) -> tuple[str | None, str]:
    """(the standard's name or None, code of a finding or "")."""
    if name in standard:
        return name, "HeaderOld" if standard[name].kind is Kind.OLD else ""
    folded = name.lower()
    for each in standard:
        if each.lower() == folded:
            # 1.0 wrote birthdate; there it is no matter of letters, and the meaning is the same.
            return each, "HeaderCase"
    alias = ALIASES.get(folded)
    return (alias, "HeaderMisspelt") if alias in standard else (None, "")


def _guess(layout: Layout, standard: dict[str, Column], unknown: list[tuple[int, str]]) -> None:
    """A misspelt name is understood where exactly one missing column is close to it."""
    for position, name in list(unknown):
        missing = [
            each
            for each, column in standard.items()
            if each not in layout.at and column.kind not in (Kind.OLD, Kind.PASSWORD)
        ]
        close = get_close_matches(name, missing, n=2, cutoff=0.9)
        if len(close) == 1 and not is_secret_key(name):
            layout.at[close[0]] = position
            layout.note("HeaderMisspelt", close[0])
            unknown.remove((position, name))


def _judge(layout: Layout, version: Version, cells: Sequence[str]) -> None:
    table, at = layout.table, layout.at
    if not at:
        layout.note("HeaderMissing")
        return
    missing = [column for column in table.columns if column.name not in at and column.kind is not Kind.OLD]
    if any(column.need == "required" for column in missing):
        here = {cell.strip() for cell in cells}
        for other in TABLES[version].values():
            theirs = {column.name for column in other.columns if column.kind is not Kind.OLD}
            if other.name != table.name and theirs <= here:
                layout.note("WrongTable")
                return
    for column in missing:
        layout.note("MissingHeader" if column.need == "required" else "MissingOptionalHeader", column.name)
    places = [at[column.name] for column in table.columns if column.name in at]
    if places != sorted(places):
        layout.note("HeaderOrder")
    if any(position < max(places) for position, _ in layout.metadata):
        layout.note("MetadataInTheMiddle")
    if layout.metadata and table.entity is None:
        layout.note("MetadataNotKept")
    if len({name for _, name in layout.metadata}) != len(layout.metadata):
        layout.note("DuplicateHeader", "metadata")
