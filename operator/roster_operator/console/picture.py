"""A plan as a picture: one bar an entity, of what stays, changes, comes and goes. Pure numbers; the template draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from roster_operator.api.scope import in_order
from roster_operator.api.sync import EntityCounts, Phase, PlanSummary

from .resources import Sync

WIDTH = 1000  # of the drawing, in its own units
_LEAST = 8  # one record of a million must still be seen


@dataclass(frozen=True)
class Part:
    """One piece of a bar. `kind` is a class of the style sheet."""

    kind: str
    word: str
    amount: int
    x: float = 0
    width: float = 0


@dataclass(frozen=True)
class Bar:
    """One entity."""

    entity: str
    parts: tuple[Part, ...]
    before: int
    after: int

    @property
    def sentence(self) -> str:
        """The bar for those who do not see it."""
        told = ", ".join(f"{part.amount:,} {part.word}" for part in self.parts if part.amount)
        return f"{self.entity}: {self.before:,} before, {self.after:,} after; {told or 'nothing'}"


@dataclass(frozen=True)
class Column:
    """One sync in a history."""

    x: float
    y: float
    width: float
    height: float
    sentence: str
    tone: str


def bars(plan: PlanSummary) -> list[Bar]:
    """A bar for each entity that has anything, in the standard's order."""
    return [bar for entity, counts in in_order(plan.entities) if (bar := _bar(entity, counts)).parts]


def _bar(entity: str, row: EntityCounts) -> Bar:
    kept, changed = row.unchanged + row.withheld, row.update + row.rekeyed
    parts = [
        Part("stays", "stay as they are", kept),
        Part("changes", "change", changed),
        Part("comes", "are new or come back", row.create + row.reactivate),
        Part("goes", "go", row.deactivate),
    ]
    before = kept + changed + row.deactivate
    return Bar(
        entity,
        tuple(_placed([part for part in parts if part.amount])),
        before,
        before - row.deactivate + row.create + row.reactivate,
    )


def _placed(parts: Sequence[Part]) -> list[Part]:
    if not parts:  # records were received, and none of them counts as anything
        return []
    total = sum(part.amount for part in parts)
    widths = [max(_LEAST, WIDTH * part.amount / total) for part in parts]
    # What the small ones were given is taken from the largest.
    widths[widths.index(max(widths))] -= sum(widths) - WIDTH
    placed: list[Part] = []
    x = 0.0
    for part, width in zip(parts, widths, strict=True):
        placed.append(Part(part.kind, part.word, part.amount, round(x, 1), round(width, 1)))
        x += width
    return placed


def share(amount: int, most: int) -> float:
    """A bar's length in the drawing's units, for a list of bars whose longest stands for `most`."""
    return round(max(_LEAST, WIDTH * amount / most), 1) if most and amount else 0.0


_TALL, _SYNCS = 120, 30
_TONES = {Phase.MERGED: "good", Phase.BLOCKED: "held", Phase.FAILED: "bad", Phase.AWAITING_APPROVAL: "waits"}


def history(syncs: Sequence[Sync]) -> list[Column]:
    """How much each of the newest syncs changes, oldest first. By square roots: a first sync dwarfs all others."""
    shown = [(sync, sync.status.plan) for sync in syncs if sync.status.plan][:_SYNCS][::-1]
    amounts: list[int] = []
    for _, plan in shown:
        total = plan.summed() if plan else EntityCounts()
        amounts.append(total.create + total.update + total.deactivate + total.reactivate + total.rekeyed)
    most = sqrt(max(amounts, default=0)) or 1
    step = WIDTH / max(len(shown), 8)
    columns: list[Column] = []
    for at, ((sync, _), amount) in enumerate(zip(shown, amounts, strict=True)):
        height = round(max(2.0, (_TALL - 8) * sqrt(amount) / most), 1)
        sentence = f"{sync.metadata.name}: {amount:,} records"
        tone = _TONES.get(sync.status.phase, "calm")
        columns.append(
            Column(round(at * step + step * 0.12, 1), _TALL - height, round(step * 0.76, 1), height, sentence, tone)
        )
    return columns
