"""What a bad input is, as data: a family, a name, a world that misbehaves, and what must come of it.

A world's `observe` meets real code with real parts and says what came out, as one of the outcomes below. The table's
test compares it with what the case expects, and looks for canaries in everything that could have been shown.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Protocol

from tests.oneroster.fake_servers import SECRET, TOKEN
from tests.oneroster.sftp_servers import PASSWORD
from tests.oneroster.sftp_servers import USER as ACCOUNT

from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason

# Stands in the data of a case wherever a person's name would. It must never be shown.
CANARY = "canary-name-31d7"
CANARIES = (SECRET, TOKEN, CANARY, ACCOUNT, PASSWORD)


@dataclass(frozen=True)
class Refused:
    """An OneRosterError, and where it says that it happened."""

    reason: Reason
    retryable: bool = False
    entity: Entity | None = Entity.ORGS
    page: int | None = 1

    def __str__(self) -> str:
        place = "" if self.entity is None else f", {self.entity} page {self.page}"
        return f"`{self.reason}`{place}{', tried again' if self.retryable else ''}"


@dataclass(frozen=True)
class Read:
    """The records that were read all the same, and whether that proves that they are all (a reason of completeness)."""

    records: int
    proof: str

    def __str__(self) -> str:
        return f"{self.records} records, `{self.proof}`"


@dataclass(frozen=True, order=True)
class Issue:
    """One finding about a record or a file. line and column count from 1; a record of a server has neither."""

    code: str
    severity: str = "error"
    field: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        where = " ".join(part for part in (place, self.field) if part)
        return f"`{self.code}` ({self.severity}{', ' + where if where else ''})"


@dataclass(frozen=True)
class Decoded:
    """A record, or a whole bundle, that was kept or not, and everything that was said about it."""

    kept: bool
    issues: tuple[Issue, ...] = ()
    secret: bool = False

    def __str__(self) -> str:
        said = ", ".join(map(str, self.issues))
        dropped = "secret dropped" if self.secret else ""
        return "; ".join(part for part in ("kept" if self.kept else "rejected", said, dropped) if part)


@dataclass(frozen=True)
class Unchanged:
    """The value is kept exactly as it came, whatever is said about it."""

    issues: tuple[Issue, ...] = ()

    def __str__(self) -> str:
        return "; ".join(["kept as it came", *([", ".join(map(str, self.issues))] if self.issues else [])])


@dataclass(frozen=True)
class Made:
    """A text that has to be made exactly so."""

    text: str

    def __str__(self) -> str:
        return self.text


Outcome = Refused | Read | Decoded | Unchanged | Made


@dataclass(frozen=True)
class Seen:
    """What came of a case. shown: everything that a person, a log or a status could have got to see."""

    outcome: object
    shown: str = ""


class World(Protocol):
    """Something that misbehaves."""

    def observe(self) -> Seen:
        """Meets it, and says what came of that."""
        ...


@dataclass(frozen=True)
class Case:
    """One bad input. seconds: how long it may take at most."""

    family: str
    name: str
    world: World
    expect: Outcome
    seconds: float = 5.0

    @property
    def title(self) -> str:
        return f"{self.family}: {self.name}"


def refused(error: OneRosterError) -> Seen:
    """An error, and everything that it shows."""
    shown = [*traceback.format_exception(error), str(error), repr(error), error.message, error.next_step]
    if not error.message.isascii() or not error.message.isprintable() or len(error.message) > 400:
        return Seen(f"a message that cannot be shown: {error.message[:400]!r}", "".join(shown))
    return Seen(Refused(error.reason, error.retryable, error.entity, error.page), "".join(shown))


def rejected(code: str, field: str = "", **more: object) -> Decoded:
    """A record that is refused for one reason."""
    return Decoded(False, (Issue(code, "error", field),), **more)  # type: ignore[arg-type]


def warned(code: str, field: str = "") -> Decoded:
    """A record that is taken with one word about it."""
    return Decoded(True, (Issue(code, "warning", field),))
