"""What a validation found: exact counts, and of each kind the first thousand with their places."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .faults import FAULTS, Finding

KEPT = 1_000


@dataclass
class Report:
    """One bundle. rows: of each file that was read, without its header. counts: by (code, file), exact.

    findings: root causes first, at most KEPT of each code. rejected: files that could not be read.
    """

    name: str
    version: str = ""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    findings: list[Finding] = field(default_factory=list[Finding])
    _kept: Counter[str] = field(default_factory=Counter[str])

    def add(self, finding: Finding) -> None:
        """Counts a finding, and keeps it where there is room."""
        self.counts[finding.code, finding.file] += 1
        if self._kept[finding.code] < KEPT:
            self._kept[finding.code] += 1
            self.findings.append(finding)

    def add_all(self, code: str, file: str, lines: Iterable[int], total: int, column: str = "") -> None:
        """As many findings as `total`; lines: of the first of them, at least KEPT where there are so many."""
        self.counts[code, file] += total
        for line in lines:
            if self._kept[code] >= KEPT:
                return
            self._kept[code] += 1
            self.findings.append(Finding(code, file, line, column))

    def follow(self, file: str, count: int, codes: Iterable[str]) -> bool:
        """Says of the first finding about a file that `count` problems follow from it. False: there is none."""
        wanted = set(codes)
        for at, finding in enumerate(self.findings):
            if finding.file == file and finding.code in wanted:
                self.findings[at] = replace(finding, follows=finding.follows + count)
                return True
        return False

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(count for (code, _), count in self.counts.items() if FAULTS[code].severity == "error")

    @property
    def warnings(self) -> int:
        """How many are warnings."""
        return sum(count for (code, _), count in self.counts.items() if FAULTS[code].severity == "warning")

    @property
    def conforms(self) -> bool:
        """Whether nothing breaks the standard, understood or not."""
        return not any(FAULTS[code].standard and FAULTS[code].severity != "info" for code, _ in self.counts)

    @property
    def rejected(self) -> list[str]:
        """Files that are not taken, or of which rows are not."""
        return sorted({file for code, file in self.counts if file and FAULTS[code].severity == "error"})

    @property
    def imported(self) -> list[str]:
        """Files that are taken whole."""
        return [file for file in self.rows if file not in self.rejected]
