"""Which academic sessions belong to a school year that is under way. See docs/how-to/scope.md."""

from __future__ import annotations

from collections.abc import Mapping

from tests.model.records import Values


def current(sessions: Mapping[str, Values], today: str) -> set[str]:
    """Ids of the sessions under way, of those of the same school year, and of all their parents and children. Where
    none is under way, of those that have begun the ones that ended last count."""
    begun = {i: v for i, v in sessions.items() if v["start_date"] <= today}
    found = {i for i, v in begun.items() if today < v["end_date"]}
    if not found:
        last = max((v["end_date"] for v in begun.values()), default=None)
        found = {i for i, v in begun.items() if v["end_date"] == last}
    years = {sessions[i]["school_year"] for i in found} - {None}
    found |= {i for i, v in sessions.items() if v["school_year"] in years}
    parents = {i: v["parent_sourced_id"] for i, v in sessions.items()}
    while more := {parents[i] for i in found if parents[i] in sessions} - found:
        found |= more
    while more := {i for i, parent in parents.items() if parent in found} - found:
        found |= more
    return found
