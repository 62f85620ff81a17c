"""Where in a bundle a field of a record stands: users are put together from several files."""

from functools import cache
from typing import NamedTuple

from roster_operator.oneroster.choices import NAMES
from roster_operator.oneroster.entities import Entity
from roster_operator.oneroster.source import Version

from .tables import TABLES, Table

# Fields of users in 1.2 by the file that they come from, and what the rest of a field's name is a field of.
_FOLDED = {"roles": "roles"}
# A person's orgs are those of their roles.
_ORGS = frozenset({"orgs", "org_sourced_ids"})


class Column(NamedTuple):
    """table: the file's name without `.csv`. name: None where the row as a whole is meant."""

    table: str
    name: str | None


@cache
def column_of(entity: Entity, version: Version, field: str | None) -> Column:
    """The column of a field, which is named as REST or as the record names it."""
    tables = TABLES[version]
    if version == "1.2" and entity is Entity.USERS and field is not None:
        if field in _ORGS:
            return Column("roles", "orgSourcedId")
        first, _, rest = field.partition(".")
        if first in _FOLDED:
            return Column(_FOLDED[first], _named(tables[_FOLDED[first]], rest) if rest else None)
    if field is None:
        return Column(entity.value, None)
    for name in (field, *NAMES[entity].get(field, ())):
        found = _column(tables[entity.value], name)
        if found is not None:
            return Column(entity.value, found)
    return Column(entity.value, NAMES[entity].get(field, (field,))[0])


def _named(table: Table, field: str) -> str:
    return _column(table, field) or field


def _column(table: Table, field: str) -> str | None:
    return next((column.name for column in table.columns if field in {column.field, column.name}), None)
