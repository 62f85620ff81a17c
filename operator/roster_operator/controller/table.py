"""A life as a table: the first row whose facts all hold says the step. The facts and steps are each table's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

F = TypeVar("F", bound=StrEnum)
S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True)
class Row(Generic[F, S]):
    """When all these facts hold, take this step."""

    when: frozenset[F]
    step: S


def row(when: Collection[F], step: S) -> Row[F, S]:
    """One row; with no facts it always holds."""
    return Row(frozenset(when), step)


def first(table: Collection[Row[F, S]], facts: frozenset[F]) -> S:
    """The step of the first row whose facts all hold. Its last row must have none, else StopIteration is raised."""
    return next(row.step for row in table if row.when <= facts)


def those_true(truths: Mapping[F, bool]) -> frozenset[F]:
    """The facts that hold."""
    return frozenset(fact for fact, true in truths.items() if true)
