"""Any row that the decoder lets through arrives in PostgreSQL as it was."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.store.fixtures import Roster

from roster_operator.store.copytext import RowWriter, array_literal
from roster_operator.store.tables import Kind

pytestmark = pytest.mark.store

KINDS = (Kind.TEXT, Kind.BOOLEAN, Kind.INTEGER, Kind.DATE, Kind.TIMESTAMP, Kind.ARRAY, Kind.JSON)
nasty = st.sampled_from(
    ["\\N", "Null", "NULL", "null", "\\.", "\t", "\n", "\r", "\r\n", "\\", "\\\\t", '"', "{}", "{a,b}", ",", "", " ",
     "f", "r", "n", "\\x00", "\\b", "\x7f", "\x01", "K", "é", "e\u0301", "\u202e", "🎒", "\ufeff", "\u2028"]
)  # fmt: skip
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | nasty
text = text | st.lists(nasty, max_size=5).map("".join)
leaf = st.none() | st.booleans() | text | st.integers(-(2**63), 2**63 - 1)
tree = st.recursive(leaf, lambda t: st.lists(t, max_size=3) | st.dictionaries(text, t, max_size=3), max_leaves=8)
row = st.tuples(
    st.none() | text,
    st.none() | st.booleans(),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31)),
    st.none() | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.none() | st.lists(text, max_size=4),
    st.none() | st.dictionaries(text, tree, max_size=3),
)


@pytest.fixture(scope="module")
def wire(roster_database) -> psycopg.Connection:
    with psycopg.connect(roster_database.owner_url, autocommit=True) as conn:
        conn.execute(
            "create temp table wire (n serial, a text, b boolean, c int, d date, e timestamptz, f text[], g jsonb)"
        )
        conn.execute("set timezone = 'UTC'")
        yield conn


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, max_size=8))
@example([("\\N", None, None, None, None, ["\\N", "NULL", "null", "", "a,b", '"', "\\"], {"\\N": "\\N\t\n"})])
@example([(None,) * 7, ("",) + (None,) * 6])
def test_rows_arrive_as_they_were(wire: psycopg.Connection, rows: list[tuple[object, ...]]) -> None:
    writer = RowWriter(KINDS)
    wire.execute("truncate wire")
    with wire.cursor() as cursor, cursor.copy("copy wire (a, b, c, d, e, f, g) from stdin") as copy:
        for values in rows:
            copy.write_row(writer.cells(values))
    found = wire.execute("select a, b, c, d, e, f, g::text from wire order by n").fetchall()
    assert [(*values[:6], None if values[6] is None else json.loads(values[6])) for values in found] == rows


@given(st.lists(text, max_size=6))
def test_array_literals_are_one_line_of_quoted_items(values: list[str]) -> None:
    literal = array_literal(values)
    assert literal.startswith("{")
    assert literal.endswith("}")
    assert ("\0" not in literal) or any("\0" in value for value in values)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="number of columns"):
        RowWriter(KINDS).cells(("a",))


def test_the_arrays_kept_are_bounded(roster: Roster) -> None:
    writer = RowWriter((Kind.ARRAY,))
    for n in range(20_000):
        writer.cells(([f"x{n}"],))
    (kept,) = (cell.cell_contents for cell in writer._writers[0].__closure__ or ())
    assert len(kept) == kept.LIMIT
