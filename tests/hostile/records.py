"""Worlds of single records: their bytes, read as a worker reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tests.oneroster.fake_servers import SECRET
from tests.oneroster.test_oneroster_decode import PLAIN, plain

from roster_operator.oneroster.decode import Decoder, Version
from roster_operator.oneroster.entities import Entity

from .cases import CANARY, Decoded, Issue, Seen, Unchanged

WITHOUT = object()


@dataclass(frozen=True)
class RawRecord:
    """One record as bytes."""

    entity: Entity
    raw: bytes
    version: Version = "1.1"

    def observe(self) -> Seen:
        found = Decoder(self.entity, self.version)(self.raw)
        shown = repr(found.problems)
        kept = b"" if found.record is None else msgspec.json.encode(found.record)
        if SECRET.encode() in kept:
            return Seen("a secret was kept", shown)
        issues = sorted({Issue(item.code, item.severity, item.field or "") for item in found.problems})
        return Seen(Decoded(found.record is not None, tuple(issues), found.secret), shown)


@dataclass(frozen=True)
class Changed:
    """A good record with other values; WITHOUT takes a field out."""

    entity: Entity
    changes: dict[str, Any] = field(default_factory=dict)
    version: Version = "1.1"

    def observe(self) -> Seen:
        fields = {key: value for key, value in (plain(self.entity, self.version) | self.changes).items()
                  if value is not WITHOUT}  # fmt: skip
        return RawRecord(self.entity, json.dumps(fields).encode(), self.version).observe()


@dataclass(frozen=True)
class Text:
    """A text in a field that takes any. It has to come out as it came."""

    entity: Entity
    name: str
    attribute: str
    text: str

    def observe(self) -> Seen:
        good = PLAIN[self.entity]
        value: Any = {"key": self.text + CANARY} if self.name == "metadata" else self.text
        told: list[tuple[Issue, ...]] = []
        for escaped in (True, False):
            raw = json.dumps(good | {self.name: value}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
            found = Decoder(self.entity, "1.1")(raw)
            if found.record is None:
                return RawRecord(self.entity, raw).observe()
            if getattr(found.record, self.attribute) != value:
                return Seen("changed")
            told.append(tuple(sorted(Issue(item.code, item.severity, item.field or "") for item in found.problems)))
        return Seen(Unchanged(told[0])) if told[0] == told[1] else Seen("another word about the same text")
