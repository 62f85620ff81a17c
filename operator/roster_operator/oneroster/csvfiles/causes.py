"""Which faults of a bundle are roots, and which can only follow from them: the order in which they are told. Pure."""

from collections.abc import Iterable
from enum import IntEnum

from roster_operator.oneroster.errors import Reason

from .faults import FAULTS, Finding
from .tables import MANIFEST, TABLES


class _Stage(IntEnum):
    """Each can make what comes after it look wrong."""

    CONTAINER = 0
    MANIFEST = 1  # what it says of itself
    PROMISE = 2  # what it says of the files
    BYTES = 3
    HEADER = 4
    REST = 5  # refuses nothing as a whole


_PLACES = {f"{name}.csv": place for place, name in enumerate((MANIFEST, *TABLES["1.2"]))}
_CODES = {code: place for place, code in enumerate(FAULTS)}
_STAGES = {
    Reason.FILE_MISSING: _Stage.PROMISE,
    Reason.BUNDLE_MANIFEST_INVALID: _Stage.PROMISE,
    Reason.VERSION_UNSUPPORTED: _Stage.PROMISE,
    Reason.HEADER_INVALID: _Stage.HEADER,
}


def fatal(findings: Iterable[Finding]) -> list[Finding]:
    """Those for which the bundle as a whole is refused, roots first, each once."""
    return roots_first(dict.fromkeys(each for each in findings if each.fault.reason is not None))


def roots_first(findings: Iterable[Finding]) -> list[Finding]:
    """What refuses the bundle, by what it can cause; then the rest as it came."""
    return sorted(findings, key=_rank)


def _rank(finding: Finding) -> tuple[_Stage, int, int, int]:
    reason = finding.fault.reason
    if reason is None:
        return _Stage.REST, 0, 0, 0
    place = _PLACES.get(finding.file, len(_PLACES))
    if not finding.file or finding.code in ("FolderTooDeep", "DuplicateEntry"):
        stage = _Stage.CONTAINER
    # Whatever is wrong with the manifest itself comes before what it says of the others.
    elif not place:
        stage = _Stage.MANIFEST
    else:
        stage = _STAGES.get(reason, _Stage.BYTES)
    return stage, place, finding.line, _CODES[finding.code]
