"""Fixtures of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.fixtures import Roster, own_roster, roster, roster_database
from tests.worker.worlds import CLIENT, SECRET, World

from roster_sample_sis import District, SampleSIS, generate

# All SQL runs on both versions in tests/store; of these, those that take the longest way through it do, too.
ON_BOTH_VERSIONS = {
    "test_a_district_arrives_and_nothing_changes_the_second_time",
    "test_one_per_cent_changed",
    "test_touching_every_record_changes_nothing_and_is_skipped_the_next_time",
    "test_duplicates_on_one_page_are_all_invalid_and_the_merged_row_stays",
    "test_a_listing_that_moved_once_is_read_again",
    "test_references_that_dangle_are_skipped_and_their_rows_never_vanish",
    "test_a_worker_killed_in_the_middle_runs_again_and_merges_once",
    "test_single_roles_of_a_delta_are_laid_over_those_that_are_merged",
    "test_a_late_worker_says_that_it_was_overtaken_or_discarded",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the older PostgreSQL out where it would only cost time."""
    here = Path(__file__).parent
    left_out = [
        item
        for item in items
        if item.path.is_relative_to(here)
        and "[pg15" in item.name
        and getattr(item, "originalname", None) not in ON_BOTH_VERSIONS
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


__all__ = ["own_roster", "roster", "roster_database"]


@pytest.fixture(scope="session")
def district() -> District:
    return generate(7, 80)


@pytest.fixture
def world(roster: Roster, district: District, tmp_path: Path) -> Iterator[World]:
    with SampleSIS(district, client_id=CLIENT, client_secret=SECRET) as sis:
        yield World(roster, sis, tmp_path)
