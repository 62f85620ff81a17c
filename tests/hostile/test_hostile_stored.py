"""Naughty strings on their way through a real PostgreSQL: what the decoder lets through arrives as it was."""

from __future__ import annotations

import json

import psycopg
import pytest
from tests.support.postgres import OWNER

from roster_operator.cli.embedded import Database
from roster_operator.store.copytext import RowWriter
from roster_operator.store.tables import Kind

from .values import NAUGHTY

pytestmark = pytest.mark.store


def test_every_naughty_string_comes_back_from_the_database(database: Database) -> None:
    assert OWNER in database.owner_url
    writer = RowWriter((Kind.TEXT, Kind.ARRAY, Kind.JSON))
    with psycopg.connect(database.owner_url, autocommit=True) as conn:
        conn.execute("create table naughty (n serial, value text, list text[], tree json)")
        with conn.cursor() as cursor, cursor.copy("copy naughty (value, list, tree) from stdin") as copy:
            for text in NAUGHTY.values():
                copy.write_row(writer.cells((text, [text, "", text], {text: [text]})))
        rows = conn.execute("select value, list, tree::text from naughty order by n").fetchall()
    assert [row[0] for row in rows] == list(NAUGHTY.values())
    assert [row[1] for row in rows] == [[text, "", text] for text in NAUGHTY.values()]
    assert [json.loads(row[2]) for row in rows] == [{text: [text]} for text in NAUGHTY.values()]
