"""The plan, judged point by point, as a data manager would: what is fine, what to look at, what holds it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from roster_operator.api.sync import Phase, PublishedPlan

from . import standard
from .resources import Sync
from .words import joined, plural


@dataclass(frozen=True)
class Point:
    """One thing that was looked at. tone: good, look (nothing is wrong, but somebody should know) or held."""

    tone: str
    title: str
    sentence: str
    anchor: str = ""


@dataclass(frozen=True)
class Verdict:
    """The whole in a few words, and the points that it follows from, the worst first."""

    tone: str
    title: str
    advice: str
    points: tuple[Point, ...]


_RANK = {"held": 0, "look": 1, "good": 2}


def verdict(sync: Sync) -> Verdict | None:
    """None where there is no plan to judge."""
    plan = sync.status.plan
    if plan is None:
        return None
    points = sorted(_points(sync, plan), key=lambda point: _RANK[point.tone])
    worst = points[0].tone
    if not sync.waits:
        return Verdict("calm", "", "", tuple(points))
    if sync.status.phase is Phase.BLOCKED or worst == "held":
        return Verdict(
            "held",
            "Held: look at this before anybody approves",
            "Find out why so much changes. If it is right, an approval of exactly this plan merges it. "
            "If not, reject it: nothing of it reaches the application.",
            tuple(points),
        )
    if worst == "look":
        return Verdict(
            "waits",
            "Within limits, with something to look at",
            "Nothing holds it. Look at the marked points; if they are as you expect, approve.",
            tuple(points),
        )
    return Verdict("good", "An ordinary sync", "Every point below is as it should be.", tuple(points))


def _points(sync: Sync, plan: PublishedPlan) -> list[Point]:
    total = plan.summed()
    return [
        _limits(plan),
        _proof(plan, total.withheld),
        _removals(plan, total.deactivate),
        _privileged(plan),
        _records(sync, plan.entities, total.invalid),
        _checks(plan),
    ]


def _limits(plan: PublishedPlan) -> Point:
    if plan.limits:
        told = joined([f"{hit.sentence}" for hit in plan.limits[:3]])
        return Point("held", f"Beyond {plural(len(plan.limits), 'limit')}", f"{told}.", "limits")
    if plan.first:
        return Point("look", "The first merge", "Nothing was merged before, so everything is new.", "numbers")
    return Point("good", "Within all limits", "No more changes than this connection permits without a question.", "")


def _proof(plan: PublishedPlan, withheld: int) -> Point:
    if plan.complete:
        return Point(
            "good", "Complete", "The pull proved that it saw every record, so what is missing is gone.", "proof"
        )
    kept = f" {plural(withheld, 'record')} stay that would else go." if withheld else ""
    return Point("look", "Not proved complete", f"So nothing is removed for being missing.{kept}", "proof")


def _removals(plan: PublishedPlan, removed: int) -> Point:
    unexplained = plan.removals.unexplained
    if not removed:
        return Point("good", "Nobody goes", "No record is deactivated.", "removals")
    if unexplained:
        return Point(
            "look",
            f"{unexplained:,} unexplained {'removal' if unexplained == 1 else 'removals'}",
            "The source simply no longer shows them. Were schools closed, or a filter changed?",
            "removals",
        )
    return Point("good", "Removals explained", f"The source says of all {removed:,} that, or why, they go.", "removals")


def _privileged(plan: PublishedPlan) -> Point:
    if plan.new_privileged:
        people = plural(plan.new_privileged, "person", "people")
        return Point(
            "look", f"{people} newly with wide rights", "A principal or an administrator of some kind.", "fields"
        )
    return Point("good", "No new administrators", "Nobody newly becomes a principal or an administrator.", "")


def _records(sync: Sync, entities: Collection[str], invalid: int) -> Point:
    issues = sync.status.issues
    warned = sum(issue.count for issue in issues if issue.severity == "warning")
    # Of files that are folded into records.
    rows = sum(issue.count for issue in issues if issue.severity == "error" and issue.entity not in entities)
    if invalid:
        return Point(
            "look",
            f"{plural(invalid, 'record')} not taken",
            "They have errors. What was merged of them before stays as it is.",
            "issues",
        )
    if rows:
        return Point("look", f"{plural(rows, 'row')} not taken", "They are part of no record that came.", "issues")
    if warned:
        return Point(
            "good", "All records taken", f"{plural(warned, 'warning')}, none of which changes what is merged.", "issues"
        )
    return Point("good", "All records taken", "None has an error.", "")


def _checks(plan: PublishedPlan) -> Point:
    if not plan.checks:
        return Point("good", "The result looks right", "Classes have teachers, students have classes.", "")
    code, count = max(plan.checks.items(), key=lambda item: (item[1], item[0]))
    return Point(
        "look",
        f"{plural(len(plan.checks), 'check')} noticed something",
        f"{count:,} times: {standard.meaning(code) or code}",
        "checks",
    )
