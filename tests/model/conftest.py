"""Fixtures of this folder."""

import pytest
from tests.model import successions as model
from tests.store.fixtures import roster, roster_database

from roster_operator.store import successions

__all__ = ["roster", "roster_database"]


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """User names count where so many people are re-keyed: in a district of five that are fewer than 20."""
    monkeypatch.setattr(successions, "MANY", model.MANY)
