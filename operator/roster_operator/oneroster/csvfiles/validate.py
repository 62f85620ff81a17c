"""Everything that is wrong with a bundle, without a database: files, rows, references, and what can hardly be meant."""

from pathlib import Path
from typing import BinaryIO

from .bundle import MAX_BYTES, Bundle
from .causes import roots_first
from .columns import FileCheck
from .faults import BundleError, Finding
from .kept import Kept
from .references import References
from .report import Report
from .sanity import Sanity
from .schools import Schools
from .tables import TABLES


def validate(file: BinaryIO | Path, *, max_bytes: int = MAX_BYTES) -> Report:
    """Reads a whole bundle, in memory that grows by some dozen bytes a row. Raises nothing for what is in it."""
    report = Report(file.resolve().name if isinstance(file, Path) else "bundle")
    try:
        with Bundle(file, max_bytes=max_bytes) as bundle:
            _read(bundle, report)
    except BundleError as error:
        for finding in error.findings:
            report.add(finding)
    report.findings = roots_first(report.findings)
    return report


def _read(bundle: Bundle, report: Report) -> None:
    if not bundle.manifest.told:
        for finding in dict.fromkeys((*bundle.fatal(), *bundle.findings)):
            report.add(finding)
        return
    for finding in bundle.findings:
        report.add(finding)
    report.version = bundle.version
    tables = TABLES[bundle.version]
    kept: dict[str, Kept] = {}
    whole: set[str] = set()
    for name in tables:
        file = bundle.files.get(name)
        if file is None:
            continue
        found = Kept()
        check = FileCheck(file.layout, report, found, bulk=file.bulk)
        last_short = False
        try:
            for part in bundle.rows(file):
                last_short = bool(part.rows) and len(part.rows[-1]) < file.layout.named
                check.take(part)
        except BundleError as error:
            report.add(error.finding)
            continue
        report.rows[file.shown] = found.count
        kept[name] = found
        if file.bulk:
            whole.add(name)
            if not found.count:
                report.add(Finding("HeaderOnly", file.shown))
        if last_short and not file.text.whole:
            report.add(Finding("CutShort", file.shown, found.line(found.count - 1)))
    offered = frozenset({*bundle.manifest.modes, *bundle.manifest.missing})
    references = References(report, kept, frozenset(whole), offered)
    for name in kept:
        references.check(tables[name])
    Sanity(report, tables, {name: kept[name] for name in whole}).check()
    report.count_schools(Schools(kept))
