"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.store_ground import Ground, Server

from roster_sample_sis import generate
from roster_sample_sis.variants import lost_a_fifth, one_percent_changed


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A district in each state of its life, on a server that may be killed. In the newest pull a fifth of the students
    is back, others are gone, marked as deleted, changed and new."""
    base = generate(7, 30)
    newer = one_percent_changed(one_percent_changed(base, 3, share=0.2, mark_removed=True), 5, share=0.2)
    with (
        Server.up() as server,
        Ground.made(server, tmp_path_factory.mktemp("store"), base, lost_a_fifth(base), newer) as made,
    ):
        yield made
