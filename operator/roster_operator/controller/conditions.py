"""Conditions, the Kubernetes way: a time changes only when the status does, and every text is short, plain ASCII."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from roster_operator.api.connection import Condition, find

MESSAGE_LIMIT = 1024


@dataclass(frozen=True)
class Wanted:
    """A condition as it should be."""

    type: str
    status: bool | None  # None: Unknown
    reason: str
    message: str = ""


def settle(
    current: list[Condition], wanted: Iterable[Wanted], now: datetime, generation: int | None
) -> list[Condition]:
    """Exactly the wanted conditions, with the times of those whose status stays."""
    out: list[Condition] = []
    for item in wanted:
        status = {True: "True", False: "False", None: "Unknown"}[item.status]
        before = find(current, item.type)
        out.append(
            Condition(
                type=item.type,
                status=status,
                reason=item.reason,
                message=plain(item.message),
                last_transition_time=before.last_transition_time if before and before.status == status else now,
                observed_generation=generation,
            )
        )
    return out


def plain(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Printable ASCII in one line. Text from outside must not bring control codes to somebody's terminal."""
    line = " ".join(text.split())
    safe = "".join(character if " " <= character <= "~" else "?" for character in line)
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."
