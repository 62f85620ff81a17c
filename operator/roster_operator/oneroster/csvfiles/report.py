"""What a validation found: exact counts, and of each kind the first thousand with their places."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .faults import FAULTS, Finding
from .schools import Schools

KEPT = 1_000


@dataclass
class Report:
    """One bundle. rows: of each file that was read, without its header. counts: by (code, file), exact.

    findings: root causes first, at most KEPT of each code. rejected: files that could not be read. schools: of each
    kind, how often at each of the KEPT schools with the most, exact; a school is its line in orgs.csv, and 0 stands for
    the rest, and for what is at no school that is known.
    """

    name: str
    version: str = ""
    rows: dict[str, int] = field(default_factory=dict[str, int])
    counts: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    findings: list[Finding] = field(default_factory=list[Finding])
    schools: dict[tuple[str, str], Counter[int]] = field(default_factory=dict[tuple[str, str], Counter[int]])
    _lines: "dict[tuple[str, str], array[int]]" = field(default_factory=dict[tuple[str, str], "array[int]"])
    _kept: Counter[str] = field(default_factory=Counter[str])

    def add(self, finding: Finding) -> None:
        """Counts a finding, and keeps it where there is room."""
        kind = finding.code, finding.file
        self.counts[kind] += 1
        if finding.line:
            self._lines.setdefault(kind, array("I")).append(finding.line)
        if self._kept[finding.code] < KEPT:
            self._kept[finding.code] += 1
            self.findings.append(finding)

    def add_all(self, code: str, file: str, lines: NDArray[np.int64], column: str = "") -> None:
        """A finding on each of these lines."""
        self.counts[code, file] += len(lines)
        self._lines.setdefault((code, file), array("I")).extend(lines.tolist())
        for line in lines[: KEPT - self._kept[code]].tolist():
            self._kept[code] += 1
            self.findings.append(Finding(code, file, line, column))

    def count_schools(self, schools: Schools) -> None:
        """Works out `schools`, and which school each finding is of. Comes last."""
        of_line: dict[tuple[str, str], dict[int, int]] = {}
        for kind, lines in self._lines.items():
            code, file = kind
            at = schools.at_lines(file.removesuffix(".csv"), np.array(lines, dtype=np.uint32))
            known, counts = np.unique(at[at != 0], return_counts=True)
            if len(known):
                most = np.argsort(-counts, kind="stable")[:KEPT]
                found = Counter(dict(zip(known[most].tolist(), counts[most].tolist(), strict=True)))
                found[0] = self.counts[code, file] - found.total()
                self.schools[kind] = +found
                # Those that are kept are the first of their kind.
                of_line[kind] = dict(zip(lines[:KEPT], at[:KEPT].tolist(), strict=True))
        for number, finding in enumerate(self.findings):
            kind = finding.code, finding.file
            school = of_line.get(kind, {}).get(finding.line, 0)
            if school in self.schools.get(kind, ()):
                self.findings[number] = replace(finding, school=school)

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
    def readable(self) -> bool:
        """Whether a sync could be made of the bundle: nothing refuses it as a whole."""
        return bool(self.version) and not any(FAULTS[code].reason for code, _ in self.counts)

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
