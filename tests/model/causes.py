"""Why a record goes: the first that fits of docs/how-to/limits.md, asked of the district as it will be then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tests.model.records import Values

if TYPE_CHECKING:
    from tests.model.plan import Run

# What only a pull that is proved complete may remove.
REMOVALS = ("tobedeleted", "vanished")


@dataclass(frozen=True)
class Causes:
    """over: ids of sessions that have ended. over_classes: of classes all of whose terms have. closed: of schools."""

    run: Run
    today: str
    over: frozenset[str]
    over_classes: frozenset[str]
    closed: frozenset[str]

    def of(self, entity: str, way: str, sourced_id: str) -> str:
        """The name under which a merged row goes in this way."""
        values = self.run.district.rows[entity][sourced_id].values
        if way == "undone":
            return way
        if self._concluded(entity, sourced_id, values):
            return "concluded"
        if way in REMOVALS and self._school(entity, sourced_id, values) in self.closed:
            return "schoolClosed"
        return way

    def _concluded(self, entity: str, sourced_id: str, values: Values) -> bool:
        if entity == "academicSessions":
            return _past(values["end_date"], self.today)
        if entity == "classes":
            return _all_over(values, self.over)
        return entity == "enrollments" and (
            _past(values["end_date"], self.today) or values["class_sourced_id"] in self.over_classes
        )

    def _school(self, entity: str, sourced_id: str, values: Values) -> str | None:
        """With which school it goes: a person with the first that they name, demographics with their person."""
        if entity == "courses":
            return values["org_sourced_id"]
        if entity in {"classes", "enrollments"}:
            return values["school_sourced_id"]
        if entity not in {"users", "demographics"}:
            return None
        user = self.run.district.rows["users"].get(sourced_id)
        stays = entity == "demographics" and self.run.stages_active("users", sourced_id)
        return None if user is None or stays else user.values["org_sourced_ids"][0]


def causes(run: Run, today: date) -> Causes:
    """today: the day on which the run began, in UTC."""
    day = today.isoformat()
    over = frozenset(i for i, v in _afterwards(run, "academicSessions").items() if _past(v["end_date"], day))
    over_classes = frozenset(i for i, v in _afterwards(run, "classes").items() if _all_over(v, over))
    return Causes(run, day, over, over_classes, _closed(run))


def _past(end: str | None, today: str) -> bool:
    """An endDate is exclusive: what ends today has ended."""
    return end is not None and end <= today


def _all_over(values: Values, over: frozenset[str]) -> bool:
    return bool(values["term_sourced_ids"]) and over.issuperset(values["term_sourced_ids"])


def _afterwards(run: Run, entity: str) -> Mapping[str, Values]:
    """Everything that was ever merged, as the merge leaves it; also what is inactive."""
    merged = {i: row.values for i, row in run.district.rows[entity].items()}
    return merged | {i: run.row(entity, i).values for i, o in run.offers(entity).items() if o.status == "active"}


def _closed(run: Run) -> frozenset[str]:
    """Schools that are not there after the merge: they go with it, or went before."""
    rows = run.district.rows["orgs"]
    stay = {i for i, offer in run.offers("orgs").items() if offer.status == "active"}
    going = {i for way, i, _ in run.ways("orgs") if way in REMOVALS and run.may_remove}
    before = {i for i, row in rows.items() if not row.active} - stay
    return frozenset(i for i in going | before if rows[i].values["type"] == "school")
