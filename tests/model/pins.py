"""Values that a person pinned. Syncs leave them alone until then. See docs/how-to/pins-and-matches.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.model.district import Row


@dataclass
class Pin:
    """until: the first day on which it holds no more. A released one stays until a sync has shown the record again."""

    value: Any
    until: int | None = None
    released: bool = False

    def holds(self, day: int) -> bool:
        """For a run that began on this day."""
        return not self.released and (self.until is None or self.until > day)


Pins = Mapping[str, Pin]  # by field


def holding(pins: Pins, day: int) -> dict[str, Any]:
    return {name: pin.value for name, pin in pins.items() if pin.holds(day)}


def laid_over(staged: Row, merged: Row | None, pins: Pins, day: int) -> Row:
    """A staged row with the pinned values in place of its own. Of a record that has or had pins the values decide
    whether it changes, since a source may have said the same all the time."""
    if not pins:
        return staged
    pinned = holding(pins, day)
    values = staged.values | pinned
    same = merged is not None and values == merged.values
    says = merged.says if merged is not None and same else ("pinned", staged.says, tuple(sorted(pinned)))
    return replace(staged, values=values, says=says)
