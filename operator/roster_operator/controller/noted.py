"""What a test that passed is worth a word about: no obstacle today, and the next trouble. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from roster_operator.api.connection import RosterConnectionStatus, TestCheck


def noted(checks: Iterable[TestCheck]) -> frozenset[tuple[str, str | None]]:
    """Reason and entity of each step that passed with a reason."""
    return frozenset((step.reason, step.entity) for step in checks if step.ok and step.reason)


def sentences(status: RosterConnectionStatus) -> list[str]:
    """The notes of the last test, for people; each with what to do."""
    return [_sentence(reason, entity, status) for reason, entity in sorted(noted(status.checks), key=str)]


def _sentence(reason: str, entity: str | None, status: RosterConnectionStatus) -> str:
    if entity:
        return (
            f"{entity} are not offered to this client ({reason}) and are left out: "
            "have them allowed in the SIS, or leave them out of spec.scope.entities."
        )
    if reason == "CertificateExpiresSoon" and status.certificate_expires:
        return (
            f"The server's certificate is valid until {_day(status.certificate_expires)} ({reason}): "
            "have its administrator renew it; from that day on no sync works."
        )
    if reason == "ClockSkewed" and status.clock_skew_seconds is not None:
        minutes = round(abs(status.clock_skew_seconds) / 60)
        side = "ahead" if status.clock_skew_seconds > 0 else "behind"
        return f"The server's clock is {minutes} minutes {side} ({reason}): set the clocks right."
    return f"{reason}: see `roster test`."


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
