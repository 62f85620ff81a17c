"""Values from the data in composed statements: sent beside the statement, never in its text.

A statement's text stands in PostgreSQL's log, in `pg_stat_activity` and in the detail of a deadlock. Its parameters do
so only where somebody asks for them (server_log).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql
from psycopg.abc import Params, Query
from psycopg.rows import Row


class Bound(sql.Literal):
    """A value in a composed statement. A `BoundCursor` makes a parameter of it; elsewhere it is a literal.

    COPY takes no parameters: there it stays one, and must be nothing of a person.
    """

    @property
    def value(self) -> Any:
        """The value itself."""
        return self._obj


class BoundCursor(psycopg.Cursor[Row]):
    """Sends what is `Bound` as parameters."""

    def execute(
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> BoundCursor[Row]:
        """As psycopg's. A statement with something `Bound` in it takes no other parameters, and is planned for its
        values, as it would be with literals, each time: none is prepared."""
        if isinstance(query, sql.Composed) and any(isinstance(leaf, Bound) for leaf in _leaves(query)):
            if params is not None:
                raise TypeError("a statement with bound values takes no other parameters")
            query, params = self._separated(query)
            prepare = False
        super().execute(cast("sql.Composed", query), params, prepare=prepare, binary=binary)
        return self

    def _separated(self, query: sql.Composed) -> tuple[sql.Composed, dict[str, Any]]:
        """The statement with a placeholder for each value, and the values by name."""
        values: dict[str, Any] = {}
        parts: list[sql.Composable] = []
        for leaf in _leaves(query):
            if isinstance(leaf, Bound):
                name = f"bound_{len(values)}"
                values[name] = leaf.value
                parts.append(sql.Placeholder(name))
            else:
                # Where there are parameters, a percent sign is written twice.
                text = leaf.as_string(self).replace("%", "%%")
                parts.append(sql.SQL(cast("LiteralString", text)))
        return sql.Composed(parts), values


def _leaves(query: sql.Composable) -> Iterator[sql.Composable]:
    if isinstance(query, sql.Composed):
        for part in query:
            yield from _leaves(part)
    else:
        yield query
