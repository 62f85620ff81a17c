from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.sample_sis.browser import Browser

from roster_sample_sis import District, SampleSIS, generate


@pytest.fixture(scope="session")
def district() -> District:
    return generate(7, 600, enrollments=2000, guardians=True)


@pytest.fixture
def sis(district: District) -> Iterator[SampleSIS]:
    with SampleSIS(district) as server:
        yield server


@pytest.fixture(params=["1.1", "1.2"])
def browser(request: pytest.FixtureRequest, sis: SampleSIS) -> Browser:
    """One test for each version."""
    return Browser(sis, request.param)
