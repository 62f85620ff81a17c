"""The same pull as a dlt pipeline: its REST client, its Postgres destination, merged by sourcedId. No removals."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import dlt
from dlt.destinations import postgres
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from tests.benchmarks.source import ENTITIES, PAGE, token


def main(url: str, endpoint: str, database: str, folder: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    client = RESTClient(base_url=endpoint, auth=BearerTokenAuth(token=token(connection)))

    def resource(entity: str) -> Any:
        # Lists stay in the row, as they do in ours.
        @dlt.resource(
            name=entity, primary_key="sourcedId", write_disposition="merge", max_table_nesting=0, parallelized=False
        )
        def pull() -> Iterator[Any]:
            yield from client.paginate(
                f"/{entity}",
                data_selector=entity,
                paginator=OffsetPaginator(limit=PAGE, total_path=None, stop_after_empty_page=True),
            )

        return pull

    pipeline = dlt.pipeline(
        pipeline_name="bench", destination=postgres(database), dataset_name="dlt_bench", pipelines_dir=folder
    )
    pipeline.run([resource(entity) for entity in ENTITIES])


if __name__ == "__main__":
    main(*sys.argv[1:])
