"""The same script with SQLAlchemy's bulk upsert instead of executemany. No checks, no review, no removals."""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from tests.benchmarks.naive import TABLES
from tests.benchmarks.source import ENTITIES, PAGE, token


def main(url: str, endpoint: str, database: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Authorization": f"Bearer {token(connection)}"}
    engine = sa.create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    metadata = sa.MetaData(schema="bulk")
    metadata.reflect(engine)
    with httpx.Client(headers=headers, timeout=60) as client, engine.begin() as conn:
        for entity in ENTITIES:
            name, columns = TABLES[entity]
            query = insert(metadata.tables[f"bulk.{name}"])
            query = query.on_conflict_do_update(
                index_elements=["sourced_id"], set_={column: query.excluded[column] for column in columns}
            )
            offset = 0
            while True:
                answer = client.get(f"{endpoint}/{entity}", params={"limit": PAGE, "offset": offset})
                answer.raise_for_status()
                records = answer.json()[entity]
                if not records:
                    break
                conn.execute(
                    query,
                    [
                        {"sourced_id": r["sourcedId"], **{column: read(r) for column, read in columns.items()}}
                        for r in records
                    ],
                )
                offset += len(records)


if __name__ == "__main__":
    main(*sys.argv[1:])
