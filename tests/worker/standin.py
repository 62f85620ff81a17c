"""A bundle of orgs and users, read in the simplest way, for as long as the real reader is not there."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal

from roster_operator.oneroster.decode import Decoder
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.errors import OneRosterError, Reason
from roster_operator.oneroster.paging import Page, PullReport
from roster_operator.oneroster.problems import Decoded
from roster_operator.oneroster.source import Raw


class StandIn:
    """A Source."""

    version: Literal["1.1", "1.2"] = "1.1"

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except zipfile.BadZipFile:
            raise OneRosterError(Reason.BUNDLE_UNREADABLE, "This is no zip.", "Have it sent again.") from None

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def offers(self, entity: Entity) -> bool:
        return f"{entity}.csv" in self._zip.namelist()

    def reading(self, entity: Entity) -> str:
        return "stand-in"

    def decoder(self, entity: Entity) -> Callable[[Raw], Decoded]:
        return Decoder(entity, "1.1")

    def pages(self, entity: Entity) -> Iterator[Page]:
        records = self._records(entity)
        yield Page(1, 0, records, len(records))

    def report(self, entity: Entity) -> PullReport:
        count = len(self._records(entity))
        return PullReport(entity, 1, count, count, "end", False, False, count)

    def _records(self, entity: Entity) -> list[bytes]:
        rows = list(csv.DictReader(io.StringIO(self._zip.read(f"{entity}.csv").decode())))
        found: list[bytes] = []
        for row in rows:
            value: dict[str, object] = {key: cell for key, cell in row.items() if cell}
            if entity is Entity.USERS:
                value["orgs"] = [{"sourcedId": value.pop("orgSourcedIds")}]
            found.append(json.dumps(value | {"status": "active"}).encode())
        return found
