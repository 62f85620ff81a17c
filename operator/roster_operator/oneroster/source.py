"""What every source of records has in common, whether it is a server or a bundle of files."""

from collections.abc import Callable, Iterator
from typing import Literal, Protocol, runtime_checkable

import msgspec

from .check import CheckStep, Facts
from .entities import Entity
from .paging import Page, PullReport
from .problems import Decoded

Version = Literal["1.1", "1.2"]
Raw = bytes | memoryview | msgspec.Raw


@runtime_checkable
class Source(Protocol):
    """One district's records, entity by entity, in the order of `Entity`.

    A record is first of all bytes (`Page.records`): equal bytes under an equal `reading` are an equal record, so a
    record that was merged before is recognised by its hash and never decoded. All methods may raise OneRosterError.
    """

    @property
    def version(self) -> Version:
        """The OneRoster version that is spoken, or that the bundle is in."""
        ...

    def reading(self, entity: Entity) -> str:
        """What, besides version and entity, decides what the same bytes mean: a file's header, say. Never a secret."""
        ...

    def offers(self, entity: Entity) -> bool:
        """False where the source says itself that it has none of this entity to give: nothing of it is removed then."""
        ...

    def pages(self, entity: Entity) -> Iterator[Page]:
        """The records of an entity, from the beginning at each call."""
        ...

    def decoder(self, entity: Entity) -> Callable[[Raw], Decoded]:
        """Reads one record; never raises for it."""
        ...

    def report(self, entity: Entity) -> PullReport:
        """What the last walk through `pages` saw."""
        ...


class Testable(Protocol):
    """A source that Test Connection can go through."""

    facts: Facts

    def check(self) -> Iterator[CheckStep]:
        """The steps, each with its outcome; ends at the first that makes the next meaningless."""
        ...
