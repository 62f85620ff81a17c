"""Of what people are told, and whether they were. Pure.

Level-triggered: an occasion is what stands in the resources now, its key is made of it, and status tells which keys
were told. A restart, a second replica or a stale read comes to the same keys. A sending is claimed in status before it
is made: only a process that dies between the mail server's answer and its own next write tells a thing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from roster_operator.api.notices import TOLD_KEPT, Notified, Notify, Occasion, Told
from roster_operator.api.sync import Phase

from .objects import Connection
from .view import SyncRecord

FRESH = timedelta(days=7)  # what is older is told to nobody any more
EXPIRES_SOON = timedelta(days=21)
# A policy approves within seconds, and a newer plan supersedes: what waits for less long waits for nobody.
SETTLED = timedelta(seconds=60)
ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
OF_PHASE = {
    Phase.AWAITING_APPROVAL: Occasion.WAITING,
    Phase.BLOCKED: Occasion.HELD,
    Phase.FAILED: Occasion.FAILED,
    Phase.MERGED: Occasion.MERGED,
}
_OF_A_PERSON = {Occasion.WAITING, Occasion.HELD}


@dataclass(frozen=True)
class Occurrence:
    """Something that happened once. `mark` tells it from every other of its kind."""

    occasion: Occasion
    mark: str
    at: datetime
    sync: str = ""
    digest: str = ""
    reason: str = ""
    summary: str = ""

    @property
    def key(self) -> str:
        """The same whenever it is looked at again."""
        return _hash(f"{self.occasion}/{self.mark}", 16)

    @property
    def ripe(self) -> datetime:
        """From when on it is told."""
        return self.at + SETTLED if self.occasion in _OF_A_PERSON else self.at


@dataclass(frozen=True)
class Due:
    """One thing to tell now, and to whom."""

    occurrence: Occurrence
    to: tuple[str, ...]
    attempts: int = 0


def target(address: str) -> str:
    """Status names no address."""
    return _hash(address, 8)


def _hash(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def followed(before: Notified | None, *, paused: bool, now: datetime) -> Notified:
    """What is remembered, with the pause followed. The first look at a connection tells nobody of what was before."""
    now = now.replace(microsecond=0)
    if before is None:
        return Notified(since=now, paused=now - FRESH if paused else None)
    after = before.model_copy(deep=True)
    if paused and after.paused is None:
        after.paused, after.resumed = now, None
    elif not paused and after.paused is not None:
        after.paused, after.resumed = None, now
    return after


def occurrences(
    connection: Connection, notified: Notified, syncs: Iterable[tuple[str, SyncRecord]], now: datetime
) -> list[Occurrence]:
    """All that is true now and worth telling, the newest first, as many as status can remember."""
    found = [one for name, record in syncs if (one := _of_sync(name, record))]
    if notified.paused:
        found.append(Occurrence(Occasion.PAUSED, notified.paused.isoformat(), notified.paused))
    if notified.resumed:
        found.append(Occurrence(Occasion.RESUMED, notified.resumed.isoformat(), notified.resumed))
    status = connection.status
    for what, ends in (("credentials", status.credentials_expire), ("certificate", status.certificate_expires)):
        if ends is not None and ends - now <= EXPIRES_SOON:
            # Told once for each end, whenever it is noticed: that it comes is news also on the first look.
            found.append(Occurrence(Occasion.EXPIRING, f"{what}/{ends.isoformat()}", now, reason=what))
    recent = [one for one in found if one.at >= notified.since and now - one.at <= FRESH]
    return sorted(recent, key=lambda one: (one.at, one.mark), reverse=True)[:TOLD_KEPT]


def _of_sync(name: str, record: SyncRecord) -> Occurrence | None:
    occasion = OF_PHASE.get(record.phase)
    at = record.finished or record.waiting_since or record.staged
    if occasion is None or at is None:
        return None
    # A plan computed again with another digest waits anew.
    digest = record.digest or ""
    mark = f"{record.uid}/{record.phase}/{digest}"
    return Occurrence(occasion, mark, at, name, digest, record.reason, record.summary)


def asked(notify: Notify, found: Iterable[Occurrence]) -> list[Occurrence]:
    """Those that the connection wants told."""
    return [one for one in found if one.occasion in notify.on]


def due(notify: Notify, found: Iterable[Occurrence], notified: Notified, now: datetime) -> list[Due]:
    """What is to be told now: not told yet, nor given up, nor in the pause after an attempt."""
    if not notify.email:
        return []
    known = {one.key: one for one in notified.told}
    result: list[Due] = []
    for one in asked(notify, found):
        told = known.get(one.key)
        if told is None:
            people = tuple(dict.fromkeys(notify.email)) if one.ripe <= now else ()
        elif told.next is None or told.next <= now:
            people = tuple(address for address in dict.fromkeys(notify.email) if target(address) in told.left)
        else:
            people = ()
        if people:
            result.append(Due(one, people, told.attempts if told else 0))
    return result


def again(attempts: int, now: datetime) -> datetime:
    """When it is tried once more after so many attempts."""
    return (now + min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE)).replace(microsecond=0)


def claimed(notified: Notified, todo: Iterable[Due], found: Iterable[Occurrence], now: datetime) -> Notified:
    """Before sending: who is to be told, and when it is tried again unless an outcome is written."""
    known = {one.key: one for one in notified.told}
    for one in todo:
        attempts = one.attempts + 1
        known[one.occurrence.key] = Told(
            key=one.occurrence.key,
            left=[target(address) for address in one.to],
            attempts=attempts,
            next=again(attempts, now),
        )
    # What no longer stands is forgotten last: it may be a stale look that does not see it.
    stands = {one.key for one in found}
    entries = sorted(known.values(), key=lambda entry: entry.key in stands)
    return notified.model_copy(update={"told": entries[-TOLD_KEPT:]})


def settled(notified: Notified, outcomes: Mapping[str, list[str]]) -> Notified:
    """After sending. outcomes: for each key the targets that are still to be told; none after the last attempt."""
    told: list[Told] = []
    for entry in notified.told:
        left = outcomes.get(entry.key, entry.left)
        if entry.key in outcomes and entry.attempts >= ATTEMPTS:
            left = []
        told.append(entry.model_copy(update={"left": left}) if left else Told(key=entry.key))
    return notified.model_copy(update={"told": told})


def wake(notify: Notify, found: Iterable[Occurrence], notified: Notified, now: datetime) -> float | None:
    """Seconds until something may be due by itself."""
    if not notify.email:
        return None
    known = {one.key: one for one in notified.told}
    moments: list[datetime] = []
    for one in asked(notify, found):
        told = known.get(one.key)
        if told is None:
            moments.append(one.ripe)
        elif told.left and told.next is not None:
            moments.append(told.next)
    return max((min(moments) - now).total_seconds(), 1.0) if moments else None
