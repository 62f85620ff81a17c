"""Whether a walk through a collection proved that it saw everything. Pure."""

import msgspec

from .entities import Entity

ERROR_PAST_THE_END = "error past the end"
NO_NEW_ID = "no new id"


class PullReport(msgspec.Struct, frozen=True):
    """What a walk saw. records counts everything delivered, duplicates too. ended_by is None when the
    walk did not come to its end.

    total: the server's last word; total_changed: it had another before. revision_changed: the server
    said that its data changed meanwhile. page_limit: the most records it gave at once.
    delta: only what changed was shown, so what was not shown has not vanished. unproved: the source's
    own reason why this is no proof, however the numbers look ("HeaderOnly").
    looks_agree: whether a second walk, made where the server gave no total, showed the same ids; None
    where there was none, or it did not come to its end.
    """

    entity: Entity
    pages: int
    records: int
    total: int | None
    ended_by: str | None
    total_changed: bool
    revision_changed: bool
    page_limit: int
    delta: bool = False
    unproved: str | None = None
    looks_agree: bool | None = None


class Completeness(msgspec.Struct, frozen=True):
    """Whether a pull proved complete; reason: why, or why not (stable)."""

    complete: bool
    reason: str


def completeness(report: PullReport, distinct: int) -> Completeness:
    """The proof that a pull holds everything the server has: distinct ids equal its one, steady total; or, of a
    server that gives none, two walks showed the same ids.

    distinct: how many different sourcedIds the records had. Without proof nothing may be removed.
    """
    if report.ended_by is None:
        return Completeness(False, "NotFinished")
    if report.unproved is not None:
        return Completeness(False, report.unproved)
    if report.total_changed or report.revision_changed:
        return Completeness(False, "ChangedWhilePaging")
    if distinct != report.records:
        return Completeness(False, "DuplicateIds")
    if report.total is None:
        return _by_looks(report)
    if report.ended_by == ERROR_PAST_THE_END and report.pages < 2:
        # The total may be that of the page alone, and nothing showed that there is no other page.
        return Completeness(False, "EndNotSeen")
    if distinct != report.total:
        return Completeness(False, "FewerThanTotal" if distinct < report.total else "MoreThanTotal")
    return Completeness(True, "DistinctEqualsTotal")


def _by_looks(report: PullReport) -> Completeness:
    if report.looks_agree is None:
        return Completeness(False, "NoTotal")
    if not report.looks_agree:
        return Completeness(False, "LooksDiffer")
    # A server that knows no pages may show the beginning twice, and one that fails may fail twice at the same place.
    if report.ended_by == ERROR_PAST_THE_END or (report.ended_by == NO_NEW_ID and report.pages < 2):
        return Completeness(False, "EndNotSeen")
    return Completeness(True, "TwoEqualLooks")
