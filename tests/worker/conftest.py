"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.fixtures import Roster, own_roster, roster, roster_database
from tests.worker.worlds import CLIENT, SECRET, World

from roster_sample_sis import District, SampleSIS, generate

__all__ = ["own_roster", "roster", "roster_database"]


@pytest.fixture(scope="session")
def district() -> District:
    return generate(7, 80)


@pytest.fixture
def world(roster: Roster, district: District, tmp_path: Path) -> Iterator[World]:
    with SampleSIS(district, client_id=CLIENT, client_secret=SECRET) as sis:
        yield World(roster, sis, tmp_path)
