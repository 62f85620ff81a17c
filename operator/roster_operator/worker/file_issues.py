"""What is odd about the files of a bundle, among the issues of the sync that is made from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from roster_operator.oneroster.choices import NAMES
from roster_operator.oneroster.csvfiles.faults import Finding
from roster_operator.oneroster.csvfiles.report import KEPT
from roster_operator.oneroster.csvfiles.tables import MANIFEST, TABLES
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.problems import Decoded
from roster_operator.oneroster.references import REFERENCES
from roster_operator.oneroster.source import Raw
from roster_operator.store.stage import Issue
from roster_operator.store.tables import BY_ENTITY

# What stands in the place of a file's table, where the bundle as a whole is meant, or a file that is not read.
BUNDLE = "bundle"
_TABLES = frozenset({MANIFEST, *TABLES["1.2"]})


@runtime_checkable
class OfFiles(Protocol):
    """A source that reads files. findings: what is odd about them, complete when all were read to their end."""

    findings: Sequence[Finding]

    def name_of(self, entity: Entity, field: str | None) -> str | None:
        """The column of a field, which is named as REST or as the record names it."""
        ...

    def lines_of(
        self,
        entity: Entity,
        sourced_id: str,
        decode: Callable[[Raw], Decoded],
        code: str,
        field: str | None,
        ids: Collection[str],
    ) -> tuple[str, list[int]] | None:
        """The file and the lines of a problem, where they are not the record's own. decode: as the pull reads records.
        ids: what the field refers to in vain, where that is the problem."""
        ...


def name_of(source: object, entity: Entity, field: str | None) -> str | None:
    """A field as those name it who wrote the source's data: the file's column, or REST's own name."""
    if isinstance(source, OfFiles):
        return source.name_of(entity, field)
    return NAMES[entity].get(field, (field,))[0] if field is not None else None


def references_of(source: object) -> list[tuple[str, str, str, str]]:
    """Of each reference: entity, the field as the source's problems name it, column, and the table it points to."""
    return [
        (entity.value, name_of(source, entity, each.name) or "", each.name, BY_ENTITY[each.target.value].name)
        for entity, references in REFERENCES.items()
        for each in references
    ]


def file_issues(findings: Iterable[Finding]) -> Iterator[Issue]:
    """The first of each code, as `roster validate` does: a header of a thousand unknown columns is one mistake. An
    error is one of a row that is folded into a record: others refuse the bundle."""
    told: Counter[str] = Counter()
    for each in findings:
        if told[each.code] >= KEPT:
            continue
        told[each.code] += 1
        table = each.file.removesuffix(".csv")
        entity = table if table in _TABLES else BUNDLE
        severity = each.fault.severity
        yield Issue(entity, None, each.code, severity, each.column or None, file=each.file, line=each.line)
