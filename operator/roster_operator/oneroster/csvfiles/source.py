"""A bundle of CSV files as a source of records, by the same protocol as a server."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.paging import Page, PullReport

from .bundle import MAX_BYTES, Bundle, File
from .faults import BundleError, Finding
from .folding import Roles
from .rows import Rows
from .shaping import CsvDecoder, Shaper, role
from .tables import Version

_PAGE = 2_000


class CsvSource:
    """A context manager around one bundle: a zip (a path, or a seekable file, which stays open) or a folder.

    Entering it looks at every file once, to its end, and raises BundleError (a OneRosterError) for whatever is wrong
    with the bundle as a whole. `findings` holds what is odd about the files and was understood.
    """

    def __init__(self, file: BinaryIO | Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._reports: dict[Entity, PullReport] = {}
        self._roles: Roles | None = None
        self.findings: list[Finding] = []

    def __enter__(self) -> Self:
        self._bundle = Bundle(self._file, max_bytes=self._max_bytes)
        for finding in self._bundle.findings:
            if finding.fault.severity == "error":
                self._bundle.close()
                raise BundleError(finding)
        self.findings = list(self._bundle.findings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bundle.close()

    @property
    def version(self) -> Version:
        """The version that the manifest names."""
        return self._bundle.version

    def reading(self, entity: Entity) -> str:
        """Bulk or delta: in the one an empty status means active. The bytes of a row say the rest."""
        file = self._bundle.files.get(entity.value)
        return "csv" if file is None else f"csv/{file.mode}"

    def offers(self, entity: Entity) -> bool:
        """False where the manifest calls the file absent."""
        return entity.value in self._bundle.files

    def decoder(self, entity: Entity) -> CsvDecoder:
        """Reads one row."""
        return CsvDecoder(entity, self.version)

    def report(self, entity: Entity) -> PullReport:
        """What the last walk through the file saw."""
        return self._reports[entity]

    def pages(self, entity: Entity) -> Iterator[Page]:
        """The rows of a file, from the first. Raises BundleError where the file breaks off or its quotes do."""
        file = self._bundle.files[entity.value]
        self._reports[entity] = PullReport(entity, 0, 0, None, None, False, False, 0, delta=not file.bulk)
        shaper = Shaper(file.layout, bulk=file.bulk)
        roles = self._folded() if entity is Entity.USERS and self.version == "1.2" else None
        at = file.layout.at["sourcedId"]
        number = count = largest = 0
        records: list[bytes] = []
        lines: list[int] = []
        short = False
        blank: Finding | None = None
        for part in self._bundle.rows(file):
            if part.blank and blank is None:
                blank = Finding("BlankLine", file.shown, part.blank[0])
            if part.rows:
                short = len(part.rows[-1]) < file.layout.named
            records += _shaped(shaper, part, roles, at)
            lines += part.lines
            if len(records) >= _PAGE:
                number += 1
                yield Page(number, count, records, None, lines)
                count, largest = count + len(records), max(largest, len(records))
                records, lines = [], []
        if records:
            number += 1
            yield Page(number, count, records, None, lines)
            count, largest = count + len(records), max(largest, len(records))
        unproved = self._odd(file, shaper, count, cut=short and not file.text.whole, blank=blank)
        self._reports[entity] = PullReport(
            entity, number, count, count, "end of file", False, False, largest, not file.bulk, unproved
        )

    def _odd(self, file: File, shaper: Shaper, count: int, *, cut: bool, blank: Finding | None) -> str | None:
        """Notes what the walk saw. Gives the reason why the file is no proof, or None."""
        codes = {
            "PasswordPresent": shaper.passwords,
            "StatusInBulk": shaper.filled,
            "CutShort": cut,
            "HeaderOnly": file.bulk and not count,
        }
        found = [Finding(code, file.shown) for code, there in codes.items() if there]
        self.findings += [finding for finding in (*found, *([blank] if blank else [])) if finding not in self.findings]
        return "HeaderOnly" if codes["HeaderOnly"] else "CutShort" if cut else None

    def _folded(self) -> Roles:
        if self._roles is None:
            file = self._bundle.files["roles"]
            shaper = Shaper(file.layout, bulk=file.bulk)
            rows = (row for part in self._bundle.rows(file) for row in part.rows)
            self._roles = Roles(role(shaper, file.layout, row) for row in rows)
        return self._roles


def _shaped(shaper: Shaper, part: Rows, roles: Roles | None, at: int) -> list[bytes]:
    if roles is None:
        return [shaper.row(row) for row in part.rows]
    users = [row[at] if at < len(row) else "" for row in part.rows]
    return [shaper.row(row, theirs) for row, theirs in zip(part.rows, roles.of(users), strict=True)]
